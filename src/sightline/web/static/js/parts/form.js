/** Forms whose faults stand at the field: in words, with the focus there. An empty field is never a number. */

import { h } from "../dom.js";
import { t } from "../strings.js";
import { problemBox } from "./problem.js";

/** A label, its field, and room for what is wrong with it. */
export function formField(label, input, hint) {
  const words = hint && h("p", { class: "small soft", id: `${input.id}-hint` }, hint);
  if (words) input.setAttribute("aria-describedby", words.id);
  input.addEventListener("input", () => clear(input));
  return h("div", { class: "form-field" }, h("label", { for: input.id, class: "small" }, label), input, words);
}

/** Buttons, and room beside them for what is wrong with no field of its own. */
export function formEnd(...buttons) {
  return h("div", { class: "form-end" }, h("div", { class: "form-trouble", tabindex: "-1" }), h("div", { class: "form-buttons" }, buttons));
}

/** What is wrong with a field as it stands; "" where nothing is. Its `data-wanted` names words of its own. */
export function faultOf(input) {
  const { validity } = input;
  if (validity.valid) return "";
  if (input.dataset.wanted && !validity.valueMissing) return t(`form.wanted.${input.dataset.wanted}`);
  if (input.type === "number") return t(input.step === "any" ? "form.number" : "form.whole", { min: Number(input.min), max: Number(input.max) });
  return t(validity.valueMissing ? "form.missing" : "form.off");
}

/** Whether all fields will do; those that will not say so, and the first of them gets the focus. */
export function allSound(form) {
  const off = [...form.querySelectorAll("input, select")].filter((input) => {
    const words = faultOf(input);
    if (words) mark(input, words);
    else clear(input);
    return words;
  });
  off[0]?.focus();
  if (!off.length) form.querySelector(".form-trouble").replaceChildren();
  return !off.length;
}

/** Says what is wrong at a field, and goes there. */
export function refuseAt(input, words) {
  mark(input, words);
  input.focus();
}

/** A refusal of the server: at the field that it names, else beside the button. */
export function refuse(form, problem, input) {
  if (input) {
    const plain = problem.field && problem.message.startsWith(`${problem.field}`) ? problem.message.replace(/^\S+: /, "") : problem.message;
    const said = plain.charAt(0).toUpperCase() + plain.slice(1);
    refuseAt(input, [said, problem.nextStep.includes("/api/docs") || problem.nextStep.includes("docs/") ? "" : problem.nextStep].filter(Boolean).join(" "));
    return;
  }
  const trouble = form.querySelector(".form-trouble");
  trouble.replaceChildren(problemBox(problem));
  trouble.focus();
}

/** A field's number; null where it is empty. */
export const numberIn = (input) => (input.value.trim() === "" ? null : Number(input.value));

function mark(input, words) {
  clear(input);
  const id = `${input.id}-fault`;
  input.setAttribute("aria-invalid", "true");
  const hint = input.getAttribute("aria-describedby");
  input.setAttribute("aria-describedby", [id, hint].filter(Boolean).join(" "));
  input.after(h("p", { class: "small field-fault", role: "alert", id }, words));
}

function clear(input) {
  const old = document.getElementById(`${input.id}-fault`);
  if (!old) return;
  old.remove();
  input.removeAttribute("aria-invalid");
  const rest = (input.getAttribute("aria-describedby") ?? "").replace(`${input.id}-fault`, "").trim();
  if (rest) input.setAttribute("aria-describedby", rest);
  else input.removeAttribute("aria-describedby");
}
