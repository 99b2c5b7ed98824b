/** The live connection: pictures go up, answers come down, and what is lost is opened again. */

import { openLive, whyNoLive } from "../api-live.js";

const FIRST_MS = 500;
const LAST_MS = 8000;

export class LiveLine {
  /**
   * @param {{onresult: (answer: object, taken: object) => void, onproblem: (problem: object) => void,
   *   ondropped: (taken: object) => void, onstate: (state: "open" | "lost") => void, onblocked: (problem: object) => void}} handlers
   *   `taken` is what was handed to `send` with the picture; `onblocked` says why no connection can be had
   */
  constructor(handlers) {
    this.handlers = handlers;
    this.options = {};
    this.socket = null;
    this.wanted = false;
    this.wait = FIRST_MS;
    this.forget();
  }

  /** Pictures that are sent and neither answered nor replaced. */
  get underway() {
    return this.waiting.size;
  }

  get ready() {
    return this.socket?.readyState === WebSocket.OPEN && performance.now() >= this.pause;
  }

  forget() {
    this.sent = 0;
    this.waiting = new Map();
    this.pause = 0;
  }

  open() {
    this.wanted = true;
    if (!this.socket) this.#connect();
  }

  close() {
    this.wanted = false;
    clearTimeout(this.timer);
    this.socket?.close();
    this.socket = null;
    this.forget();
  }

  /** Options for the pictures that follow; the same ones are not said twice. */
  set(options) {
    const text = JSON.stringify(options);
    if (text === JSON.stringify(this.options)) return;
    this.options = options;
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(text);
  }

  /** Sends a picture; `taken` comes back with its answer. */
  send(blob, taken) {
    this.sent += 1;
    this.waiting.set(this.sent, taken);
    this.socket.send(blob);
  }

  #connect() {
    const socket = openLive();
    this.socket = socket;
    let opened = false;
    socket.addEventListener("open", () => {
      opened = true;
      this.forget();
      this.wait = FIRST_MS;
      socket.send(JSON.stringify(this.options));
      this.handlers.onstate("open");
    });
    socket.addEventListener("message", (event) => this.socket === socket && this.#heard(JSON.parse(event.data)));
    socket.addEventListener("close", () => this.socket === socket && this.#lost(opened));
  }

  #heard(message) {
    if (message.type === "options") return;
    const taken = this.waiting.get(message.capture);
    // Answers come in order: what is older than this one was replaced and will not be answered.
    const past = [...this.waiting].filter(([number]) => number <= message.capture);
    for (const [number, one] of past) {
      this.waiting.delete(number);
      if (one !== taken || message.type !== "result") this.handlers.ondropped(one);
    }
    if (message.type === "result") this.handlers.onresult(message, taken);
    else {
      this.pause = performance.now() + 1000 * (message.retry_after_s ?? 0.5);
      this.handlers.onproblem(message.problem);
    }
  }

  async #lost(opened) {
    this.socket = null;
    this.forget();
    if (!this.wanted) return;
    this.handlers.onstate("lost");
    const problem = opened ? null : await whyNoLive();
    if (!this.wanted) return;
    if (problem && problem.code !== "network" && problem.code !== "stopping") {
      this.handlers.onblocked(problem);
      if (problem.code !== "busy") return;
    }
    this.timer = setTimeout(() => this.wanted && !this.socket && this.#connect(), this.wait);
    this.wait = Math.min(LAST_MS, 2 * this.wait);
  }
}
