/** Stage two as a classifier: which one, what it sees, and what each of its labels means. */

import { getModel } from "../api.js";
import { h, icon } from "../dom.js";
import { classifiersOf, titleOf } from "../models-data.js";
import { t } from "../strings.js";
import "../words/pipelines.js";
import { choiceField, percentField, slug } from "./pipeline-fields.js";

const ROWS_AT_ONCE = 12;

/** @returns {{element: HTMLElement, get: () => object, set: (second: object, crop: object) => Promise<void>}} */
export function classifierForm(models, onchange) {
  const known = classifiersOf(models);
  const model = choiceField("second.model", t("compose.second.model"), [["", t("compose.choose")], ...known.map((one) => [one.name, titleOf(one)])]);
  const of = choiceField("crop.of", t("compose.crop"), [["box", t("compose.crop.box")], ["frame", t("compose.crop.frame")]]);
  const margin = percentField("crop.margin", t("compose.crop.margin"), { max: 200 });
  margin.set(0.1);
  const mapping = mappingForm(onchange);
  const follow = () => {
    margin.element.hidden = of.get() === "frame";
  };
  of.input.addEventListener("change", follow);
  model.input.addEventListener("change", async () => {
    const labels = await labelsOf(model.get());
    mapping.offer(labels);
    mapping.set(labels.length <= ROWS_AT_ONCE ? Object.fromEntries(labels.map((label) => [label, slug(label)])) : {});
    onchange();
  });
  return {
    element: h("div", { class: "pipe-part" }, !known.length && h("p", { class: "soft" }, t("compose.second.none")), model.element, h("div", { class: "pipe-row" }, of.element, margin.element), mapping.element),
    get: () => ({ model: model.get(), verdicts: mapping.get(), crop: of.get() === "frame" ? { of: "frame" } : { of: "box", margin: margin.get() ?? 0 } }),
    async set(second, crop) {
      model.set(second.model);
      of.set(crop.of ?? "box");
      margin.set(crop.margin ?? 0.1);
      follow();
      mapping.set(second.verdicts);
      mapping.offer(await labelsOf(second.model));
    },
  };
}

/** The labels of a model; none where it is not here. */
export const labelsOf = (name) => (name ? getModel(name.split("@")[0]).then((model) => model.label_names, () => []) : Promise.resolve([]));

/** Label -> verdict, a row each. Verdicts may be new words. */
function mappingForm(onchange) {
  const rows = h("div", { class: "mapping-rows" });
  const labels = h("datalist", { id: `mapping-${Math.random().toString(36).slice(2)}` });
  const add = h("button", { class: "button", type: "button" }, icon("plus"), t("compose.mapping.add"));
  const row = (label, verdict) => {
    const left = h("input", { class: "field", value: label, list: labels.id, autocomplete: "off", spellcheck: "false", "aria-label": t("compose.mapping.label"), data: { field: "second.verdicts" } });
    const right = h("input", { class: "field", value: verdict, autocomplete: "off", spellcheck: "false", "aria-label": t("compose.mapping.verdict", { label }), data: { field: "second.verdicts" } });
    const element = h("div", { class: "mapping-row" }, left, h("span", { "aria-hidden": "true" }, "→"), right);
    const remove = h("button", { class: "button square plain", type: "button", "aria-label": t("compose.mapping.remove", { label }), onclick: () => gone(element) }, icon("close"));
    element.append(remove);
    left.addEventListener("change", () => {
      if (!right.value.trim()) right.value = slug(left.value);
      right.setAttribute("aria-label", t("compose.mapping.verdict", { label: left.value }));
      remove.setAttribute("aria-label", t("compose.mapping.remove", { label: left.value }));
    });
    return element;
  };
  const gone = (element) => {
    element.remove();
    add.focus();
    onchange();
  };
  add.addEventListener("click", () => {
    const made = row("", "");
    rows.append(made);
    made.querySelector("input").focus();
  });
  return {
    element: h("fieldset", { class: "mapping" }, h("legend", { class: "small" }, t("compose.mapping")), rows, labels, add),
    offer: (list) => labels.replaceChildren(...list.slice(0, 2000).map((value) => h("option", { value }))),
    set: (given) => rows.replaceChildren(...Object.entries(given).map(([label, verdict]) => row(label, verdict))),
    get: () => Object.fromEntries([...rows.children].map((one) => [...one.querySelectorAll("input")].map((input) => input.value.trim())).filter(([label]) => label)),
  };
}
