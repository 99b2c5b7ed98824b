/** One job: how far it is, its pictures as they finish, what failed and why, everything to take away. */

import { endJob, getJob, jobPath, jobResults, retryJob } from "../api-jobs.js";
import { announce, h, icon } from "../dom.js";
import { follow } from "../parts/job-feed.js";
import { JobGrid } from "../parts/job-grid.js";
import { epochList } from "../parts/job-report.js";
import { jobResult } from "../parts/job-result.js";
import { ENDED, idleWords, jobMeter, progressWords, stateChip, titleOfJob } from "../parts/job-words.js";
import { menu } from "../parts/menu.js";
import { mayPass, problemBox } from "../parts/problem.js";
import { removal } from "../parts/removal.js";
import { go } from "../router.js";
import { ago, fullTime, percent, t } from "../strings.js";
import "../words/jobs.js";

const FORMATS = [["zip", "jobs.download.zip"], ["csv", "jobs.download.csv"], ["coco", "jobs.download.coco"], ["jsonl", "jobs.download.jsonl"]];
const ENDINGS = { zip: "zip", csv: "csv", coco: "coco.json", jsonl: "jsonl" };
const STILL_WAITING_MS = 20_000;
const SAY_MS = 15_000;

export function open(root, { params, signal }) {
  document.title = `${t("jobs.one")} · ${t("app.name")}`;
  root.append(h("header", { class: "job-head" }, h("h1", { tabindex: "-1" }, "\u00a0")), h("div", { class: "job-panel card waiting" }));
  const begin = () =>
    getJob(params.id, signal).then(
      (job) => build(root, job, signal),
      (problem) => {
        if (problem.name === "AbortError") return;
        root.replaceChildren(problem.status === 410 || problem.status === 404 ? gone() : h("div", {}, h("h1", { class: "unseen", tabindex: "-1" }, t("jobs.one")), problemBox(problem, { again: begin })));
      },
    );
  begin();
}

function gone() {
  document.title = `${t("jobs.gone.title")} · ${t("app.name")}`;
  return h("div", { class: "empty" }, icon("jobs"), h("h1", { tabindex: "-1" }, t("jobs.gone.title")), h("p", {}, t("jobs.gone.text")), h("a", { class: "button main-action", href: "/jobs" }, t("jobs.gone.action")));
}

function build(root, first, signal) {
  let job = first;
  let feed = null;
  let lastSaid = 0;
  const title = h("h1", { tabindex: "-1" });
  const chip = h("span", { role: "status" });
  const words = h("p", { class: "numbers job-progress-words" });
  const meter = jobMeter();
  const when = h("p", { class: "small soft" });
  const hint = h("p", { class: "small soft", hidden: true }, t("jobs.still"));
  const again = h("p", { class: "small soft", hidden: true }, t("film.again"));
  const trouble = h("div", { class: "job-trouble" });
  const why = h("div", { class: "job-why-room" });
  const actions = h("div", { class: "result-actions" });
  const epochs = epochList(first.id, signal);
  const outcome = h("div", { class: "job-outcome" });
  const grid = new JobGrid(first.id, signal);
  const failures = failedList(first.id, signal);
  const tabs = tabBar(() => grid.draw(), grid.element, failures.element, (failed) => failed && failures.load());

  const update = (now) => {
    const before = job;
    job = now;
    title.textContent = titleOfJob(job);
    document.title = `${titleOfJob(job)} · ${t("app.name")}`;
    if (before.state !== job.state || !chip.childElementCount) chip.replaceChildren(stateChip(job));
    words.textContent = progressWords(job) || idleWords(job);
    meter.follow(job);
    when.replaceChildren(...times(job));
    again.hidden = !(job.kind === "video" && job.attempt > 1 && !ENDED.has(job.state));
    hint.hidden = !(job.state === "queued" && Date.now() - job.created * 1000 > STILL_WAITING_MS);
    why.replaceChildren(...(job.error && job.state !== "queued" ? [reason(job)] : []));
    const made = jobResult(job);
    if (made[0] !== outcome.firstChild) outcome.replaceChildren(...made);
    failures.count(job.failed);
    tabs.show(job);
    if (job.state === "done" && job.failed > 0) failures.load().then(offer);
    if (job.kind === "predict") grid.setTotal(Math.max(job.progress.total, job.progress.done));
    offer();
    if (before.state !== job.state && ENDED.has(job.state)) {
      announce(`${titleOfJob(job)}: ${chip.textContent}. ${progressWords(job)}`);
      grid.refresh();
    }
  };

  /** The buttons; those of a job that is done with failures are there once it is known whether a retry may help. */
  function offer() {
    const ended = ENDED.has(job.state);
    const known = job.state === "done" && job.failed > 0 ? failures.mayPass() : mayPass(job.error) || job.state === "cancelled";
    const shown = `${ended ? job.state : "going"} ${job.failed > 0} ${hasPictures()} ${ended && known}`;
    if (actions.dataset.for === shown || (ended && known === null)) return;
    actions.dataset.for = shown;
    actions.replaceChildren(...buttons(known));
  }

  const act = (action) => async () => {
    trouble.replaceChildren();
    try {
      const now = await action();
      if (now === null) {
        announce(t("jobs.removed"));
        go("/jobs", { replace: true });
        return;
      }
      update(now);
      if (!ENDED.has(now.state)) listen();
    } catch (problem) {
      if (problem.status === 410) root.replaceChildren(gone());
      else if (problem.name !== "AbortError") trouble.replaceChildren(problemBox(problem));
    }
  };

  const hasPictures = () => job.kind === "predict" && job.progress.done > 0;

  function buttons(retry) {
    const button = (name, text, action, kind = "") => h("button", { class: `button ${kind}`, type: "button", onclick: action }, icon(name), t(text));
    if (!ENDED.has(job.state)) return [hasPictures() && downloads(job), button("stop", "jobs.cancel", act(() => endJob(job.id)))].filter(Boolean);
    const undone = job.state !== "done" || job.failed > 0;
    return [
      hasPictures() && downloads(job),
      undone && retry && button("again", job.state !== "done" ? "jobs.retry" : "jobs.retry.failed", act(() => retryJob(job.id))),
      undone && !retry && h("a", { class: "button", href: "/jobs" }, icon("jobs"), t("jobs.retry.other")),
      removal(t("jobs.remove"), act(() => endJob(job.id))),
    ].filter(Boolean);
  }

  function listen() {
    feed?.abort();
    feed = new AbortController();
    signal.addEventListener("abort", () => feed.abort());
    const ears = {
      onjob: update,
      onprogress: ({ done, total, failed, rate, left_s }) => {
        update({ ...job, state: job.state === "queued" ? "running" : job.state, progress: { done, total }, failed, rate, left_s });
        if (total && Date.now() - lastSaid > SAY_MS) {
          lastSaid = Date.now();
          announce(t("jobs.said", { percent: percent(done / total) }));
        }
      },
      onitems: (items) => {
        if (job.kind === "train") epochs.load(items.reduce((least, item) => Math.min(least, item.index), Infinity) - 1);
        if (job.kind !== "predict") return;
        grid.add(items);
        failures.add(items.filter((item) => item.state === "failed"));
      },
      ongone: () => root.replaceChildren(gone()),
    };
    follow(job.id, ears, feed.signal);
  }

  root.replaceChildren(
    h("p", { class: "job-back small" }, h("a", { href: "/jobs" }, icon("left"), t("jobs.back"))),
    h("header", { class: "job-head" }, h("div", { class: "job-title" }, title, chip), actions),
    trouble,
    h("section", { class: "job-panel card", "aria-label": t("jobs.progress") }, words, meter, when, hint, again, why),
    outcome,
    epochs.element,
    tabs.element,
    grid.element,
    failures.element,
  );
  update(job);
  grid.draw();
  if (job.kind === "train") epochs.load();
  if (!ENDED.has(job.state)) listen();
  const clock = setInterval(() => when.replaceChildren(...times(job)), 30_000);
  signal.addEventListener("abort", () => clearInterval(clock));
}

function times(job) {
  const stamp = (key, seconds) => {
    const date = new Date(seconds * 1000);
    return h("span", {}, t(key, { time: "" }), h("time", { datetime: date.toISOString(), title: fullTime(date) }, ago(date)));
  };
  const parts = [stamp("jobs.created", job.created), job.finished && stamp("jobs.finished", job.finished)];
  if (job.model) parts.unshift(h("span", {}, job.model));
  if (job.attempt > 1) parts.push(h("span", {}, t("jobs.attempt", { n: job.attempt })));
  if (job.expires) parts.push(h("span", { title: fullTime(new Date(job.expires * 1000)) }, t("jobs.expires", { time: ago(new Date(job.expires * 1000)) })));
  return parts.filter(Boolean).flatMap((part, index) => (index ? [" · ", part] : [part]));
}

function reason(job) {
  const key = job.state === "running" ? "jobs.why.before" : `jobs.why.${job.state}`;
  return problemBox({ message: job.error.message, nextStep: job.error.next_step, code: job.error.code }, { title: t(key) });
}

function downloads(job) {
  return menu(t("jobs.download"), "download", () =>
    FORMATS.map(([format, text]) =>
      h("a", { href: `${jobPath(job.id)}/results?format=${format}`, download: `job-${job.id.slice(0, 8)}.${ENDINGS[format]}` }, h("span", {}, t(text)), h("span", { class: "small" }, t(`${text}.note`))),
    ),
  );
}

/** All pictures, or those that failed. */
function tabBar(onall, all, failed, onchange) {
  const make = (text) => h("button", { class: "button plain", type: "button", "aria-pressed": "false" }, text);
  const one = make(t("jobs.tab.all"));
  const two = make(t("jobs.tab.failed"));
  const element = h("div", { class: "job-tabs", role: "group", "aria-label": t("jobs.pictures"), hidden: true }, one, two);
  const set = (wantFailed) => {
    one.setAttribute("aria-pressed", String(!wantFailed));
    two.setAttribute("aria-pressed", String(wantFailed));
    all.hidden = wantFailed;
    failed.hidden = !wantFailed;
    onchange(wantFailed);
    if (!wantFailed) onall();
  };
  one.addEventListener("click", () => set(false));
  two.addEventListener("click", () => set(true));
  set(false);
  return {
    element,
    show(job) {
      const has = job.kind === "predict" && job.failed > 0;
      two.textContent = `${t("jobs.tab.failed")} (${job.failed})`;
      if (element.hidden === has) element.hidden = !has;
      if (!has && !failed.hidden) set(false);
    },
  };
}

/** What failed and why, a hundred at a time. */
function failedList(id, signal) {
  const ul = h("ul", { class: "job-failures" });
  const more = h("button", { class: "button", type: "button", hidden: true }, t("jobs.failed.more"));
  const element = h("section", { class: "job-failed", hidden: true, "aria-label": t("jobs.tab.failed") }, ul, more);
  const shown = new Set();
  let next = -1;
  let total = 0;
  let passing = false;
  let known = false;
  let loading = null;
  const add = (items) => {
    for (const item of items) {
      if (shown.has(item.index) || shown.size >= 2000) continue;
      shown.add(item.index);
      passing ||= mayPass(item.error);
      ul.append(h("li", {}, h("strong", {}, item.source), h("span", {}, item.error?.message ?? t("jobs.item.failed")), item.error?.next_step && h("span", { class: "small soft" }, item.error.next_step)));
    }
    more.hidden = shown.size >= total || next === null;
  };
  const load = async () => {
    if (next === null) return;
    more.disabled = true;
    try {
      const page = await jobResults(id, { failed: true, after: next, signal });
      total = page.total;
      next = page.next;
      add(page.results);
    } catch (problem) {
      passing = true; // as far as is known
      loading = null;
      if (problem.name !== "AbortError") more.before(problemBox(problem));
    }
    known = true;
    more.disabled = false;
  };
  const begin = () => (loading ??= load());
  more.addEventListener("click", load);
  return {
    element,
    /** A retry makes them fewer: then the list begins anew. */
    count(failed) {
      if (failed < shown.size) {
        shown.clear();
        passing = known = false;
        loading = null;
        ul.replaceChildren();
        next = -1;
        if (!element.hidden) begin();
      }
      total = failed;
    },
    add: (items) => !element.hidden && add(items),
    load: begin,
    /** Whether a retry may help one of those that failed; null: not known yet. */
    mayPass: () => (known ? passing || next !== null || !shown.size : null),
  };
}
