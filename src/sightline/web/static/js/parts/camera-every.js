/** A capture every so many seconds: one after the other, never two at once, each answered before the next. */

import { predict } from "../api.js";
import { changed } from "./camera-change.js";
import { nextDue } from "./camera-pace.js";

const two = (value) => String(value).padStart(2, "0");

/** "camera-2026-11-21-10-30-05.jpg", in the visitor's own time. */
export function captureName(date) {
  const day = [date.getFullYear(), two(date.getMonth() + 1), two(date.getDate())];
  return `camera-${[...day, two(date.getHours()), two(date.getMinutes()), two(date.getSeconds())].join("-")}.jpg`;
}

export class Every {
  /**
   * @param {object} source the camera
   * @param {() => {seconds: number, skip: boolean, keep: boolean, name: string, model: string, size?: number, min: number}} terms
   *   read before each capture
   * @param {{oncapture: (capture: object) => void, onstate: (state: object) => void}} handlers
   *   `onstate` hears {due: ms of performance.now()}, {looking: true} or {skipped: how many in a row}
   */
  constructor(source, terms, { oncapture, onstate }) {
    Object.assign(this, { source, terms, oncapture, onstate });
    this.stop_ = null;
  }

  start() {
    this.stop();
    this.stop_ = new AbortController();
    this.last = null;
    this.before = null;
    this.skipped = 0;
    this.#wait(this.stop_.signal);
  }

  stop() {
    this.stop_?.abort();
    this.stop_ = null;
    clearTimeout(this.timer);
  }

  /** Takes one now, whatever the clock and the comparison say; the clock goes on from here. */
  take() {
    clearTimeout(this.timer);
    if (this.stop_ && !this.busy) this.#turn(this.stop_.signal, true);
  }

  #wait(signal) {
    if (signal.aborted) return;
    const now = performance.now();
    const due = nextDue(this.last, 1000 * this.terms().seconds, now);
    this.onstate({ due });
    this.timer = setTimeout(() => this.#turn(signal, false), due - now);
  }

  async #turn(signal, asked) {
    if (signal.aborted) return;
    // Timers come late: the next one is due after the time at which this one was.
    this.last = performance.now();
    const { skip, keep, model, size, min, name: camera } = this.terms();
    const look = this.source.glance();
    const news = asked || !skip || changed(this.before, look);
    if (!news) {
      this.skipped += 1;
      this.onstate({ skipped: this.skipped });
      this.#wait(signal);
      return;
    }
    this.before = look;
    this.skipped = 0;
    this.busy = true;
    const at = new Date();
    const picture = await this.source.grab();
    if (picture && !signal.aborted) {
      this.onstate({ looking: true });
      const capture = { ...picture, at, model, size, min, name: captureName(at) };
      try {
        capture.json = await predict(picture.blob, { name: capture.name, model, size, min, store: keep, capture: camera, signal });
        capture.alerts = capture.json.alerts ?? [];
        capture.id = keep ? capture.json.id : null;
      } catch (problem) {
        capture.problem = problem;
      }
      if (capture.problem?.name !== "AbortError") this.oncapture(capture);
    }
    this.busy = false;
    this.#wait(signal);
  }
}
