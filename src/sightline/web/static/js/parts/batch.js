/** Several pictures: each its own card with preview, progress and then a link to its result; two at a time. */

import { listModels, predict } from "../api.js";
import { announce, h } from "../dom.js";
import { countLabels, toResult, visible } from "../filter.js";
import { chosenSize, currentModel, sizeWords, titleOf } from "../models-data.js";
import { describe, percent, t } from "../strings.js";
import { mini } from "./mini.js";
import { problemBox } from "./problem.js";

const AT_ONCE = 2;
const NOBODY = new Set();

let current = null;

/** @returns {HTMLElement | null} the list that was begun last, still filling or full, unless it was cleared */
export function lastBatch() {
  return current?.root ?? null;
}

/**
 * A list that fills itself until it is cleared or another one begins; it outlives the place where it began,
 * so that opening one result does not cost the others. All pictures of a list are looked at with the model (and
 * at the size) that was in use when it began, and the list says which: the next choice is for the next pictures.
 * @param {File[]} files
 * @param {object | null} model null before the models are known: then the one in use
 * @returns {HTMLElement}
 */
export function batch(files, model) {
  current?.end();
  const stop = new AbortController();
  const { signal } = stop;
  const end = () => {
    stop.abort();
    for (const { preview } of cards) URL.revokeObjectURL(preview);
  };
  const clear = () => {
    end();
    current = null;
    root.remove();
  };
  const cards = files.map((file) => card(file));
  const using = h("p", { class: "small soft batch-with" });
  const root = h(
    "section",
    { class: "batch", "aria-labelledby": "batch-title" },
    h("div", { class: "samples-head" }, h("h2", { id: "batch-title" }, t("look.batch", { n: files.length })), h("button", { class: "button plain", type: "button", onclick: clear }, t("look.batch.clear"))),
    using,
    h("ul", { class: "batch-list" }, cards.map(({ element }) => element)),
  );
  const waiting = [...cards];
  const begin = async () => {
    const known = model ?? currentModel(await listModels().catch(() => []));
    const used = known && { ...known, size: chosenSize(known) };
    if (used) using.textContent = t("look.batch.with", { model: used.size ? `${titleOf(used)}, ${sizeWords(used, used.size)}` : titleOf(used) });
    const worker = async () => {
      while (waiting.length && !signal.aborted) await waiting.shift().run(used, signal);
    };
    Array.from({ length: AT_ONCE }, worker);
  };
  setTimeout(begin);
  current = { root, end };
  return root;
}

function card(file) {
  const preview = URL.createObjectURL(file);
  const picture = mini(preview);
  picture.querySelector("img").addEventListener("error", (event) => event.target.remove());
  const words = h("span", { class: "small soft" }, t("work.waiting"));
  const meter = h("progress", { class: "work-meter", max: "1", value: "0", "aria-label": file.name });
  const name = h("strong", { class: "batch-name" }, file.name);
  const text = h("div", { class: "batch-text" }, name, words, meter);
  const element = h("li", { class: "batch-card card" }, picture, text);
  const run = async (model, signal) => {
    meter.removeAttribute("value");
    const onProgress = (share) => {
      words.textContent = share < 1 ? t("work.sending", { percent: percent(share) }) : t("work.looking", { model: model?.title || model?.name || t("app.name") });
    };
    try {
      const result = toResult(await predict(file, { name: file.name, model: model?.name, size: chosenSize(model), onProgress, signal }));
      const shown = visible(result.predictions, { min: model?.min_score ?? result.minScore, hidden: NOBODY });
      picture.draw(shown, result.width, result.height);
      const best = result.predictions[0];
      words.textContent = result.task === "classify" && best ? `${best.label}, ${percent(best.score)}` : describe(countLabels(shown, 0));
      name.replaceChildren(h("a", { href: `/r/${result.id}` }, file.name));
      meter.remove();
      announce(`${file.name}: ${words.textContent}`);
    } catch (problem) {
      if (problem.name === "AbortError") return;
      text.replaceChildren(name, problemBox(problem, { again: () => {
        text.replaceChildren(name, words, meter);
        run(model, signal);
      } }));
    }
  };
  return { element, preview, run };
}
