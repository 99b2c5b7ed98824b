/** Watches: cameras that the server itself looks at, how each is doing, and what it saw last. */

import { beginWatch, endWatch, listWatches } from "../api.js";
import { announce, h, icon } from "../dom.js";
import { problemBox } from "../parts/problem.js";
import { ago, describe, fullTime, t } from "../strings.js";

const LOOK_AGAIN_MS = 3000;

export function open(root, { signal }) {
  document.title = `${t("watches.title")} · ${t("app.name")}`;
  const trouble = h("div", {});
  const list = h("div", { class: "watches-list" });
  const failed = (problem) => signal.aborted || trouble.replaceChildren(problemBox(problem));
  const load = async () => {
    try {
      const watches = await listWatches(signal);
      if (!signal.aborted) list.replaceChildren(...(watches.length ? watches.map((watch) => card(watch, remove)) : [h("p", { class: "soft" }, t("watches.none"))]));
    } catch (problem) {
      if (problem.name !== "AbortError") failed(problem);
    }
  };
  const act = async (work, words) => {
    trouble.replaceChildren();
    try {
      await work();
      announce(words);
      await load();
      return true;
    } catch (problem) {
      failed(problem);
      return false;
    }
  };
  const remove = (watch) => act(() => endWatch(watch.id), t("watches.removed"));
  root.append(
    h("header", { class: "place-head" }, h("h1", { tabindex: "-1" }, t("watches.title")), h("p", { class: "soft" }, t("watches.text"))),
    trouble,
    list,
    form((wish) => act(() => beginWatch(wish), t("watches.made"))),
  );
  load();
  const timer = setInterval(() => document.visibilityState === "visible" && load(), LOOK_AGAIN_MS);
  signal.addEventListener("abort", () => clearInterval(timer));
}

function card(watch, remove) {
  const seen = watch.seen && new Date(watch.seen);
  const counts = Object.entries(watch.counts).map(([label, count]) => ({ label, count }));
  const words = seen ? describe(counts) : t("watches.waiting");
  const picture = watch.picture && h("img", { class: "watch-picture", src: `${watch.picture}?${watch.answers}`, alt: t("watches.alt", { name: watch.name, words }), decoding: "async" });
  return h(
    "article",
    { class: "card watch-card", "aria-label": watch.name, data: { state: watch.state } },
    picture,
    h("h2", {}, watch.name),
    h("p", {}, words),
    h("p", { class: "small soft" }, t(`watches.state.${watch.state}`), seen && [" · ", h("span", { title: fullTime(seen) }, ago(seen))], " · ", watch.source),
    watch.error && h("p", { class: "small watch-error" }, `${watch.error.message} ${watch.error.next_step}`),
    h("button", { class: "button", type: "button", onclick: () => remove(watch) }, icon("trash"), t("watches.remove")),
  );
}

function form(begin) {
  const source = h("input", { class: "field", id: "watch-source", required: true, autocomplete: "off", spellcheck: "false", placeholder: "rtsp://camera.lan/stream1" });
  const name = h("input", { class: "field", id: "watch-name", autocomplete: "off", maxlength: 200 });
  const every = h("input", { class: "field", id: "watch-every", type: "number", min: 0, max: 86400, step: "any", value: 10 });
  const motion = h("input", { type: "checkbox", id: "watch-motion" });
  const store = h("input", { type: "checkbox", id: "watch-store" });
  const send = async (event) => {
    event.preventDefault();
    const wish = { source: source.value.trim(), name: name.value.trim(), every_s: Number(every.value), motion: motion.checked, store: store.checked };
    if (await begin(wish)) event.target.reset();
  };
  const rows = [["source", source], ["name", name], ["every", every]];
  return h(
    "form",
    { class: "card watch-form", onsubmit: send, "aria-labelledby": "watches-new" },
    h("h2", { id: "watches-new" }, t("watches.new")),
    rows.map(([key, input]) => h("div", {}, h("label", { for: input.id, class: "small" }, t(`watches.new.${key}`)), input)),
    h("label", { class: "check" }, motion, h("span", {}, t("watches.new.motion"))),
    h("label", { class: "check" }, store, h("span", {}, t("watches.new.store"))),
    h("p", { class: "small soft" }, t("watches.new.private")),
    h("button", { class: "button main-action", type: "submit" }, t("watches.new.make")),
  );
}
