/** Fields of the pipeline form: each knows its place in pipeline.toml, so that a fault finds it. */

import { h } from "../dom.js";
import { t } from "../strings.js";
import "../words/pipelines.js";

let number = 0;

/** A labelled input; `name` is its place in the file. Extra words stand under it. */
export function textField(name, label, { hint, ...props } = {}) {
  const id = `pipe-${++number}`;
  const input = h("input", { class: "field", id, autocomplete: "off", spellcheck: "false", data: { field: name }, ...props });
  const element = h("div", { class: "pipe-field" }, h("label", { for: id, class: "small" }, label), input, hint && h("p", { class: "small soft" }, hint));
  return { element, input };
}

/** A share as a whole percentage; empty is "not given". */
export function percentField(name, label, options = {}) {
  const made = textField(name, label, { type: "number", min: 0, max: 100, step: 1, inputmode: "numeric", ...options });
  return {
    ...made,
    get: () => (made.input.value.trim() === "" ? null : round(Number(made.input.value) / 100)),
    set: (value) => {
      made.input.value = value === null || value === undefined ? "" : String(round(value * 100));
    },
  };
}

export function numberField(name, label, options = {}) {
  const made = textField(name, label, { type: "number", step: "any", ...options });
  return { ...made, get: () => (made.input.value.trim() === "" ? null : Number(made.input.value)), set: (value) => (made.input.value = value ?? "") };
}

export function choiceField(name, label, entries) {
  const id = `pipe-${++number}`;
  const select = h("select", { class: "field", id, data: { field: name } });
  const element = h("div", { class: "pipe-field" }, h("label", { for: id, class: "small" }, label), select);
  const fill = (list) => select.replaceChildren(...list.map(([value, words]) => h("option", { value }, words)));
  fill(entries);
  const set = (value) => {
    if (value && ![...select.options].some((one) => one.value === value)) select.append(h("option", { value }, value));
    select.value = value ?? "";
  };
  return { element, input: select, get: () => select.value, set, fill };
}

const round = (value) => Math.round(value * 1e6) / 1e6;

/** "Somebody walks a dog" -> "somebody-walks-a-dog": what a file or a verdict may be called. */
export const slug = (text) => text.toLowerCase().normalize("NFKD").replace(/[^a-z0-9]+/g, "-").replace(/^-+|-+$/g, "").slice(0, 64);

/** At its field a fault need not say where it is. */
function plain({ field, message }) {
  const words = message.startsWith(`${field}: `) ? message.slice(field.length + 2) : message;
  return words[0].toUpperCase() + words.slice(1);
}

/** Puts each fault at its field; what has none is given back. Fields that nobody touched stay calm unless `all`. */
export function showFaults(form, faults, touched, all) {
  for (const old of form.querySelectorAll(".field-fault")) old.remove();
  for (const field of form.querySelectorAll("[aria-invalid]")) {
    field.removeAttribute("aria-invalid");
    field.removeAttribute("aria-describedby");
  }
  const homeless = [];
  const fields = [...form.querySelectorAll("[data-field]")].filter((field) => !field.closest("[hidden]"));
  for (const fault of faults) {
    const home = fields.find((field) => field.dataset.field === fault.field) ?? fields.findLast((field) => fault.field && (fault.field.startsWith(`${field.dataset.field}.`) || field.dataset.field.startsWith(`${fault.field}.`)));
    if (!home) {
      homeless.push(fault);
      continue;
    }
    if (!all && !touched.has(home)) continue;
    const id = `${home.id || home.dataset.field}-fault`;
    if (document.getElementById(id)) continue; // one sentence at a field is enough
    home.setAttribute("aria-invalid", "true");
    home.setAttribute("aria-describedby", id);
    home.after(h("p", { class: "field-fault small", id }, `${plain(fault)} ${fault.next_step === t("compose.how") ? "" : fault.next_step}`.trim()));
  }
  return homeless;
}
