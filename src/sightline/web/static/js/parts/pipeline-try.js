/** A pipeline on a picture before it is kept: a sample, or one of the visitor's own. Nothing is stored. */

import { fetchPicture, listSamples, tryPipeline } from "../api.js";
import { announce, h, icon } from "../dom.js";
import { toResult } from "../filter.js";
import { t } from "../strings.js";
import "../words/pipelines.js";
import { choose, onPictures } from "./intake.js";
import { Overlay } from "./overlay.js";
import { problemBox } from "./problem.js";
import { Stage } from "./stage.js";
import { verdictBox, verdictChip } from "./verdict.js";

/** @param {() => object} read gives the pipeline as it stands */
export function trial(read, signal) {
  const room = h("div", { class: "trial-room" });
  const words = h("div", { class: "trial-words", role: "status" });
  const samples = h("div", { class: "trial-samples", role: "group", "aria-label": t("compose.try.samples") });
  const again = h("button", { class: "button", type: "button", hidden: true, onclick: () => look() }, icon("again"), t("compose.try.again"));
  let picture = null;
  let stage = null;
  let shown = null;
  let turn = 0;

  async function look() {
    if (!picture) return;
    const mine = ++turn;
    words.replaceChildren(h("p", { class: "soft" }, t("compose.try.looking")));
    try {
      const result = toResult(await tryPipeline(read(), picture, signal));
      if (mine !== turn || signal.aborted) return;
      draw(result);
      announce(`${result.verdict.title}`);
    } catch (problem) {
      if (mine !== turn || problem.name === "AbortError") return;
      clear();
      words.replaceChildren(problemBox(problem));
    }
    again.hidden = false;
  }

  function clear() {
    stage?.close();
    stage = null;
    room.replaceChildren();
    if (shown) URL.revokeObjectURL(shown);
    shown = null;
  }

  function draw(result) {
    clear();
    const overlay = new Overlay(result, { onhover: () => undefined, onpick: () => undefined });
    stage = new Stage({ label: t("compose.try.stage", { verdict: result.verdict.title }), onview: (view) => overlay.place(view) });
    stage.add(overlay.canvas);
    stage.element.append(overlay.svg, verdictChip(result.verdict));
    room.replaceChildren(stage.element);
    shown = URL.createObjectURL(picture);
    stage.show(shown, result.width, result.height);
    overlay.show(result.predictions.filter((one) => one.score >= 0.3 || one.verdict));
    words.replaceChildren(verdictBox(result.verdict));
  }

  const take = ({ files = [] }) => {
    if (!files.length) return;
    [picture] = files;
    look();
  };
  onPictures(take, signal);
  signal.addEventListener("abort", clear);
  listSamples().then(
    (list) =>
      samples.replaceChildren(
        ...list.slice(0, 6).map((sample) => {
          const open = async () => {
            try {
              take({ files: [new File([await fetchPicture(sample.url, signal)], sample.url.split("/").pop())] });
            } catch (problem) {
              if (problem.name !== "AbortError") words.replaceChildren(problemBox(problem));
            }
          };
          return h("button", { class: "trial-sample", type: "button", "aria-label": t("compose.try.sample", { title: sample.title }), onclick: open }, h("img", { src: sample.url, alt: "", width: 64, height: 48, loading: "lazy" }));
        }),
      ),
    () => samples.remove(),
  );
  const element = h(
    "section",
    { class: "card pipe-card", "aria-labelledby": "trial-title" },
    h("h2", { id: "trial-title" }, t("compose.try")),
    h("p", { class: "small soft" }, t("compose.try.text")),
    samples,
    h("div", { class: "pipe-buttons" }, h("button", { class: "button", type: "button", onclick: choose }, icon("upload"), t("compose.try.choose")), again),
    room,
    words,
  );
  return { element };
}
