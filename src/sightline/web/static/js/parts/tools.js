/** The row under the picture: names, masks and their opacity, the whole drawing, zoom. */

import { h, icon } from "../dom.js";
import { t } from "../strings.js";

/**
 * @param {{names: boolean, masks: boolean, drawing: boolean, opacity: number}} look changed in place
 * @param {{hasBoxes: boolean, hasMasks: boolean, stage: object, onchange: () => void}} options
 */
export function tools(look, { hasBoxes, hasMasks, stage, onchange }) {
  const toggles = [];
  const toggle = (name, iconName, text, key) => {
    const button = h("button", { class: "button plain", type: "button", "aria-keyshortcuts": key, title: `${t(text)} (${key})` }, icon(iconName), h("span", {}, t(text)));
    button.addEventListener("click", () => {
      look[name] = !look[name];
      onchange();
    });
    toggles.push(() => button.setAttribute("aria-pressed", String(look[name])));
    return button;
  };
  const square = (iconName, text, action) => h("button", { class: "button plain square", type: "button", "aria-label": t(text), title: t(text), onclick: action }, icon(iconName));
  const opacity = h("input", { type: "range", min: 5, max: 90, step: 5, value: Math.round(look.opacity * 100), "aria-label": t("result.opacity"), title: t("result.opacity") });
  opacity.addEventListener("input", () => {
    look.opacity = Number(opacity.value) / 100;
    onchange();
  });
  const element = h(
    "div",
    { class: "tools", role: "group", "aria-label": t("result.drawing") },
    hasBoxes && toggle("drawing", "eye", "result.show.all", "d"),
    hasBoxes && toggle("names", "label", "result.show.labels", "l"),
    hasMasks && toggle("masks", "mask", "result.show.masks", "m"),
    hasMasks && h("span", { class: "opacity" }, opacity),
    h("span", { class: "tools-gap" }),
    square("minus", "result.zoom.out", () => stage.zoomBy(1 / 1.5)),
    square("fit", "result.zoom.fit", () => stage.fit()),
    square("plus", "result.zoom.in", () => stage.zoomBy(1.5)),
  );
  const update = () => {
    for (const each of toggles) each();
  };
  update();
  return { element, update };
}
