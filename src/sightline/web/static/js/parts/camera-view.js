/**
 * The stage of the camera: the film itself, the last picture that was looked at with its drawing, or words.
 * A drawing always stands on its own picture and never on the film: what moved since would be somewhere else.
 */

import { h, icon } from "../dom.js";
import { visible } from "../filter.js";
import { t } from "../strings.js";
import "../words/camera.js";
import { Overlay } from "./overlay.js";
import { Stage } from "./stage.js";

const NOBODY = new Set();
const DEAF = { onhover: () => undefined, onpick: () => undefined };

export class CameraView {
  /** @param {HTMLVideoElement} video shown large until there is a capture, then small in the corner */
  constructor(video) {
    this.video = video;
    this.stage = new Stage({ label: t("camera.title"), onview: (view) => this.#place(view) });
    this.element = this.stage.element;
    this.element.classList.add("camera-stage");
    this.words = h("div", { class: "camera-words" });
    this.back = h("button", { class: "button camera-back", type: "button", hidden: true, onclick: () => this.#release() }, icon("left"), h("span", {}, t("camera.back")));
    this.canvas = h("canvas", { class: "stage-image camera-still" });
    this.painter = this.canvas.getContext("bitmaprenderer");
    this.stage.add(this.canvas);
    this.element.prepend(video);
    this.element.append(this.words, this.back);
    this.overlay = null;
    this.held = false;
    this.last = null;
    this.stage.show("", 1280, 720);
    video.addEventListener("resize", () => this.#fit());
    video.addEventListener("loadedmetadata", () => this.#fit());
  }

  close() {
    this.stage.close();
    URL.revokeObjectURL(this.url);
  }

  /** Words in place of a picture. */
  say(node) {
    this.#clear();
    this.element.classList.add("with-words");
    this.words.replaceChildren(node);
  }

  /** The camera itself, large, without a drawing. */
  film() {
    this.#clear();
    this.element.classList.remove("with-words");
    this.words.replaceChildren();
    this.#fit();
  }

  /** Nothing. */
  still() {
    this.#clear();
  }

  /**
   * Draws an answer over its picture.
   *
   * @param {{blob: Blob, bitmap?: ImageBitmap}} picture with `bitmap` where it is at hand: it need not be decoded
   */
  draw(result, min, picture) {
    if (this.held) {
      picture.bitmap?.close();
      this.last = { result, min, picture: { blob: picture.blob } };
      return;
    }
    this.element.classList.add("with-picture");
    this.element.classList.toggle("with-bitmap", Boolean(picture.bitmap));
    const before = this.url;
    this.url = picture.bitmap ? "" : URL.createObjectURL(picture.blob);
    if (picture.bitmap) this.painter.transferFromImageBitmap(picture.bitmap);
    this.stage.show(this.url, result.width, result.height);
    if (before) URL.revokeObjectURL(before);
    this.#overlay(result, min);
  }

  /** Whether the film stands in the corner: beside pictures that come quickly it says nothing more. */
  corner(wanted) {
    this.element.classList.toggle("without-film", !wanted);
  }

  /** Shows an older capture until somebody goes back. */
  hold(result, min, blob) {
    this.held = false;
    this.element.classList.remove("with-words");
    this.words.replaceChildren();
    this.draw(result, min, { blob });
    this.held = true;
    this.back.hidden = false;
  }

  /** Another threshold for what is on screen. */
  filter(min) {
    this.min = min;
    if (this.overlay) this.overlay.show(visible(this.overlay.result.predictions, { min: this.#least(min), hidden: NOBODY }));
  }

  #least(min) {
    return this.overlay.result.task === "classify" ? 0 : min;
  }

  #release() {
    this.held = false;
    this.back.hidden = true;
    const { last } = this;
    this.last = null;
    if (last) this.draw(last.result, last.min, last.picture);
    else this.film();
    this.element.focus({ preventScroll: true });
  }

  #overlay(result, min) {
    this.#undraw();
    this.overlay = new Overlay(result, DEAF);
    this.stage.add(this.overlay.canvas);
    this.stage.layers.after(this.overlay.svg);
    this.overlay.place(this.stage.view());
    this.overlay.set({ opacity: 0.35 });
    this.filter(min);
  }

  #undraw() {
    this.overlay?.canvas.remove();
    this.overlay?.svg.remove();
    this.overlay = null;
  }

  #clear() {
    this.#undraw();
    this.held = false;
    this.last = null;
    this.back.hidden = true;
    this.element.classList.remove("with-picture", "with-bitmap", "without-film");
    this.stage.image.removeAttribute("src");
  }

  #place(view) {
    const [width, height] = this.stage.size;
    Object.assign(this.video.style, { left: `${view.x}px`, top: `${view.y}px`, width: `${width * view.scale}px`, height: `${height * view.scale}px` });
    Object.assign(this.canvas.style, { width: `${width}px`, height: `${height}px`, transform: `matrix(${view.scale},0,0,${view.scale},${view.x},${view.y})` });
    this.overlay?.place(view);
  }

  #fit() {
    const { videoWidth, videoHeight } = this.video;
    if (videoWidth && !this.element.classList.contains("with-picture")) this.stage.show("", videoWidth, videoHeight);
  }
}
