/** The stage: the picture in the middle, zoom by buttons, double click, pinch or Ctrl + wheel, drag to move. */

import { h } from "../dom.js";

const MOST = 16;

export class Stage {
  /**
   * @param {{label: string, onview?: (view: object) => void}} options `onview` hears each change of
   *   {scale, x, y, width, height}: picture pixel p is at p * scale + (x, y) of the stage.
   */
  constructor({ label, onview }) {
    this.image = h("img", { class: "stage-image", alt: "", draggable: "false", decoding: "sync" });
    this.layers = h("div", { class: "stage-layers" }, this.image);
    this.element = h("figure", { class: "stage", dir: "ltr", role: "group", "aria-label": label, tabindex: "0" }, this.layers);
    this.onview = onview;
    this.size = null;
    this.zoom = 1;
    this.center = [0.5, 0.5];
    this.pointers = new Map();
    this.observer = new ResizeObserver(() => this.#apply());
    this.observer.observe(this.element);
    this.#listen();
  }

  /** Puts a picture of (width x height) on the stage; the size is known before its bytes arrive. */
  show(source, width, height) {
    this.size = [width, height];
    this.image.style.width = `${width}px`;
    this.image.style.height = `${height}px`;
    this.element.style.aspectRatio = `${width} / ${height}`;
    if (source && this.image.getAttribute("src") !== source) this.image.src = source;
    this.#apply();
  }

  add(...layers) {
    this.layers.append(...layers);
  }

  close() {
    this.observer.disconnect();
  }

  fit() {
    this.zoom = 1;
    this.center = [0.5, 0.5];
    this.#apply();
  }

  /** Zooms by `factor` around a point of the stage in pixels, or its middle. */
  zoomBy(factor, point) {
    if (!this.size) return;
    const before = this.view();
    const [px, py] = point ?? [before.width / 2, before.height / 2];
    const ix = (px - before.x) / before.scale;
    const iy = (py - before.y) / before.scale;
    this.zoom = Math.min(MOST, Math.max(1, this.zoom * factor));
    const scale = this.#fitScale() * this.zoom;
    this.center = [(ix + (before.width / 2 - px) / scale) / this.size[0], (iy + (before.height / 2 - py) / scale) / this.size[1]];
    this.#apply();
  }

  /** Moves the picture by screen pixels. */
  moveBy(dx, dy) {
    const { scale } = this.view();
    this.center = [this.center[0] - dx / scale / this.size[0], this.center[1] - dy / scale / this.size[1]];
    this.#apply();
  }

  view() {
    const { clientWidth: width, clientHeight: height } = this.element;
    const scale = this.#fitScale() * this.zoom;
    return { scale, x: width / 2 - this.center[0] * this.size[0] * scale, y: height / 2 - this.center[1] * this.size[1] * scale, width, height };
  }

  #fitScale() {
    const { clientWidth: width, clientHeight: height } = this.element;
    const [w, h] = this.size;
    return Math.min(width / w, height / h, Math.max(4, 320 / Math.max(w, h))) || 1;
  }

  #apply() {
    if (!this.size || !this.element.clientWidth) return;
    const scale = this.#fitScale() * this.zoom;
    const half = [this.element.clientWidth / scale / this.size[0] / 2, this.element.clientHeight / scale / this.size[1] / 2];
    // A side that fits stays centred; one that does not never leaves a gap.
    this.center = this.center.map((value, axis) => (half[axis] >= 0.5 ? 0.5 : Math.min(1 - half[axis], Math.max(half[axis], value))));
    const view = this.view();
    this.image.style.transform = `matrix(${view.scale},0,0,${view.scale},${view.x},${view.y})`;
    this.element.classList.toggle("zoomed", this.zoom > 1);
    this.onview?.(view);
  }

  #listen() {
    const at = (event) => {
      const box = this.element.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    };
    this.element.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      this.zoomBy(Math.exp(-event.deltaY / 240), at(event));
    }, { passive: false });
    this.element.addEventListener("dblclick", (event) => (this.zoom > 1 ? this.fit() : this.zoomBy(2.5, at(event))));
    this.element.addEventListener("pointerdown", (event) => this.pointers.set(event.pointerId, at(event)));
    this.element.addEventListener("pointermove", (event) => this.#drag(event, at(event)));
    for (const name of ["pointerup", "pointercancel", "pointerleave"]) {
      this.element.addEventListener(name, (event) => this.pointers.delete(event.pointerId));
    }
    this.element.addEventListener("keydown", (event) => this.#keys(event));
  }

  #drag(event, point) {
    const before = this.pointers.get(event.pointerId);
    if (!before || !this.size) return;
    this.pointers.set(event.pointerId, point);
    const others = [...this.pointers].filter(([id]) => id !== event.pointerId).map(([, value]) => value);
    if (others.length === 1) {
      const distance = (p) => Math.hypot(p[0] - others[0][0], p[1] - others[0][1]) || 1;
      this.zoomBy(distance(point) / distance(before), [(point[0] + others[0][0]) / 2, (point[1] + others[0][1]) / 2]);
    } else if (!others.length && this.zoom > 1) {
      this.moveBy(point[0] - before[0], point[1] - before[1]);
    }
  }

  #keys(event) {
    const moves = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] };
    if (this.zoom <= 1 || event.target !== this.element || !moves[event.key]) return;
    event.preventDefault();
    event.stopPropagation();
    this.moveBy(...moves[event.key]);
  }
}
