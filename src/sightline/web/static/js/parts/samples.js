/** Sample pictures with what the model in use really sees in them, asked as soon as they are on screen. */

import { fetchPicture, listSamples, predict } from "../api.js";
import { h } from "../dom.js";
import { countLabels, toResult, visible } from "../filter.js";
import { chosenSize, titleOf } from "../models-data.js";
import { describe, percent, t } from "../strings.js";
import { mini } from "./mini.js";
import { problemBox } from "./problem.js";

const PLACES = 6;

/** @param {(file: File) => void} onopen */
export function samples(onopen, signal) {
  const grid = h("ul", { class: "samples" }, Array.from({ length: PLACES }, () => h("li", { class: "sample waiting" })));
  const note = h("p", { class: "small soft samples-note" }, " ");
  const credits = h("details", { class: "credits small" }, h("summary", {}, t("look.credit")));
  const root = h("section", { "aria-labelledby": "samples-title" }, h("div", { class: "samples-head" }, h("h2", { id: "samples-title" }, t("look.samples")), note), grid, credits);
  let cards = [];
  let turn = 0;
  const ready = listSamples().then(
    (list) => {
      cards = list.slice(0, PLACES).map((sample) => card(sample, onopen));
      grid.replaceChildren(...cards.map(({ element }) => element));
      credits.append(h("ul", {}, list.map(credit)));
    },
    (problem) => grid.replaceWith(problemBox(problem, { title: t("look.samples.failed") })),
  );
  /** Looks at every sample with this model, one after the other. */
  root.lookWith = async (model) => {
    const mine = ++turn;
    await ready;
    for (const entry of cards) entry.forget();
    note.textContent = t("work.looking", { model: titleOf(model) });
    for (const entry of cards) {
      if (mine !== turn || signal.aborted) return;
      try {
        await entry.look(model, signal);
      } catch {
        // A sample without boxes is still a sample: opening it shows the reason.
        if (mine === turn) note.textContent = "";
        return;
      }
    }
    if (mine === turn) note.textContent = t("look.samples.note", { model: titleOf(model) });
  };
  return root;
}

const hostOf = (address) => address.replace(/^https?:\/\//, "").split("/")[0];

function credit(sample) {
  const author = /^see /.test(sample.author ?? "") ? "" : sample.author;
  return h(
    "li",
    {},
    `${sample.title}: `,
    author && `${author}, `,
    sample.licence_url ? h("a", { href: sample.licence_url, rel: "external" }, sample.licence) : sample.licence,
    sample.page && [", ", h("a", { href: sample.page, rel: "external" }, hostOf(sample.page))],
    sample.changes ? `, ${sample.changes}` : "",
  );
}

function card(sample, onopen) {
  const picture = mini(sample.url, sample.alt);
  const caption = h("span", { class: "sample-text" }, sample.title);
  const button = h("button", { type: "button", class: "sample-open" }, picture, h("span", { class: "sample-caption" }, caption));
  let bytes = null;
  const file = async (signal) => {
    bytes ??= await fetchPicture(sample.url, signal);
    return new File([bytes], sample.url.split("/").pop(), { type: bytes.type });
  };
  button.addEventListener("click", async () => {
    try {
      onopen(await file());
    } catch {
      caption.textContent = t("look.samples.failed");
    }
  });
  return {
    element: h("li", { class: "sample" }, button),
    forget() {
      caption.textContent = sample.title;
      picture.draw([], 1, 1);
    },
    async look(model, signal) {
      const result = toResult(await predict(await file(signal), { name: "sample", model: model.name, size: chosenSize(model), store: false, signal }));
      const filter = { min: model.min_score, hidden: new Set() };
      const shown = visible(result.predictions, filter);
      picture.draw(shown, result.width, result.height);
      const best = result.predictions[0];
      caption.textContent = result.task === "classify" && best ? `${best.label}, ${percent(best.score)}` : describe(countLabels(shown, 0), 3);
      button.setAttribute("aria-label", t("look.open.sample", { title: sample.title, found: caption.textContent }));
    },
  };
}
