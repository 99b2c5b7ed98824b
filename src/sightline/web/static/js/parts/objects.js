/** The list of objects or classes: one with the picture. Hover, focus and selection go both ways. */

import { cssOf } from "../colors.js";
import { h } from "../dom.js";
import { whereIs } from "../filter.js";
import { percent, t } from "../strings.js";

function whereWords(item, result) {
  return item.box ? whereIs(item.box, result.width, result.height).map((word) => t(`where.${word}`)).join(" ") : "";
}

/** "dog, 93 %, bottom left" */
export function sayObject(item, result) {
  const where = whereWords(item, result);
  return where ? t("result.row", { label: item.name ?? item.label, score: percent(item.score), where }) : `${item.name ?? item.label}, ${percent(item.score)}`;
}

/**
 * @param {{onhover: (index: number | null) => void, onpick: (index: number) => void}} handlers
 */
export function objectList(result, title, handlers) {
  const list = h("ul", { class: "objects", role: "listbox", tabindex: "0", "aria-labelledby": "objects-title" });
  const count = h("span", { class: "numbers soft" });
  const more = h("button", { class: "link small", type: "button", hidden: true });
  const element = h("section", { class: result.task === "classify" ? "objects-room is-classes" : "objects-room", "aria-labelledby": "objects-title" }, h("div", { class: "panel-head" }, h("h2", { id: "objects-title" }, title), count), list, more);
  const rows = result.predictions.map((item) => row(item, result));
  list.addEventListener("pointerover", (event) => event.pointerType === "mouse" && handlers.onhover(indexOf(event)));
  list.addEventListener("pointerleave", () => handlers.onhover(null));
  list.addEventListener("click", (event) => {
    const index = indexOf(event);
    if (index !== null) handlers.onpick(index);
  });
  return {
    element,
    list,
    more,
    show(shown) {
      list.replaceChildren(...shown.map((item, at) => {
        rows[item.index].querySelector(".object-number").textContent = at + 1;
        return rows[item.index];
      }));
      count.textContent = shown.length || "";
    },
    activate(index) {
      for (const [at, element_] of rows.entries()) {
        if (element_.getAttribute("aria-selected") === "true" || at === index) element_.setAttribute("aria-selected", String(at === index));
      }
      if (index === null) {
        list.removeAttribute("aria-activedescendant");
        return;
      }
      list.setAttribute("aria-activedescendant", rows[index].id);
      scrollInside(list, rows[index]);
    },
  };
}

function indexOf(event) {
  const found = event.target.closest("[data-index]");
  return found ? Number(found.dataset.index) : null;
}

/** Scrolls the list only, never the page, so that the picture stays in view. */
function scrollInside(list, element) {
  const top = element.offsetTop - list.offsetTop;
  if (top < list.scrollTop) list.scrollTop = top;
  else if (top + element.offsetHeight > list.scrollTop + list.clientHeight) list.scrollTop = top + element.offsetHeight - list.clientHeight;
}

function row(item, result) {
  const dot = h("span", { class: "dot" });
  dot.style.background = cssOf(item.labelId);
  const fill = h("span", { class: "bar-fill" });
  fill.style.width = `${Math.max(1, item.score * 100)}%`;
  fill.style.background = cssOf(item.labelId);
  return h(
    "li",
    { class: "object-row", role: "option", id: `object-${item.index}`, "aria-selected": "false", data: { index: item.index } },
    h("span", { class: "object-number numbers small", "aria-hidden": "true" }),
    dot,
    h("span", { class: "object-label" }, item.name ?? item.label),
    h("span", { class: "bar" }, fill),
    h("span", { class: "object-score numbers" }, percent(item.score)),
    h("span", { class: "unseen" }, whereWords(item, result)),
  );
}
