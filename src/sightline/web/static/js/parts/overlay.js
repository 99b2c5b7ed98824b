/** Boxes, masks and names over the picture, drawn from the JSON: sharp at any zoom, nothing asked twice. */

import { cssOf, inkOn, rgbOf } from "../colors.js";
import { h, s } from "../dom.js";
import { paint } from "../rle.js";
import { percent } from "../strings.js";
import { layOut } from "./chips.js";

const MASK_SIDE = 2048;
const CHIP = 22;
const CHIP_FONT = "600 12px system-ui, sans-serif";
const measure = document.createElement("canvas").getContext("2d");
measure.font = CHIP_FONT;
const widthOf = (text) => Math.ceil(measure.measureText(text).width) + 12;

const area = ([x1, y1, x2, y2]) => (x2 - x1) * (y2 - y1);

export class Overlay {
  /** @param {{onhover: (index: number | null) => void, onpick: (index: number) => void}} handlers */
  constructor(result, handlers) {
    this.result = result;
    this.handlers = handlers;
    this.shown = [];
    this.active = null;
    this.names = true;
    this.masks = true;
    this.drawing = true;
    this.view = { scale: 1, x: 0, y: 0, width: 0, height: 0 };
    this.step = Math.max(1, Math.ceil(Math.max(result.width, result.height) / MASK_SIDE));
    this.canvas = h("canvas", { class: "stage-masks", width: Math.ceil(result.width / this.step), height: Math.ceil(result.height / this.step) });
    this.world = s("g", {});
    this.chips = s("g", { class: "chips" });
    this.svg = s("svg", { class: "stage-boxes", "aria-hidden": "true" }, this.world, this.chips);
    this.hasMasks = result.predictions.some((item) => item.mask || item.polygons.length);
    this.shapes = result.predictions.map((item) => (item.box ? this.#shape(item) : null));
    this.#listen();
  }

  #shape(item) {
    const [x1, y1, x2, y2] = item.box;
    const size = { x: x1, y: y1, width: Math.max(x2 - x1, 0), height: Math.max(y2 - y1, 0) };
    const outline = item.polygons.map((ring) => `M${pairs(ring)}Z`).join("");
    return s(
      "g",
      { class: "object", data: { index: item.index } },
      s("rect", { ...size, class: "halo" }),
      s("rect", { ...size, class: "box", stroke: cssOf(item.labelId) }),
      outline && s("path", { d: outline, class: "outline", stroke: cssOf(item.labelId) }),
    );
  }

  #listen() {
    const indexOf = (event) => {
      const found = event.target.closest?.("[data-index]");
      return found ? Number(found.dataset.index) : null;
    };
    this.svg.addEventListener("pointerover", (event) => event.pointerType === "mouse" && this.handlers.onhover(indexOf(event)));
    this.svg.addEventListener("pointerleave", () => this.handlers.onhover(null));
    this.svg.addEventListener("click", (event) => {
      const index = indexOf(event);
      if (index !== null) this.handlers.onpick(index);
    });
  }

  /** Shows these predictions. Large boxes lie under small ones, so that every box can be reached. */
  show(predictions) {
    this.shown = predictions.filter((item) => item.box);
    const order = [...this.shown].sort((a, b) => area(b.box) - area(a.box));
    this.world.replaceChildren(...order.map((item) => this.shapes[item.index]));
    this.#paint();
    this.#label();
  }

  /** Makes one object bright and the others dim; null for none. */
  activate(index) {
    if (index === this.active) return;
    this.active = index;
    this.svg.classList.toggle("has-active", index !== null);
    for (const item of this.shown) this.shapes[item.index].classList.toggle("active", item.index === index);
    this.#paint();
    this.#label();
  }

  /** The picture's place on the stage, in screen pixels. */
  place(view) {
    this.view = view;
    this.world.setAttribute("transform", `matrix(${view.scale} 0 0 ${view.scale} ${view.x} ${view.y})`);
    this.canvas.style.transform = `matrix(${view.scale * this.step},0,0,${view.scale * this.step},${view.x},${view.y})`;
    this.#label();
  }

  set({ names = this.names, masks = this.masks, drawing = this.drawing, opacity }) {
    Object.assign(this, { names, masks, drawing });
    this.svg.style.visibility = drawing ? "visible" : "hidden";
    this.canvas.style.visibility = drawing && masks ? "visible" : "hidden";
    this.svg.classList.toggle("with-outlines", masks);
    if (opacity !== undefined) this.canvas.style.opacity = opacity;
    this.#label();
  }

  #paint() {
    if (!this.hasMasks) return;
    const { width, height } = this.canvas;
    const context = this.canvas.getContext("2d");
    const data = context.createImageData(width, height);
    const pixels = new Uint32Array(data.data.buffer);
    for (const item of [...this.shown].reverse()) {
      if (!item.mask) continue;
      const [r, g, b] = rgbOf(item.labelId);
      const alpha = this.active === null || this.active === item.index ? 255 : 70;
      paint(pixels, width, height, this.step, item.mask, ((alpha << 24) | (b << 16) | (g << 8) | r) >>> 0);
    }
    context.putImageData(data, 0, 0);
  }

  #label() {
    const { scale, x, y } = this.view;
    const first = this.active === null ? [] : this.shown.filter((item) => item.index === this.active);
    const rest = this.names ? this.shown.filter((item) => item.index !== this.active) : [];
    const order = this.drawing ? [...first, ...rest] : [];
    const items = order.map((item) => ({
      box: [item.box[0] * scale + x, item.box[1] * scale + y, item.box[2] * scale + x, item.box[3] * scale + y],
      full: widthOf(`${item.name ?? item.label} ${percent(item.score)}`),
      short: widthOf(String(this.#number(item))),
      keep: item.index === this.active,
    }));
    const spots = layOut(items, this.view, CHIP);
    this.chips.replaceChildren(...order.flatMap((item, at) => (spots[at] ? [this.#chip(item, spots[at])] : [])));
  }

  /** The number in the list: position among the shown ones, from 1. */
  #number(item) {
    return this.shown.indexOf(item) + 1;
  }

  #chip(item, spot) {
    const rgb = rgbOf(item.labelId);
    const text = spot.short ? String(this.#number(item)) : `${item.name ?? item.label} ${percent(item.score)}`;
    return s(
      "g",
      { class: item.index === this.active ? "chip active" : "chip", data: { index: item.index } },
      s("rect", { x: spot.x, y: spot.y, width: spot.w, height: spot.h, rx: 4, fill: cssOf(item.labelId) }),
      s("text", { x: spot.x + 6, y: spot.y + spot.h - 6.5, fill: inkOn(rgb) }, text),
    );
  }
}

function pairs(ring) {
  const points = [];
  for (let at = 0; at + 1 < ring.length; at += 2) points.push(`${ring[at]} ${ring[at + 1]}`);
  return points.join("L");
}
