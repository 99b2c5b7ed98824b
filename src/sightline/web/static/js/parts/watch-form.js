/** A watch as a form: which camera, how often, with which model; for a new one, or one that is there. */

import { listModels } from "../api.js";
import { h } from "../dom.js";
import { sizeWords, titleOf } from "../models-data.js";
import { t } from "../strings.js";
import "../words/watches.js";
import { allSound, formEnd, formField, numberIn, refuse } from "./form.js";

/**
 * @param {object | null} watch one that is there, to change it
 * @param {{send: (wish: object) => Promise<void>, cancel: () => void}} handlers `send` may refuse with a Problem
 */
export function watchForm(watch, { send, cancel }) {
  const input = (name, props) => h("input", { class: "field", id: `watch-${name}`, autocomplete: "off", ...props });
  const source = input("source", { required: !watch, spellcheck: "false", placeholder: watch ? watch.source : "rtsp://camera.lan/stream1", pattern: "((rtsps?|https?)://\\S+|/dev/video[0-9]{1,3}|[0-9]{1,3})", data: { wanted: "camera" } });
  const name = input("name", { maxlength: 200, value: watch?.name ?? "" });
  const every = input("every", { type: "number", required: true, min: 0, max: 86400, step: "any", value: watch?.every_s ?? 10 });
  const score = input("score", { type: "number", min: 0, max: 100, step: "any", value: typeof watch?.min_score === "number" ? Math.round(1e4 * watch.min_score) / 100 : "", placeholder: t("watches.new.score.own") });
  const motion = h("input", { type: "checkbox", id: "watch-motion", checked: watch?.motion ?? false });
  const store = h("input", { type: "checkbox", id: "watch-store", checked: watch?.store ?? false });
  const model = h("select", { class: "field", id: "watch-model" }, h("option", { value: "" }, t("watches.new.model.any")));
  const size = h("select", { class: "field", id: "watch-size" });
  const sizeField = formField(t("watches.new.size"), size);
  const fields = { source, name, every_s: every, min_score: score, model, size };
  offerModels(watch, model, size, sizeField);

  const read = () => ({
    source: source.value.trim(),
    name: name.value.trim(),
    every_s: numberIn(every),
    motion: motion.checked,
    store: store.checked,
    model: model.value || null,
    min_score: score.value === "" ? null : Number(score.value) / 100,
    size: Number(size.value) || null,
    ...(watch?.labels && { labels: watch.labels }),
  });
  const submit = async (event) => {
    event.preventDefault();
    const form = event.target;
    if (!allSound(form)) return;
    try {
      await send(read());
      form.reset();
      model.dispatchEvent(new Event("change"));
    } catch (problem) {
      refuse(form, problem, fields[problem.field]);
    }
  };
  return h(
    "form",
    { class: "card watch-form", onsubmit: submit, novalidate: true, "aria-labelledby": "watches-new" },
    h("h2", { id: "watches-new", tabindex: "-1" }, watch ? t("watches.change", { name: watch.name }) : t("watches.new")),
    formField(t("watches.new.source"), source, watch && t("watches.change.source")),
    formField(t("watches.new.name"), name),
    formField(t("watches.new.every"), every, t("watches.new.every.hint")),
    formField(t("watches.new.model"), model),
    sizeField,
    formField(t("watches.new.score"), score),
    h("label", { class: "check" }, motion, h("span", {}, t("watches.new.motion"))),
    h("label", { class: "check" }, store, h("span", {}, t("watches.new.store"))),
    h("p", { class: "small soft" }, t("watches.new.private")),
    formEnd(
      h("button", { class: "button main-action", type: "submit" }, t(watch ? "watches.change.save" : "watches.new.make")),
      watch && h("button", { class: "button", type: "button", onclick: cancel }, t("watches.change.cancel")),
    ),
  );
}

/** The models and pipelines that are here; a size only where the model has several. */
async function offerModels(watch, model, size, sizeField) {
  sizeField.hidden = true;
  const models = await listModels().catch(() => []);
  const wanted = watch?.model ?? "";
  model.append(...models.map((one) => h("option", { value: one.name, selected: one.name === wanted }, t("watches.new.model.one", { title: titleOf(one), task: t(`model.task.${one.task}`) }))));
  if (wanted && !models.some((one) => one.name === wanted)) model.append(h("option", { value: wanted, selected: true }, wanted));
  const sizes = (chosen) => {
    const one = models.find((known) => known.name === model.value);
    sizeField.hidden = !(one?.sizes?.length > 1);
    const all = sizeField.hidden ? [] : one.sizes;
    size.replaceChildren(h("option", { value: "" }, t("watches.new.size.usual")), ...all.map((side) => h("option", { value: side, selected: side === chosen }, sizeWords(one, side))));
    if (sizeField.hidden && chosen) size.append(h("option", { value: chosen, selected: true }, String(chosen)));
  };
  model.addEventListener("change", () => sizes(null));
  sizes(watch?.size ?? null);
}
