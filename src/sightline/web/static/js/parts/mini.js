/** A small picture with its boxes: samples, batches, history. The picture may be cropped; the boxes follow. */

import { cssOf } from "../colors.js";
import { h, s } from "../dom.js";

/** @returns {HTMLElement} with a method `draw(predictions, width, height)` */
export function mini(source, alt = "") {
  const image = source ? h("img", { src: source, alt, loading: "lazy", decoding: "async" }) : null;
  const element = h("div", { class: "mini" }, image);
  element.draw = (predictions, width, height) => {
    element.querySelector("svg")?.remove();
    const boxes = predictions.filter((item) => item.box).map(({ box: [x1, y1, x2, y2], labelId }) => {
      const size = { x: x1, y: y1, width: Math.max(0, x2 - x1), height: Math.max(0, y2 - y1) };
      return [s("rect", { ...size, class: "halo" }), s("rect", { ...size, class: "box", stroke: cssOf(labelId) })];
    });
    element.append(s("svg", { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "xMidYMid slice", "aria-hidden": "true" }, boxes));
  };
  return element;
}
