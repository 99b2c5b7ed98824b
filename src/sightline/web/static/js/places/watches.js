/** Watches: cameras that the server itself looks at, how each is doing, and what it saw last. */

import { beginWatch, changeWatch, endWatch, listWatches } from "../api-rules.js";
import { announce, h, icon } from "../dom.js";
import { alertSwitch } from "../parts/alert-switch.js";
import { problemBox } from "../parts/problem.js";
import { watchForm } from "../parts/watch-form.js";
import { ago, describe, fullTime, t } from "../strings.js";
import "../words/watches.js";

const LOOK_AGAIN_MS = 3000;

export function open(root, { signal }) {
  document.title = `${t("watches.title")} · ${t("app.name")}`;
  const trouble = h("div", {});
  const list = h("div", { class: "watches-list" });
  const failed = (problem) => signal.aborted || trouble.replaceChildren(problemBox(problem));
  const load = async () => {
    try {
      const watches = await listWatches(signal);
      if (!signal.aborted) list.replaceChildren(...(watches.length ? watches.map((watch) => card(watch, { edit, remove })) : [h("p", { class: "soft" }, t("watches.none"))]));
    } catch (problem) {
      if (problem.name !== "AbortError") failed(problem);
    }
  };
  const remove = async (watch) => {
    trouble.replaceChildren();
    try {
      await endWatch(watch.id);
      if (place.dataset.watch === watch.id) show();
      announce(t("watches.removed"));
      await load();
    } catch (problem) {
      failed(problem);
    }
  };
  const place = h("div", {});
  /** The form of a new watch, or of one that is there. */
  const show = (watch = null) => {
    place.dataset.watch = watch?.id ?? "";
    const send = async (wish) => {
      await (watch ? changeWatch(watch.id, wish) : beginWatch(wish));
      announce(t(watch ? "watches.changed" : "watches.made"));
      if (watch) show();
      await load();
    };
    place.replaceChildren(watchForm(watch, { send, cancel: () => show() }));
  };
  const edit = (watch) => {
    show(watch);
    place.scrollIntoView({ block: "nearest" });
    place.querySelector("h2").focus();
  };
  show();
  root.append(h("header", { class: "place-head" }, h("h1", { tabindex: "-1" }, t("watches.title")), h("p", { class: "soft" }, t("watches.text"))), trouble, list, place, alertSwitch(signal));
  load();
  const timer = setInterval(() => document.visibilityState === "visible" && load(), LOOK_AGAIN_MS);
  signal.addEventListener("abort", () => clearInterval(timer));
}

function card(watch, { edit, remove }) {
  const seen = watch.seen && new Date(watch.seen);
  const counts = Object.entries(watch.counts).map(([label, count]) => ({ label, count }));
  const found = seen ? describe(counts) : t("watches.waiting");
  const words = watch.verdict_title ? `${watch.verdict_title}. ${found}` : found;
  const picture = watch.picture && h("img", { class: "watch-picture", src: `${watch.picture}?${watch.answers}`, alt: t("watches.alt", { name: watch.name, words }), decoding: "async" });
  return h(
    "article",
    { class: "card watch-card", "aria-label": watch.name, data: { state: watch.state } },
    picture,
    h("h2", {}, watch.name),
    watch.verdict_title && h("p", { class: "watch-verdict", data: { verdict: watch.verdict } }, watch.verdict_title),
    h("p", { class: watch.verdict_title ? "small soft" : "" }, found),
    h("p", { class: "small soft" }, t(`watches.state.${watch.state}`), seen && [" · ", h("span", { title: fullTime(seen) }, ago(seen))], " · ", pace(watch), watch.model && ` · ${watch.model}`, " · ", watch.source),
    watch.error && h("p", { class: "small watch-error" }, `${watch.error.message} ${watch.error.next_step}`),
    h(
      "div",
      { class: "form-buttons" },
      h("button", { class: "button", type: "button", onclick: () => edit(watch) }, t("watches.edit")),
      h("button", { class: "button", type: "button", onclick: () => remove(watch) }, icon("trash"), t("watches.remove")),
    ),
  );
}

const pace = (watch) => (watch.every_s ? t("watches.every", { s: String(watch.every_s) }) : t("watches.every.all"));
