/** A button that opens a list of links and buttons under it. Escape and a click elsewhere close it. */

import { h, icon } from "../dom.js";

/**
 * @param {string} label
 * @param {string} iconName
 * @param {() => Node[]} build makes the entries each time, so that they match the screen at that moment
 */
export function menu(label, iconName, build) {
  const list = h("div", { class: "menu-list", hidden: true });
  const button = h("button", { class: "button", type: "button", "aria-expanded": "false" }, icon(iconName), h("span", {}, label));
  const root = h("div", { class: "menu" }, button, list);
  const set = (open) => {
    if (open) list.replaceChildren(...build());
    list.hidden = !open;
    button.setAttribute("aria-expanded", String(open));
    if (open) keepInside(list);
  };
  button.addEventListener("click", () => set(list.hidden));
  list.addEventListener("click", (event) => {
    if (event.target.closest("a, button")) {
      set(false);
      button.focus();
    }
  });
  root.addEventListener("keydown", (event) => {
    if (list.hidden) return;
    if (event.key === "Escape") {
      set(false);
      button.focus();
      event.stopPropagation();
    }
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      const entries = [...list.querySelectorAll("a, button")];
      const at = entries.indexOf(document.activeElement) + (event.key === "ArrowDown" ? 1 : -1);
      entries[(at + entries.length) % entries.length].focus();
      event.preventDefault();
    }
  });
  root.addEventListener("focusout", (event) => {
    if (!root.contains(event.relatedTarget)) set(false);
  });
  return root;
}

/** On narrow screens a list aligned with its button's end could stick out at the start: move it in. */
function keepInside(list) {
  list.style.translate = "none";
  const box = list.getBoundingClientRect();
  const out = box.left < 8 ? 8 - box.left : Math.min(0, innerWidth - 8 - box.right);
  if (out) list.style.translate = `${out}px 0`;
}
