/** History: everything seen, newest first, by day; found by label; deleted where it stands. */

import { getModel, listModels, listResults, resultPath } from "../api.js";
import { announce, h, icon } from "../dom.js";
import { deleteButton } from "../parts/share.js";
import { problemBox } from "../parts/problem.js";
import { setQuery } from "../router.js";
import { ago, dayName, describe, fullTime, t } from "../strings.js";

const TYPING_MS = 250;

export function open(root, { query, handoff, signal }) {
  document.title = `${t("history.title")} · ${t("app.name")}`;
  const field = h("input", { class: "field", type: "search", value: query.get("label") ?? "", placeholder: t("history.placeholder"), "aria-label": t("history.search"), autocomplete: "off", enterkeyhint: "search", "aria-keyshortcuts": "/" });
  field.setAttribute("list", "known-labels");
  const known = h("datalist", { id: "known-labels" });
  field.addEventListener("focus", () => offerLabels(known), { once: true });
  const room = h("div", { class: "history-room" }, waiting());
  const status = h("p", { class: "unseen", role: "status" });
  root.append(h("header", { class: "place-head" }, h("h1", { tabindex: "-1" }, t("history.title")), h("search", { class: "history-search" }, field, known)), room, status);
  let turn = 0;
  const search = async () => {
    const mine = ++turn;
    const text = field.value.trim();
    setQuery("/history", new URLSearchParams(text ? { label: text } : {}));
    try {
      const { page, wish } = await find(text, signal);
      if (mine !== turn) return;
      room.replaceChildren(...(page.results.length ? [pages(page, wish, signal, status)] : [empty(text, () => {
        field.value = "";
        search();
        field.focus();
      })]));
      if (!page.results.length) status.textContent = t(text ? "history.none" : "history.empty", { label: text });
    } catch (problem) {
      if (problem.name !== "AbortError" && mine === turn) room.replaceChildren(problemBox(problem, { again: search }));
    }
  };
  let timer;
  field.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(search, TYPING_MS);
  });
  search();
  if (handoff?.search) queueMicrotask(() => field.focus());
}

/** Results with this label; if there are none, those whose file's name has the text in it. */
async function find(text, signal) {
  if (!text) return { page: await listResults({ signal }), wish: {} };
  const known = [...document.querySelectorAll("#known-labels option")].map((option) => option.value);
  const label = known.find((value) => value.toLowerCase() === text.toLowerCase()) ?? text;
  const page = await listResults({ label, signal });
  if (page.results.length) return { page, wish: { label } };
  return { page: await listResults({ name: text, signal }), wish: { name: text } };
}

/** Completes what is typed with the labels that the models here know. */
async function offerLabels(datalist) {
  try {
    const models = await Promise.all((await listModels()).map((model) => getModel(model.name)));
    const names = new Set(models.flatMap((model) => model.label_names));
    datalist.replaceChildren(...[...names].sort().map((value) => h("option", { value })));
  } catch {
    // Without the list one can still type.
  }
}

function waiting() {
  return h("ul", { class: "results", "aria-hidden": "true" }, Array.from({ length: 12 }, () => h("li", { class: "seen waiting" })));
}

function empty(label, clear) {
  const action = label
    ? h("button", { class: "button", type: "button", onclick: clear }, t("history.clear"))
    : h("a", { class: "button main-action", href: "/" }, t("lost.action"));
  return h("div", { class: "empty" }, icon(label ? "eye" : "history"), h("h2", {}, t(label ? "history.none" : "history.empty", { label })), h("p", {}, t(label ? "history.none.text" : "history.empty.text")), action);
}

/** All pages so far, with days as headings and a button for older ones. */
function pages(first, wish, signal, status) {
  const root = h("div", { class: "history-days" });
  let day = null;
  let list = null;
  let count = 0;
  const more = h("button", { class: "button", type: "button" }, t("history.more"));
  const add = ({ results, next }) => {
    for (const entry of results) {
      const created = new Date(entry.created);
      const name = dayName(created);
      if (name !== day) {
        day = name;
        list = h("ul", { class: "results" });
        more.before(h("h2", { class: "day" }, name), list);
      }
      list.append(seen(entry, created));
    }
    count += results.length;
    status.textContent = t("history.count", { n: count });
    more.hidden = !next;
    more.onclick = async () => {
      more.disabled = true;
      try {
        add(await listResults({ before: next, ...wish, signal }));
      } catch (problem) {
        if (problem.name !== "AbortError") more.before(problemBox(problem));
      }
      more.disabled = false;
    };
  };
  root.append(more);
  add(first);
  return root;
}

function found(entry) {
  const counts = Object.entries(entry.counts ?? {}).map(([label, count]) => ({ label, count }));
  return describe(counts.sort((a, b) => b.count - a.count), 3);
}

function seen(entry, created) {
  const name = entry.source || entry.id;
  const words = found(entry);
  const trouble = h("div", {});
  const picture = h("img", { src: `${resultPath(entry.id)}/thumbnail`, alt: "", loading: "lazy", decoding: "async" });
  picture.addEventListener("error", () => picture.replaceWith(h("span", { class: "no-picture" }, icon("picture"))));
  const link = h(
    "a",
    { href: `/r/${entry.id}`, class: "seen-link" },
    h("span", { class: "seen-picture" }, picture),
    h("span", { class: "seen-found" }, words),
    h("span", { class: "seen-source small soft" }, h("span", { class: "seen-name" }, name), h("time", { datetime: created.toISOString(), title: fullTime(created) }, ago(created))),
  );
  const item = h("li", { class: "seen" }, link);
  const gone = () => {
    const next = item.nextElementSibling?.querySelector("a") ?? item.previousElementSibling?.querySelector("a");
    item.remove();
    (next ?? document.querySelector("input[type=search]"))?.focus();
    announce(t("result.deleted"));
  };
  const remove = deleteButton(entry.id, gone, (problem) => trouble.replaceChildren(problemBox(problem)));
  remove.setAttribute("aria-label", t("history.delete", { name }));
  item.append(remove, trouble);
  return item;
}
