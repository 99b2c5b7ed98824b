/** What is said about a job, the same in the list and on its page. */

import { h } from "../dom.js";
import { duration, percent, rate, t } from "../strings.js";
import "../words/jobs.js";

export const ENDED = new Set(["done", "failed", "cancelled", "dead"]);

/** "holiday, 120 pictures", "3 pictures: a.jpg, b.jpg, …", "A video: yard.mp4"; what the job is about. */
export function titleOfJob(job) {
  const { total } = job.progress;
  if (job.kind === "predict") {
    const count = total ? t("look.batch", { n: total }) : "";
    if (!job.name) return count || t("jobs.kind.predict");
    if (total < 2) return job.name;
    return t(job.name.includes(", ") ? "jobs.named.each" : "jobs.named.many", { name: job.name, count });
  }
  const kind = t(`jobs.kind.${job.kind}`) === `jobs.kind.${job.kind}` ? job.kind : t(`jobs.kind.${job.kind}`);
  return job.name ? t("jobs.named", { kind, name: job.name }) : kind;
}

/** The state as a chip; the word says it, the colour only helps. */
export function stateChip(job) {
  const partly = job.state === "done" && job.failed > 0;
  const none = partly && job.failed >= job.progress.total;
  const state = none ? "none" : partly ? "partly" : job.state;
  return h("span", { class: `job-state ${none ? "failed" : state}` }, t(`jobs.state.${state}`));
}

/** "312 of 2,000 · 14 pictures a second · 2 minutes left · 3 failed" */
export function progressWords(job) {
  const { done, total } = job.progress;
  const running = job.state === "running";
  const parts = [
    total ? t("jobs.of", { done, total }) : done ? t("look.batch", { n: done }) : null,
    job.rate && (running || job.state === "done") ? t(job.kind === "predict" ? "jobs.rate" : "jobs.rate.steps", { rate: rate(job.rate) }) : null,
    running && job.left_s !== null && job.left_s !== undefined && done < total ? t("jobs.left", { time: duration(job.left_s) }) : null,
    job.failed ? t("jobs.failed.count", { n: job.failed }) : null,
  ];
  return parts.filter(Boolean).join(" · ");
}

/** What is said of a job that has not begun to count; nothing of one that has ended. */
export const idleWords = (job) => (ENDED.has(job.state) ? "" : t(job.state === "queued" ? "jobs.waiting" : "jobs.reading"));

/** A bar that follows the job. */
export function jobMeter() {
  const meter = h("progress", { class: "work-meter", max: "1", "aria-label": t("jobs.meter") });
  meter.follow = (job) => {
    const { done, total } = job.progress;
    if (total) {
      meter.value = Math.min(1, done / total);
      meter.setAttribute("aria-valuetext", percent(meter.value));
    } else {
      meter.removeAttribute("value");
    }
    meter.hidden = ENDED.has(job.state) || (job.state === "queued" && !done);
  };
  return meter;
}
