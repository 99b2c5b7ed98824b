/** Keys: one table for what they do and for the list that `?` shows. Single letters can be switched off. */

import { h, icon } from "./dom.js";
import { t } from "./strings.js";

const bindings = [];
const STORE = "sightline.single-keys";

const singleOn = () => localStorage.getItem(STORE) !== "off";

/**
 * Binds keys for as long as `signal` lives. `keys` maps `event.key` to a function.
 * `rows` are the lines of the list: [[keys to show], text key].
 */
export function bindKeys(group, keys, rows, signal) {
  const binding = { group, keys, rows };
  bindings.push(binding);
  signal?.addEventListener("abort", () => bindings.splice(bindings.indexOf(binding), 1));
}

const typing = (target) =>
  target.isContentEditable || target.matches?.("textarea, select, input:not([type=range], [type=checkbox], [type=radio])");

const ownsArrows = (target) => target.matches?.("input[type=range], input[type=radio], select");

let held = null;

/** From now until `releaseKeys`, keys that nobody obeys wait: no place stands that could. */
export function holdKeys() {
  held ??= [];
}

/** A place stands: what was pressed meanwhile is meant for it. */
export function releaseKeys() {
  const waiting = held ?? [];
  held = null;
  waiting.forEach(obey);
}

/** @returns {boolean} whether somebody obeyed */
function obey(event) {
  const binding = bindings.findLast(({ keys }) => Object.hasOwn(keys, event.key));
  if (!binding) return false;
  event.preventDefault();
  binding.keys[event.key](event);
  return true;
}

/** Listens on the document; call once. */
export function startKeys() {
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
    if (event.key.startsWith("Arrow") && ownsArrows(event.target)) return;
    if (event.key.length === 1 && !singleOn() && event.key !== "?") return;
    if (!obey(event)) held?.push(event);
  });
}

const caps = (keys) => keys.map((key) => [h("kbd", {}, key), " "]);

function section(group) {
  const rows = bindings.filter((binding) => binding.group === group).flatMap((binding) => binding.rows);
  const lines = rows.map(([keys, text]) => h("div", {}, h("dt", {}, t(text)), h("dd", {}, caps(keys))));
  return [h("h3", {}, t(group)), h("dl", {}, lines)];
}

let panel = null;

/** Shows the list beside the page, or puts it away. */
export function toggleHelp() {
  if (panel) {
    panel.dispatchEvent(new Event("done"));
    return;
  }
  const before = document.activeElement;
  const close = () => {
    panel.remove();
    panel = null;
    before?.focus?.();
  };
  const single = h("input", { type: "checkbox", checked: singleOn() });
  single.addEventListener("change", () => localStorage.setItem(STORE, single.checked ? "on" : "off"));
  const closer = h("button", { class: "button plain square", type: "button", "aria-label": t("keys.close"), onclick: close }, icon("close"));
  panel = h(
    "div",
    { class: "keys", role: "dialog", "aria-labelledby": "keys-title", tabindex: "-1" },
    h("header", {}, h("h2", { id: "keys-title" }, t("keys.title")), closer),
    [...new Set(bindings.map((binding) => binding.group))].map(section),
    h("label", {}, single, t("keys.single")),
  );
  panel.addEventListener("done", close);
  panel.addEventListener("keydown", (event) => {
    if (event.key === "Escape") close();
  });
  document.body.append(panel);
  closer.focus();
}
