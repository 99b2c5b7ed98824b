/** Some of many labels: chips, and a field that suggests the rest. */

import { announce, h, icon } from "../dom.js";
import { t } from "../strings.js";
import "../words/pipelines.js";

let number = 0;

/**
 * @param {{name: string, label: string, onchange: () => void}} options `name` is the field of the pipeline
 * @returns an element with `get()`, `set(values)` and `offer(labels)`
 */
export function labelChoice({ name, label, onchange }) {
  const id = `labels-${++number}`;
  const list = h("datalist", { id: `${id}-list` });
  const field = h("input", { class: "field", id, list: list.id, autocomplete: "off", spellcheck: "false", placeholder: t("compose.labels.add"), data: { field: name } });
  const chips = h("ul", { class: "label-chips", "aria-label": t("compose.labels.chosen", { label }) });
  let values = [];
  let offered = [];

  const draw = () => {
    chips.hidden = !values.length;
    chips.replaceChildren(
      ...values.map((value) =>
        h("li", {}, h("span", {}, value), h("button", { class: "label-chip-remove", type: "button", "aria-label": t("compose.labels.remove", { label: value }), onclick: () => remove(value) }, icon("close"))),
      ),
    );
    list.replaceChildren(...offered.filter((value) => !values.includes(value)).slice(0, 1000).map((value) => h("option", { value })));
  };
  const remove = (value) => {
    values = values.filter((one) => one !== value);
    draw();
    field.focus();
    announce(t("compose.labels.removed", { label: value }));
    onchange();
  };
  const add = () => {
    const given = field.value.split(",").map((one) => one.trim()).filter((one) => one && !values.includes(one));
    if (!given.length) return;
    values = [...values, ...given];
    field.value = "";
    draw();
    onchange();
  };
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== ",") return;
    if (event.key === "Enter" && !field.value.trim()) return;
    event.preventDefault();
    add();
  });
  field.addEventListener("change", add); // a suggestion was taken, or the field was left
  field.addEventListener("input", () => offered.includes(field.value) && !offered.some((one) => one !== field.value && one.startsWith(field.value)) && add());
  draw();
  const element = h("div", { class: "label-choice" }, h("label", { for: id, class: "small" }, label), chips, field, list);
  element.get = () => values;
  element.set = (given) => {
    values = [...given];
    draw();
  };
  element.offer = (labels) => {
    offered = labels;
    draw();
  };
  return element;
}
