/** Models as the page speaks of them, and which one the visitor chose. */

import { bytes, t } from "./strings.js";

const STORE = "sightline.model";

export const chosenName = () => localStorage.getItem(STORE) || "";

export function chooseModel(name) {
  if (name) localStorage.setItem(STORE, name);
  else localStorage.removeItem(STORE);
}

/** The chosen model if it is still there, else the server's default, else the first. */
export function currentModel(models) {
  return models.find((model) => model.name === chosenName()) ?? models.find((model) => model.default) ?? models[0] ?? null;
}

const SIZE_STORE = "sightline.size.";

/** The side of the square that this model is to see pictures on; undefined where it has but one. */
export function chosenSize(model) {
  if (!(model?.sizes?.length > 1)) return undefined;
  const asked = model.size ?? Number(localStorage.getItem(SIZE_STORE + model.name));
  return model.sizes.includes(asked) ? asked : model.default_size;
}

export function chooseSize(model, size) {
  localStorage.setItem(SIZE_STORE + model.name, size);
}

/** "Fast 320", "Normal 416", "Fine 640". */
export function sizeWords(model, size) {
  const kind = size < model.default_size ? "fast" : size > model.default_size ? "fine" : "normal";
  return t(`model.size.${kind}`, { size: String(size) });
}

export const titleOf = (model) => model.title || model.name;

/** Those that can judge as a second stage: one's own come before those that ship. */
export const classifiersOf = (models) => models.filter((model) => model.task === "classify").sort((one, other) => one.bundled - other.bundled);

/** "80 labels · Apache-2.0 · 3.7 MB · 46 % mAP": what decides a choice, in one line. */
export function factsOf(model) {
  const accuracy = accuracyOf(model);
  return [
    t("model.labels", { n: model.labels }),
    !model.licence || model.licence === "unknown" ? t("model.unknown.licence") : model.licence,
    model.bytes ? bytes(model.bytes) : "",
    accuracy ? accuracy.text : "",
  ].filter(Boolean);
}

const NAMES = { map: "mAP", mAP: "mAP", map_50_95: "mAP", "mAP50-95": "mAP", ap: "AP", ap50: "AP50", map50: "mAP50", map_50: "mAP50", top1: "top-1", top_1: "top-1", accuracy: "top-1", miou: "mIoU" };

/**
 * The one figure of `metrics` that says most, with its interval and the number of pictures where they are known:
 * {text: "46 % mAP", interval: "43–49 %", pictures: 162, set: "…"}; null when nothing was measured.
 */
export function accuracyOf(model) {
  const metrics = model.metrics ?? {};
  for (const [key, name] of Object.entries(NAMES)) {
    const found = metrics[key];
    const value = typeof found === "object" && found !== null ? found.value : found;
    if (typeof value !== "number") continue;
    const share = value > 1 ? value / 100 : value;
    const interval = found?.interval ?? metrics[`${key}_interval`] ?? metrics.interval;
    return {
      text: `${(share * 100).toFixed(1)} % ${name}`,
      interval: Array.isArray(interval) ? `${interval.map((v) => ((v > 1 ? v / 100 : v) * 100).toFixed(1)).join("–")} %` : "",
      pictures: metrics.pictures ?? metrics.images ?? metrics.n ?? null,
      set: metrics.data ?? metrics.dataset ?? metrics.set ?? "",
    };
  }
  return null;
}
