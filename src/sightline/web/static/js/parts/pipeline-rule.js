/** Stage two as a rule: what speaks for a verdict, and where around the box it has to be. */

import { h, icon, s } from "../dom.js";
import { percent, t } from "../strings.js";
import "../words/pipelines.js";
import { labelChoice } from "./label-choice.js";
import { numberField, percentField, textField } from "./pipeline-fields.js";

const sigmoid = (x) => 1 / (1 + Math.exp(-x));
const ZONE = [-0.5, 0, 1.5, 1.2];

/** @returns {{element: HTMLElement, get: () => object, set: (rule: object, verdicts: object) => void, offer: (labels: string[]) => void}} */
export function ruleForm(onchange) {
  const says = textField("second.rule.says", t("compose.rule.says"), { placeholder: "rider" });
  const otherwise = textField("second.rule.otherwise", t("compose.rule.otherwise"), { placeholder: "human" });
  const bias = numberField("second.rule.bias", t("compose.rule.bias"), { step: 0.1, value: -2 });
  const words = h("p", { class: "small soft" });
  const room = h("div", { class: "sign-list" });
  const add = h("button", { class: "button", type: "button" }, icon("plus"), t("compose.sign.add"));
  let signs = [];
  let offered = [];
  let kept = {}; // labels of a rule that was written elsewhere may differ from its verdicts

  const sayBias = () => (words.textContent = t("compose.rule.bias.words", { score: percent(sigmoid(bias.get() ?? 0)) }));
  const append = (given) => {
    const sign = signForm(signs.length, given, onchange, () => {
      signs = signs.filter((one) => one !== sign);
      sign.element.remove();
      signs.forEach((one, place) => one.number(place));
      add.focus();
      onchange();
    });
    sign.offer(offered);
    signs.push(sign);
    room.append(sign.element);
    return sign;
  };
  add.addEventListener("click", () => {
    append({}).focus();
    onchange();
  });
  bias.input.addEventListener("input", sayBias);
  sayBias();
  append({});
  return {
    element: h("div", { class: "pipe-part" }, h("div", { class: "pipe-row" }, says.element, otherwise.element), h("div", { class: "pipe-row" }, h("div", {}, bias.element, words)), room, add),
    get() {
      const label = (field, key) => (kept[key] && kept[key].verdict === field.input.value.trim() ? kept[key].label : field.input.value.trim());
      const [yes, no] = [label(says, "says"), label(otherwise, "otherwise")];
      return { rule: { says: yes, otherwise: no, bias: bias.get(), signs: signs.map((sign) => sign.get()) }, verdicts: { [yes]: says.input.value.trim(), [no]: otherwise.input.value.trim() } };
    },
    set(rule, verdicts) {
      kept = { says: { label: rule.says, verdict: verdicts[rule.says] ?? rule.says }, otherwise: { label: rule.otherwise, verdict: verdicts[rule.otherwise] ?? rule.otherwise } };
      says.input.value = kept.says.verdict;
      otherwise.input.value = kept.otherwise.verdict;
      bias.set(rule.bias);
      sayBias();
      signs = [];
      room.replaceChildren();
      for (const sign of rule.signs) append(sign);
    },
    offer(labels) {
      offered = labels;
      for (const sign of signs) sign.offer(labels);
    },
  };
}

function signForm(place, given, onchange, onremove) {
  const labels = labelChoice({ name: "", label: t("compose.sign.labels"), onchange });
  const zone = ZONE.map((usual, at) => numberField("", t(`compose.zone.${at}`), { step: 0.1, value: given.zone?.[at] ?? usual }));
  const weight = numberField("", t("compose.sign.weight"), { step: 0.1, value: given.weight ?? 5 });
  const least = percentField("", t("compose.sign.min"));
  least.set(given.min_score ?? 0.05);
  const title = h("h4", {});
  const picture = h("div", { class: "zone-picture" });
  const draw = () => picture.replaceChildren(zonePicture(zone.map((one) => one.get() ?? 0)));
  for (const one of zone) one.input.addEventListener("input", draw);
  labels.set(given.labels ?? []);
  const element = h(
    "fieldset",
    { class: "sign-form" },
    h("div", { class: "sign-head" }, title, h("button", { class: "button square plain", type: "button", "aria-label": t("compose.sign.remove"), title: t("compose.sign.remove"), onclick: () => onremove() }, icon("trash"))),
    labels,
    h("div", { class: "sign-zone" }, picture, h("div", { class: "zone-fields" }, zone.map((one) => one.element))),
    h("div", { class: "pipe-row" }, weight.element, least.element),
    h("p", { class: "small soft" }, t("compose.sign.words")),
  );
  const number = (at) => {
    const name = `second.rule.signs.${at}`;
    title.textContent = t("compose.sign", { number: at + 1 });
    labels.querySelector("input").dataset.field = `${name}.labels`;
    zone.forEach((one) => (one.input.dataset.field = `${name}.zone`));
    weight.input.dataset.field = `${name}.weight`;
    least.input.dataset.field = `${name}.min_score`;
  };
  number(place);
  draw();
  return {
    element,
    number,
    offer: (list) => labels.offer(list),
    focus: () => labels.querySelector("input").focus(),
    get: () => ({ ...given, labels: labels.get(), zone: zone.map((one) => one.get()), weight: weight.get(), min_score: least.get() }),
  };
}

/** The box of what stage one found, and the zone around it. */
function zonePicture([x1, y1, x2, y2]) {
  const low = [Math.min(0, x1) - 0.15, Math.min(0, y1) - 0.15];
  const size = [Math.max(1, x2) + 0.15 - low[0], Math.max(1, y2) + 0.15 - low[1]];
  // A person's box is about twice as high as wide.
  const rect = (a, b, c, d, name) => s("rect", { x: a * 50, y: b * 100, width: Math.max(0, c - a) * 50, height: Math.max(0, d - b) * 100, class: name });
  return s("svg", { viewBox: [low[0] * 50, low[1] * 100, size[0] * 50, size[1] * 100].join(" "), role: "img", "aria-label": t("compose.zone.picture") }, rect(x1, y1, x2, y2, "zone"), rect(0, 0, 1, 1, "person"));
}
