/** Work that is no looking: judging a model on labelled pictures, and taking a model in. */

import { listModels } from "../api.js";
import { h, icon } from "../dom.js";
import { titleOf } from "../models-data.js";
import { t } from "../strings.js";
import "../words/jobs.js";

/** @param {(files: File[], form: {field: string, fields: object}) => void} start */
export function otherWork(start) {
  const details = h("details", { class: "job-other" }, h("summary", {}, t("other.title")));
  details.addEventListener("toggle", () => {
    if (details.open && details.childElementCount === 1) details.append(h("div", { class: "job-other-room" }, judging(start), takingIn(start)));
  });
  return details;
}

function judging(start) {
  const model = h("select", { class: "field", id: "judge-model" });
  const words = h("p", { class: "small soft" });
  listModels().then(
    (models) => model.replaceChildren(...models.map((one) => h("option", { value: one.name }, titleOf(one)))),
    (problem) => words.replaceChildren(problem.message),
  );
  const send = (file) => start([file], { field: "archive", fields: { kind: "evaluate", options: JSON.stringify({ model: model.value }) } });
  return part("other.judge", ".zip,application/zip", send, h("label", { for: model.id, class: "small" }, t("other.judge.model")), model, words);
}

function takingIn(start) {
  const name = h("input", { class: "field", id: "import-name", autocomplete: "off", spellcheck: "false", pattern: "[a-z0-9][a-z0-9._\\-]*", placeholder: t("other.import.name.eg") });
  const send = (file) => start([file], { field: "bundle", fields: { kind: "import", options: JSON.stringify(name.value.trim() ? { name: name.value.trim() } : {}) } });
  return part("other.import", ".onnx,.zip,.toml", send, h("label", { for: name.id, class: "small" }, t("other.import.name")), name);
}

function part(key, accept, send, ...fields) {
  const picker = h("input", { type: "file", hidden: true, accept, id: `${key.replace(".", "-")}-picker`, "aria-label": t(`${key}.choose`) });
  picker.addEventListener("change", () => {
    if (picker.files.length) send(picker.files[0]);
    picker.value = "";
  });
  const button = h("button", { class: "button", type: "button", onclick: () => picker.click() }, icon("upload"), t(`${key}.choose`));
  return h("section", { class: "card job-other-part", "aria-label": t(key) }, h("h2", {}, t(key)), h("p", { class: "small soft" }, t(`${key}.text`)), fields, picker, button);
}
