/** While one picture is looked at: its preview stands where the result will stand, and words say what happens. */

import { getResult, listModels, predict, predictAddress } from "../api.js";
import { announce, h, icon } from "../dom.js";
import { chosenSize, currentModel, titleOf } from "../models-data.js";
import { go } from "../router.js";
import { percent, t } from "../strings.js";
import { problemBox } from "./problem.js";
import { Stage } from "./stage.js";

const SLOW_MS = 4000;

/**
 * @param {HTMLElement} root the place, whose content this replaces
 * @param {{file?: File, address?: string, model?: object, signal: AbortSignal, back: () => void}} job
 *   without `model` it is the one in use
 */
export function working(root, job) {
  const { file, address, signal, back } = job;
  let model = job.model;
  const stop = new AbortController();
  signal.addEventListener("abort", () => stop.abort());
  const preview = file ? URL.createObjectURL(file) : "";
  const name = file ? file.name || t("app.name") : address;
  const words = h("p", { class: "work-words", role: "status" }, address ? t("work.fetching", { host: new URL(address).host }) : t("work.sending", { percent: percent(0) }));
  const meter = h("progress", { class: "work-meter", max: "1", "aria-label": name });
  const panel = h("div", { class: "panel work-panel" }, words, meter, h("button", { class: "button", type: "button", onclick: cancel }, t("work.stop")));
  const stage = new Stage({ label: name });
  root.replaceChildren(
    h("header", { class: "result-head" }, h("div", { class: "result-title" }, h("h1", { tabindex: "-1" }, name), h("p", { class: "soft" }, "\u00a0"))),
    h("div", { class: "result-body" }, h("div", { class: "result-stage" }, stage.element, h("div", { class: "tools" })), panel),
  );
  root.querySelector("h1").focus({ preventScroll: true });
  if (preview) showPreview(stage, preview);
  const slow = setTimeout(() => {
    words.textContent = t("work.slow");
  }, SLOW_MS);

  function cancel() {
    stop.abort();
    leave();
    URL.revokeObjectURL(preview);
    back();
  }

  function leave() {
    clearTimeout(slow);
    stage.close();
  }

  const onProgress = (share) => {
    if (share < 1) {
      words.textContent = t("work.sending", { percent: percent(share) });
      meter.value = share;
    } else {
      words.textContent = t("work.looking", { model: model ? titleOf(model) : t("app.name") });
      meter.removeAttribute("value");
    }
  };
  const ask = async () => {
    model ??= currentModel(await listModels());
    const options = { name, model: model?.name, size: chosenSize(model), onProgress, signal: stop.signal };
    const answer = await (file ? predict(file, options) : predictAddress(address, options));
    // The answer holds what passes the threshold; the stored record holds everything down to the floor.
    return getResult(answer.id, stop.signal);
  };
  ask().then(
    (json) => {
      leave();
      if (!stop.signal.aborted) go(`/r/${json.id}`, { handoff: { json, preview } });
    },
    (problem) => {
      leave();
      if (stop.signal.aborted || problem.name === "AbortError") return;
      announce(problem.message);
      stage.element.querySelector(".stage-note")?.replaceChildren(icon("picture"));
      panel.replaceChildren(problemBox(problem, { again: () => working(root, job) }), h("button", { class: "button", type: "button", onclick: back }, t("work.other")));
    },
  );
}

function showPreview(stage, preview) {
  stage.image.addEventListener("load", () => stage.show(preview, stage.image.naturalWidth, stage.image.naturalHeight), { once: true });
  stage.image.addEventListener("error", () => {
    stage.image.remove();
    stage.element.append(h("p", { class: "stage-note soft" }, icon("picture"), t("work.nopreview")));
  }, { once: true });
  stage.image.src = preview;
}
