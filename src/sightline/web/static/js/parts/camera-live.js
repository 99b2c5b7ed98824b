/** Live: the newest picture of the camera goes up whenever the line has room for it. */

import { captureName } from "./camera-every.js";
import { LiveLine } from "./camera-line.js";
import { Pace } from "./camera-pace.js";

const LEAST_SIDE = 480;
const MOST_SIDE = 1280;
const QUALITY = 0.8;

export class Live {
  /**
   * @param {object} source the camera
   * @param {() => {name: string, model: string, size?: number, min: number, side?: number}} terms read before each picture;
   *   `side` is that of the square on which the model looks
   * @param {{oncapture: (capture: object) => void, onproblem: (problem: object) => void, onstate: (state: object) => void}} handlers
   *   `onstate` hears {lost: true}, {fps, delay}
   */
  constructor(source, terms, { oncapture, onproblem, onstate }) {
    Object.assign(this, { source, terms, oncapture, onproblem, onstate });
    this.pace = new Pace();
    this.running = false;
    this.line = new LiveLine({
      onresult: (answer, taken) => this.#answered(answer, taken),
      onproblem: (problem) => this.onproblem(problem),
      ondropped: (taken) => taken.bitmap.close(),
      onstate: (state) => this.#stated(state),
      onblocked: (problem) => this.onproblem(problem),
    });
  }

  start() {
    this.running = true;
    this.fresh = true;
    this.pace.forget();
    this.line.set(this.#options());
    this.line.open();
    this.#watch();
    this.clock = setInterval(() => this.#tell(), 500);
  }

  stop() {
    this.running = false;
    clearInterval(this.clock);
    this.line.close();
  }

  #options() {
    const { model, size, min, name } = this.terms();
    return { model, size, min_score: min, source: name };
  }

  /** Remembers that the camera has a new picture, so that none is sent twice. */
  #watch() {
    this.source.onpicture(() => {
      if (!this.running) return;
      this.fresh = true;
      this.#pump();
      this.#watch();
    });
  }

  async #pump() {
    if (!this.running || this.grabbing || !this.fresh || !this.line.ready || this.line.underway >= this.pace.depth()) return;
    this.grabbing = true;
    this.fresh = false;
    const { model, size, min, side } = this.terms();
    this.line.set(this.#options());
    const [taken, at] = [performance.now(), new Date()];
    // Half as many pixels again as the model looks at: more only takes longer on the way.
    const longest = Math.min(MOST_SIDE, Math.max(LEAST_SIDE, 1.5 * (side ?? MOST_SIDE)));
    const picture = await this.source.grab({ longest, quality: QUALITY, bitmap: true });
    this.grabbing = false;
    if (picture && this.running && this.line.ready) this.line.send(picture.blob, { ...picture, taken, at, model, size, min, name: captureName(at) });
    this.#pump();
  }

  #answered(answer, taken) {
    if (!taken) return;
    this.pace.answered(taken.taken, performance.now(), answer.wait_ms + answer.work_ms);
    this.oncapture({ ...taken, json: answer.result, alerts: answer.alerts ?? [], id: null });
    this.#pump();
  }

  #stated(state) {
    if (state === "lost") {
      this.pace.forget();
      this.onstate({ lost: true });
    } else {
      this.#tell();
      this.#pump();
    }
  }

  #tell() {
    if (!this.line.socket || this.line.socket.readyState !== WebSocket.OPEN) return;
    this.onstate({ fps: this.pace.fps(performance.now()), delay: this.pace.delay() });
    this.#pump(); // where the server had asked for a pause
  }
}
