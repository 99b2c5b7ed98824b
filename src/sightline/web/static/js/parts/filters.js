/** The threshold and the labels: both act on what is already here. */

import { cssOf } from "../colors.js";
import { h, s } from "../dom.js";
import { countLabels } from "../filter.js";
import { percent, t } from "../strings.js";

/**
 * Every score as a tick above the slider, so one sees beforehand what a step would bring.
 *
 * @param {object} result
 * @param {{min: number, hidden: Set<string>}} state read at each `update`
 * @param {(change: {min?: number}) => void} onchange
 */
export function threshold(result, state, onchange) {
  const floor = Math.min(0.05, ...result.predictions.map((item) => Math.floor(item.score * 100) / 100));
  const input = h("input", { type: "range", id: "min-score", min: Math.round(floor * 100), max: 100, step: 1, "aria-describedby": "min-score-value" });
  const output = h("output", { id: "min-score-value", for: "min-score", class: "numbers" });
  const reset = h("button", { class: "link small", type: "button", onclick: () => onchange({ min: result.minScore }) }, t("result.min.reset", { min: percent(result.minScore) }));
  input.addEventListener("input", () => onchange({ min: Number(input.value) / 100 }));
  const spread = 1 - floor;
  const ticks = result.predictions.slice(0, 200).map((item) => {
    const x = (100 * (item.score - floor)) / spread;
    return s("line", { x1: x, x2: x, y1: 2, y2: 12, stroke: cssOf(item.labelId) });
  });
  const element = h(
    "section",
    { class: "threshold" },
    h("div", { class: "panel-head" }, h("label", { for: "min-score" }, t("result.min")), reset, output),
    h("div", { class: "ticks" }, s("svg", { viewBox: "0 0 100 12", preserveAspectRatio: "none", "aria-hidden": "true" }, ticks)),
    input,
  );
  const update = () => {
    input.value = Math.round(state.min * 100);
    input.setAttribute("aria-valuetext", t("result.min.value", { min: percent(state.min) }));
    output.textContent = percent(state.min);
    reset.classList.toggle("off", Math.abs(state.min - result.minScore) < 0.005);
    reset.tabIndex = reset.classList.contains("off") ? -1 : 0;
    ticks.forEach((tick, at) => tick.setAttribute("opacity", result.predictions[at].score >= state.min ? 1 : 0.35));
  };
  return { element, update };
}

/** One switch per label with its count at the present threshold. */
export function labelSwitches(result, state, onchange) {
  const list = h("div", { class: "switches" });
  const element = h("section", { "aria-labelledby": "labels-title" }, h("div", { class: "panel-head" }, h("h2", { id: "labels-title" }, t("result.labels"))), list);
  const switches = new Map();
  const flip = (label) => {
    const hidden = new Set(state.hidden);
    if (!hidden.delete(label)) hidden.add(label);
    onchange({ hidden });
  };
  const make = ({ label, labelId }) => {
    const dot = h("span", { class: "dot" });
    dot.style.background = cssOf(labelId);
    const count = h("span", { class: "numbers switch-count" });
    const button = h("button", { class: "switch", type: "button", title: t("result.toggle.label", { label }), onclick: () => flip(label) }, dot, h("span", {}, label), count);
    return { button, count };
  };
  const update = () => {
    const counts = countLabels(result.predictions, state.min);
    for (const entry of counts) {
      if (!switches.has(entry.label)) switches.set(entry.label, make(entry));
      const { button, count } = switches.get(entry.label);
      count.textContent = entry.count;
      button.setAttribute("aria-pressed", String(!state.hidden.has(entry.label)));
    }
    const wanted = counts.map((entry) => switches.get(entry.label).button);
    // Replacing the same nodes would drop the keyboard focus that stands on one of them.
    if (wanted.length !== list.children.length || wanted.some((node, at) => node !== list.children[at])) {
      const focused = document.activeElement;
      list.replaceChildren(...wanted);
      if (wanted.includes(focused)) focused.focus();
    }
    element.hidden = !wanted.length;
  };
  return { element, update };
}
