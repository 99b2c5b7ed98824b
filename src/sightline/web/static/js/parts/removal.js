/** Removing asks once, in its own place; Escape, or keeping it, goes back. */

import { h, icon } from "../dom.js";
import { t } from "../strings.js";

/**
 * @param {string} label what is removed
 * @param {(back: () => void) => void} remove runs once somebody is sure; `back` shows the first button again
 * @param {{ worded?: boolean }} look whether the label stands on the button, or its icon alone
 */
export function removal(label, remove, { worded = false } = {}) {
  const root = h("div", { class: "delete", role: "group", "aria-label": label });
  const rest = (focus) => {
    const look = worded ? { class: "button" } : { class: "button square", "aria-label": label, title: label };
    const button = h("button", { ...look, type: "button", onclick: ask }, icon("trash"), worded && label);
    root.replaceChildren(button);
    if (focus) button.focus();
  };
  const ask = () => {
    const sure = h("button", { class: "button bad", type: "button", onclick: () => remove(() => rest(true)) }, t("result.delete.sure"));
    root.replaceChildren(sure, h("button", { class: "button plain", type: "button", onclick: () => rest(true) }, t("result.keep")));
    sure.focus();
  };
  root.addEventListener("keydown", (event) => event.key === "Escape" && root.children.length > 1 && rest(true));
  rest(false);
  return root;
}
