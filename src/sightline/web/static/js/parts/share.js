/** Taking things away: download, copy, delete. Everything matches the filter on screen. */

import { deleteResult, resultPath } from "../api.js";
import { announce, h } from "../dom.js";
import { filterQuery, visible } from "../filter.js";
import { percent, t } from "../strings.js";
import { canCopyPictures, copyPicture, copyText } from "./copy.js";
import { menu } from "./menu.js";
import { removal } from "./removal.js";
import { curlFor, pythonFor } from "./snippets.js";

const stem = (result) => result.source.split(/[\\/?#]/).filter(Boolean).pop()?.replace(/\.\w{2,5}$/, "") || result.id;

/** Where the picture with this drawing is: the same threshold and labels as on screen. */
export const annotatedPath = (result, state) => `${resultPath(result.id)}/annotated?${filterQuery(result, state)}`;

export function downloadMenu(result, state) {
  return menu(t("result.download"), "download", () => {
    const query = filterQuery(result, state);
    const name = stem(result);
    const entry = (text, path, file, note) => h("a", { href: path, download: file }, h("span", {}, text), note && h("span", { class: "small" }, note));
    const table = (text, ending, file = `${name}.${ending}`) => entry(text, `${resultPath(result.id)}.${ending}?${query}`, file, `.${ending}`);
    const exports = [table(t("result.download.json"), "json"), table(t("result.download.csv"), "csv")];
    if (result.task !== "classify") {
      exports.push(table(t("result.download.coco"), "coco.json"), table(t("result.download.yolo"), "yolo.txt"), table(t("result.download.voc"), "voc.xml"));
    }
    return [
      entry(t("result.download.annotated"), annotatedPath(result, state), `${name}-seen.jpg`, t("result.download.annotated.note", { min: percent(state.min) })),
      entry(t("result.download.image"), `${resultPath(result.id)}/image`, name),
      ...exports,
    ];
  });
}

/** @param {object} json the result as the server sent it */
export function copyMenu(result, state, json) {
  const label = t("result.copy");
  const root = menu(label, "copy", () => {
    const entry = (text, action) => h("button", { type: "button", onclick: async () => flash((await action()) ? t("copied") : t("copied.not")) }, text);
    const entries = [
      entry(t("result.copy.link"), () => copyText(location.href)),
      entry(t("result.copy.curl"), () => copyText(curlFor(result, state))),
      entry(t("result.copy.python"), () => copyText(pythonFor(result, state))),
      entry(t("result.copy.json"), () => copyText(shownJson(result, state, json))),
    ];
    if (canCopyPictures()) entries.push(entry(t("result.copy.image"), () => copyPicture(annotatedPath(result, state))));
    return entries;
  });
  const words = root.querySelector("button span");
  let timer;
  const flash = (text) => {
    words.textContent = text;
    clearTimeout(timer);
    timer = setTimeout(() => {
      words.textContent = label;
    }, 1600);
  };
  return root;
}

function shownJson(result, state, json) {
  const kept = new Set(visible(result.predictions, state).map((item) => item.index));
  return JSON.stringify({ ...json, predictions: json.predictions.filter((_, index) => kept.has(index)) }, null, 2);
}

/** `ondone` runs when the result is gone. */
export function deleteButton(id, ondone, onproblem) {
  return removal(t("result.delete"), async (back) => {
    try {
      await deleteResult(id);
      announce(t("result.deleted"));
      ondone();
    } catch (problem) {
      back();
      onproblem(problem);
    }
  });
}
