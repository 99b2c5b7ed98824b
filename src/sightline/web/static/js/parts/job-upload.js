/**
 * Starting a job from files: sent in portions, a portion that did not arrive is sent again, then the job is
 * submitted under one key. It outlives the place where it began; the page asks before it is closed.
 */

import { connection, submitForm, submitJob, uploadFiles } from "../api.js";
import { announce, h, icon } from "../dom.js";
import { bytes, duration, percent, t } from "../strings.js";
import "../words/jobs.js";
import { isZip, pathOf } from "./folder.js";
import { mayPass, problemBox } from "./problem.js";

const PORTION_BYTES = 8e6;
const PORTION_FILES = 40;
const AT_ONCE = 2;
const PATIENCE_MS = [1000, 2000, 4000, 8000, 15000];
/** Words for those that a portion was refused for: each of them is tried alone, and the one to blame is left out. */
const ONE_TO_BLAME = new Set([400, 413, 415]);

let current = null;

/** @returns {HTMLElement | null} what is being sent now, or why it was not */
export const uploadInProgress = () => current?.root ?? null;

addEventListener("beforeunload", (event) => {
  if (current?.sending) event.preventDefault();
});

/**
 * @param {File[]} files pictures, or one zip; or the one file of a `form`
 * @param {{options: object, leftOut?: number, form?: {field: string, fields: object}, onjob: (job: object) => void}} wish
 *   `form`: the file goes with the submission, under this name and beside these fields
 * @returns {HTMLElement}
 */
export function startJob(files, wish) {
  current?.stop();
  current = new Upload(files, wish);
  current.go();
  return current.root;
}

class Upload {
  constructor(files, { options, leftOut = 0, form = null, onjob }) {
    this.files = files;
    this.form = form;
    this.options = options;
    this.onjob = onjob;
    this.leftOut = leftOut;
    this.key = `page-${crypto.getRandomValues(new Uint32Array(4)).join("-")}`;
    this.total = files.reduce((sum, file) => sum + file.size, 0);
    this.arrived = 0;
    this.flying = new Map();
    this.refused = [];
    this.begun = Date.now();
    this.control = new AbortController();
    this.sending = true;
    this.#build();
  }

  stop() {
    this.sending = false;
    this.control.abort();
    this.root.remove();
    if (current === this) current = null;
  }

  async go() {
    this.sending = true;
    this.again.hidden = true;
    this.end.textContent = t("work.stop");
    this.trouble.replaceChildren();
    try {
      const job = this.form ? await this.#whole() : await this.#portions();
      this.sending = false;
      if (current === this) current = null;
      this.root.remove();
      announce(t("jobs.started"));
      this.onjob(job);
    } catch (problem) {
      this.sending = false;
      if (problem.name === "AbortError") return;
      this.trouble.replaceChildren(problemBox(problem));
      this.again.hidden = !mayPass(problem);
      this.end.textContent = t("jobs.upload.away");
    }
  }

  async #portions() {
    this.inputs ??= await this.#send();
    this.words.textContent = t("jobs.upload.submit");
    return this.#patiently(() => submitJob({ kind: "predict", inputs: this.inputs, options: this.options }, this.key));
  }

  /** One file in one request with the submission. */
  #whole() {
    const mine = Symbol("whole");
    return this.#patiently(() => {
      const form = new FormData();
      for (const [name, value] of Object.entries(this.form.fields)) form.append(name, value);
      form.append(this.form.field, this.files[0], this.files[0].name);
      const onProgress = (sent) => {
        this.flying.set(mine, Math.min(sent, this.total));
        this.#tell();
      };
      return submitForm(form, this.key, { onProgress, signal: this.control.signal }).finally(() => this.flying.delete(mine));
    });
  }

  #build() {
    this.meter = h("progress", { class: "work-meter", max: "1", value: "0", "aria-label": t("jobs.upload.meter") });
    this.words = h("p", { class: "small soft numbers" }, t("jobs.upload.begin"));
    this.trouble = h("div", { class: "job-trouble" });
    this.left = h("p", { class: "small soft" });
    this.again = h("button", { class: "button main-action", type: "button", hidden: true, onclick: () => this.go() }, t("work.again"));
    this.end = h("button", { class: "button", type: "button", onclick: () => this.stop() });
    const zip = this.files.length === 1 && isZip(this.files[0]);
    const title = zip || this.form ? this.files[0].name : t("look.batch", { n: this.files.length });
    this.root = h(
      "section",
      { class: "job-upload card", "aria-labelledby": "upload-title" },
      h("div", { class: "job-upload-head" }, h("h2", { id: "upload-title" }, t("jobs.upload.title", { what: title })), this.end),
      this.meter,
      this.words,
      this.left,
      this.trouble,
      this.again,
    );
    this.#sayLeftOut();
  }

  #sayLeftOut() {
    const names = this.refused.slice(0, 3).map(({ file, problem }) => `${file.name}: ${problem.message}`);
    const texts = [this.leftOut && t("jobs.upload.left", { n: this.leftOut }), this.refused.length && t("jobs.upload.refused", { n: this.refused.length }), ...names];
    this.left.replaceChildren(texts.filter(Boolean).join(" "));
  }

  /** The `inputs` of the job, once everything is there. */
  async #send() {
    const zips = this.files.filter(isZip);
    if (zips.length === 1 && this.files.length === 1) {
      const answer = await this.#portion([zips[0]], "archive");
      return { archive: { id: answer.archive.id, name: zips[0].name } };
    }
    const portions = portionsOf(this.files);
    const answers = new Array(portions.length);
    let next = 0;
    const sender = async () => {
      while (next < portions.length) {
        const mine = next++;
        answers[mine] = await this.#sorted(portions[mine]);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, sender));
    const uploads = answers.flat().map(({ id, name }) => ({ id, name }));
    if (!uploads.length) throw this.refused[0]?.problem ?? new Error(t("jobs.upload.nothing"));
    return { uploads };
  }

  /** A portion; if one of it is refused, each alone. */
  async #sorted(files) {
    try {
      return (await this.#portion(files, "image")).uploads;
    } catch (problem) {
      if (!ONE_TO_BLAME.has(problem.status)) throw problem;
      if (files.length === 1) {
        this.refused.push({ file: files[0], problem });
        this.#sayLeftOut();
        return [];
      }
      const found = [];
      for (const file of files) found.push(...(await this.#sorted([file])));
      return found;
    }
  }

  async #portion(files, field) {
    const size = files.reduce((sum, file) => sum + file.size, 0);
    const mine = Symbol("portion");
    const answer = await this.#patiently(() => {
      const form = new FormData();
      for (const file of files) form.append(field, file, pathOf(file));
      const onProgress = (sent) => {
        this.flying.set(mine, Math.min(sent, size));
        this.#tell();
      };
      return uploadFiles(form, { onProgress, signal: this.control.signal }).finally(() => this.flying.delete(mine));
    });
    this.arrived += size;
    this.#tell();
    return answer;
  }

  /** Does it until the server was heard: lost connections and full lines are waited for, refusals are not. */
  async #patiently(action) {
    for (let attempt = 0; ; attempt++) {
      try {
        return await action();
      } catch (problem) {
        const passing = problem.code === "network" || problem.status === 503 || problem.status === 408;
        if (!passing || this.control.signal.aborted) throw problem;
        this.words.textContent = t(problem.code === "network" ? "jobs.upload.lost" : "jobs.upload.busy");
        await this.#pause(PATIENCE_MS[Math.min(attempt, PATIENCE_MS.length - 1)]);
      }
    }
  }

  #pause(ms) {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(resolve, ms);
      connection.addEventListener("online", resolve, { once: true });
      this.control.signal.addEventListener("abort", () => {
        clearTimeout(timer);
        reject(new DOMException("Stopped.", "AbortError"));
      });
    });
  }

  #tell() {
    const sent = this.arrived + [...this.flying.values()].reduce((sum, value) => sum + value, 0);
    const share = this.total ? Math.min(1, sent / this.total) : 1;
    this.meter.value = share;
    const seconds = (Date.now() - this.begun) / 1000;
    const left = share > 0.02 && seconds > 2 ? (seconds * (1 - share)) / share : null;
    const parts = [t("work.sending", { percent: percent(share) }), t("jobs.upload.of", { sent: bytes(sent), total: bytes(this.total) }), left && share < 1 && t("jobs.left", { time: duration(left) })];
    this.words.textContent = parts.filter(Boolean).join(" · ");
  }
}

function portionsOf(files) {
  const portions = [];
  let size = Infinity;
  for (const file of files) {
    const last = portions[portions.length - 1];
    if (!last || size + file.size > PORTION_BYTES || last.length >= PORTION_FILES) {
      portions.push([file]);
      size = file.size;
    } else {
      last.push(file);
      size += file.size;
    }
  }
  return portions;
}

/** The three ways to files: pictures, a folder, a zip. `take(files, leftOut)` gets what was chosen. */
export function jobIntake(choose, take) {
  const folder = h("input", { type: "file", hidden: true, multiple: true, webkitdirectory: true, "aria-label": t("jobs.choose.folder"), id: "folder-picker" });
  const zip = h("input", { type: "file", hidden: true, accept: ".zip,application/zip", "aria-label": t("jobs.choose.zip"), id: "zip-picker" });
  const button = (name, text, action) => h("button", { class: "button", type: "button", onclick: action }, icon(name), t(text));
  for (const input of [folder, zip]) {
    input.addEventListener("change", () => {
      if (input.files.length) take([...input.files], input === folder);
      input.value = "";
    });
  }
  const main = h("button", { class: "button main-action", type: "button", onclick: choose, "aria-keyshortcuts": "u" }, icon("upload"), t("look.choose"));
  const words = h("div", { class: "drop-words" }, h("p", { class: "drop-title" }, t("jobs.drop")), h("p", { class: "soft small" }, t("jobs.drop.text")));
  const ways = h("div", { class: "job-ways" }, main, button("folder", "jobs.choose.folder", () => folder.click()), button("zip", "jobs.choose.zip", () => zip.click()));
  return h("section", { class: "intake card", "aria-label": t("jobs.new") }, h("div", { class: "drop" }, icon("jobs"), words, ways), folder, zip);
}
