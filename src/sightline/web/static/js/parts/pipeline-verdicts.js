/** The verdicts of a pipeline: names, words for people, how sure each has to be, and which one goes first. */

import { announce, h, icon } from "../dom.js";
import { t } from "../strings.js";
import "../words/pipelines.js";
import { percentField, textField } from "./pipeline-fields.js";

/** @returns {{element: HTMLElement, get: () => object, set: (told: object, sure: object) => void, follow: (names: string[]) => void}} */
export function verdictForm(onchange) {
  const none = textField("verdicts.none", t("compose.verdicts.none"), { value: "none" });
  const unsure = textField("verdicts.unsure", t("compose.verdicts.unsure"), { value: "unknown" });
  const list = h("ol", { class: "verdict-list" });
  const empty = h("p", { class: "small soft" }, t("compose.verdicts.empty"));
  const rows = new Map(); // verdict -> row, in the order of the list
  let order = [];
  let doubt = null; // where "not sure" stands in the order; null: last

  const titles = { none: textField("", t("compose.verdicts.title")), unsure: textField("", t("compose.verdicts.title")) };
  const move = (name, by) => {
    const at = order.indexOf(name);
    const to = at + by;
    if (to < 0 || to >= order.length) return;
    [order[at], order[to]] = [order[to], order[at]];
    draw();
    const button = rows.get(name)?.element.querySelector(by < 0 ? ".up" : ".down");
    (button?.disabled ? rows.get(name).element.querySelector("button:not(:disabled)") : button)?.focus();
    announce(t("compose.verdicts.moved", { name, place: to + 1 }));
    onchange();
  };
  const rowOf = (name) => {
    if (!rows.has(name)) {
      const title = textField(`verdicts.titles.${name}`, t("compose.verdicts.title"));
      const sure = percentField("second.sure", t("compose.verdicts.sure"), { placeholder: "50" });
      const up = h("button", { class: "button square plain up", type: "button", "aria-label": t("compose.verdicts.up", { name }), onclick: () => move(name, -1) }, "↑");
      const down = h("button", { class: "button square plain down", type: "button", "aria-label": t("compose.verdicts.down", { name }), onclick: () => move(name, 1) }, "↓");
      rows.set(name, { title, sure, up, down, element: h("li", { class: "verdict-row" }, h("div", { class: "verdict-row-head" }, h("code", {}, name), h("span", { class: "verdict-moves" }, up, down)), h("div", { class: "pipe-row" }, title.element, sure.element)) });
    }
    return rows.get(name);
  };
  const draw = () => {
    empty.hidden = order.length > 0;
    list.hidden = !order.length;
    order.forEach((name, place) => {
      const row = rowOf(name);
      row.up.disabled = place === 0;
      row.down.disabled = place === order.length - 1;
    });
    list.replaceChildren(...order.map((name) => rowOf(name).element));
  };
  return {
    element: h(
      "div",
      { class: "pipe-part" },
      h("p", { class: "small soft" }, t("compose.verdicts.text")),
      list,
      empty,
      h("div", { class: "pipe-row" }, none.element, titles.none.element),
      h("div", { class: "pipe-row" }, unsure.element, titles.unsure.element),
    ),
    follow(names) {
      const wanted = [...new Set(names.filter(Boolean))];
      const next = [...order.filter((name) => wanted.includes(name)), ...wanted.filter((name) => !order.includes(name))];
      if (next.join("\n") === order.join("\n")) return;
      order = next;
      draw();
    },
    get() {
      const named = { none: none.input.value.trim(), unsure: unsure.input.value.trim() };
      const words = Object.fromEntries([[named.none, titles.none.input.value], ...order.map((name) => [name, rowOf(name).title.input.value]), [named.unsure, titles.unsure.input.value]].filter(([name, text]) => name && text.trim()));
      const sure = Object.fromEntries(order.map((name) => [name, rowOf(name).sure.get()]).filter(([, value]) => value !== null));
      const full = [...order];
      if (doubt !== null && named.unsure) full.splice(Math.min(doubt, full.length), 0, named.unsure);
      return { sure, verdicts: { ...named, order: full, titles: words } };
    },
    set(told, sure) {
      none.input.value = told.none;
      unsure.input.value = told.unsure;
      titles.none.input.value = told.titles[told.none] ?? "";
      titles.unsure.input.value = told.titles[told.unsure] ?? "";
      doubt = told.order.includes(told.unsure) ? told.order.indexOf(told.unsure) : null;
      order = told.order.filter((name) => name !== told.unsure);
      for (const name of order) {
        rowOf(name).title.input.value = told.titles[name] ?? "";
        rowOf(name).sure.set(sure[name] ?? null);
      }
      draw();
    },
  };
}
