/**
 * The pictures of a job as a grid of which only the rows on screen exist: ten thousand cost as much as fifty.
 * What is not known yet is asked for by the hundred; what finishes while one looks is put in its place.
 */

import { jobResults } from "../api-jobs.js";
import { h, icon } from "../dom.js";
import { percent, t, describe } from "../strings.js";
import "../words/jobs.js";

const PAGE = 100;
const KNOWN_MAX = 4000;
const TEXT = 56;
const GAP = 12;
const LEAST = 168;
const LEAST_PHONE = 132;
const AHEAD = 1.5;

export class JobGrid {
  /** @param {string} id the job's */
  constructor(id, signal) {
    this.id = id;
    this.signal = signal;
    this.total = 0;
    this.known = new Map();
    this.asking = new Set();
    this.cells = new Map();
    this.wanted = null;
    this.element = h("div", { class: "job-grid", role: "list", "aria-label": t("jobs.pictures") });
    this.observer = new ResizeObserver(() => this.draw());
    this.observer.observe(this.element);
    const onscroll = () => this.#soon();
    addEventListener("scroll", onscroll, { passive: true });
    this.element.addEventListener("keydown", (event) => this.#keys(event));
    signal.addEventListener("abort", () => {
      removeEventListener("scroll", onscroll);
      this.observer.disconnect();
    });
  }

  /** How many pictures there are. */
  setTotal(total) {
    if (total === this.total) return;
    this.total = total;
    this.draw();
  }

  /** Pictures that finished. */
  add(items) {
    for (const item of items) {
      this.known.delete(item.index);
      this.known.set(item.index, item);
      this.cells.get(item.index)?.fill(item);
    }
    this.#forget();
    const most = items.reduce((top, item) => Math.max(top, item.index + 1), this.total);
    this.setTotal(most);
  }

  /** Everything may have changed: the job was tried again, or the connection came back. */
  refresh() {
    this.known.clear();
    this.asking.clear();
    for (const cell of this.cells.values()) cell.stale = true;
    this.draw();
  }

  draw() {
    const width = this.element.clientWidth;
    if (!width || !this.total) return;
    const least = width < 560 ? LEAST_PHONE : LEAST;
    this.columns = Math.max(2, Math.floor((width + GAP) / (least + GAP)));
    const cell = (width - GAP * (this.columns - 1)) / this.columns;
    this.row = Math.round(cell * 0.75) + TEXT + GAP;
    this.element.style.height = `${Math.ceil(this.total / this.columns) * this.row - GAP}px`;
    const top = -this.element.getBoundingClientRect().top;
    const first = Math.max(0, Math.floor((top - innerHeight * (AHEAD - 1)) / this.row)) * this.columns;
    const last = Math.min(this.total, (Math.ceil((top + innerHeight * AHEAD) / this.row) + 1) * this.columns);
    const focused = this.#focusedIndex();
    for (const [index, one] of this.cells) {
      if ((index < first || index >= last) && index !== focused) {
        one.element.remove();
        this.cells.delete(index);
      }
    }
    for (let index = first; index < last; index++) this.#place(index, cell);
    if (focused !== null) this.#place(focused, cell);
    this.#ask(first, last);
  }

  #place(index, width) {
    let one = this.cells.get(index);
    if (!one) {
      one = makeCell(this.id, index);
      this.cells.set(index, one);
      const after = [...this.cells.keys()].filter((other) => other > index).sort((a, b) => a - b)[0];
      this.element.insertBefore(one.element, after === undefined ? null : this.cells.get(after).element);
    }
    const known = this.known.get(index);
    if (known) one.fill(known);
    const { style } = one.element;
    one.element.setAttribute("aria-setsize", this.total);
    style.width = `${width}px`;
    style.height = `${this.row - GAP}px`;
    style.translate = `${(index % this.columns) * (width + GAP)}px ${Math.floor(index / this.columns) * this.row}px`;
  }

  #ask(first, last) {
    for (let page = Math.floor(first / PAGE); page * PAGE < last; page++) {
      const from = page * PAGE;
      const to = Math.min(this.total, from + PAGE);
      let missing = false;
      for (let index = Math.max(first, from); index < Math.min(last, to) && !missing; index++) missing = !this.known.has(index);
      if (missing) this.#fetch(from);
    }
  }

  async #fetch(from) {
    if (this.asking.has(from)) return;
    this.asking.add(from);
    try {
      const { results } = await jobResults(this.id, { after: from - 1, limit: PAGE, signal: this.signal });
      this.add(results.filter((item) => item.index < from + PAGE));
    } catch (problem) {
      if (problem.name === "AbortError") return;
    }
    // Those that are still being worked on come as events; the page may be asked again in a while all the same.
    setTimeout(() => this.asking.delete(from), 4000);
  }

  #forget() {
    for (const index of this.known.keys()) {
      if (this.known.size <= KNOWN_MAX) return;
      if (!this.cells.has(index)) this.known.delete(index);
      else {
        const item = this.known.get(index);
        this.known.delete(index);
        this.known.set(index, item);
      }
    }
  }

  #soon() {
    if (this.wanted) return;
    this.wanted = requestAnimationFrame(() => {
      this.wanted = null;
      this.draw();
    });
  }

  #focusedIndex() {
    const cell = document.activeElement?.closest?.(".job-cell");
    return cell && this.element.contains(cell) ? Number(cell.dataset.index) : null;
  }

  #keys(event) {
    const at = this.#focusedIndex();
    const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -this.columns, ArrowDown: this.columns }[event.key];
    if (at === null || by === undefined) return;
    event.preventDefault();
    const to = at + by;
    if (to < 0 || to >= this.total) return;
    const top = Math.floor(to / this.columns) * this.row;
    const box = this.element.getBoundingClientRect();
    if (box.top + top < 0) scrollBy(0, box.top + top - 8);
    else if (box.top + top + this.row > innerHeight) scrollBy(0, box.top + top + this.row - innerHeight + 72);
    this.draw();
    this.cells.get(to)?.element.querySelector("a")?.focus({ preventScroll: true });
  }
}

/** What a picture's result says in a few words. */
export function foundWords(item) {
  if (item.state === "failed") return item.error?.message ?? t("jobs.item.failed");
  if (item.verdict) return t(`verdict.${item.verdict}`) === `verdict.${item.verdict}` ? item.verdict : t(`verdict.${item.verdict}`);
  if (item.task === "classify" && item.best) return `${item.best.label}, ${percent(item.best.score)}`;
  return describe(Object.entries(item.counts).map(([label, count]) => ({ label, count })).sort((a, b) => b.count - a.count), 3);
}

function makeCell(id, index) {
  const picture = h("span", { class: "job-picture waiting" });
  const words = h("span", { class: "job-found" }, "\u00a0");
  const name = h("span", { class: "job-source small soft" }, t("jobs.number", { number: index + 1 }));
  const link = h("a", { class: "job-link", href: `/jobs/${id}/${index}`, "aria-disabled": "true" }, picture, words, name);
  const element = h("div", { class: "job-cell", role: "listitem", "aria-posinset": index + 1, data: { index } }, link);
  let shown = null;
  const one = {
    element,
    stale: false,
    fill(item) {
      if (shown === item || (!one.stale && shown?.state === item.state)) return;
      shown = item;
      one.stale = false;
      picture.classList.remove("waiting");
      link.removeAttribute("aria-disabled");
      element.classList.toggle("failed", item.state === "failed");
      words.textContent = foundWords(item);
      words.title = words.textContent;
      name.textContent = item.source;
      name.title = item.source;
      picture.replaceChildren(item.thumbnail ? thumbnail(item) : h("span", { class: "no-picture" }, icon(item.state === "failed" ? "close" : "picture")));
    },
  };
  return one;
}

function thumbnail(item) {
  const image = h("img", { src: item.thumbnail, alt: "", decoding: "async" });
  image.addEventListener("error", () => image.replaceWith(h("span", { class: "no-picture" }, icon("picture"))));
  return image;
}
