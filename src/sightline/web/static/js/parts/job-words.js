/** What is said about a job, the same in the list and on its page. */

import { h } from "../dom.js";
import { duration, percent, rate, t } from "../strings.js";

export const ENDED = new Set(["done", "failed", "cancelled", "dead"]);

/** "120 pictures"; what the job is about. */
export function titleOfJob(job) {
  if (job.kind !== "predict") return t(`jobs.kind.${job.kind}`) === `jobs.kind.${job.kind}` ? job.kind : t(`jobs.kind.${job.kind}`);
  return job.progress.total ? t("look.batch", { n: job.progress.total }) : t("jobs.kind.predict");
}

/** The state as a chip; the word says it, the colour only helps. */
export function stateChip(job) {
  const partly = job.state === "done" && job.failed > 0;
  return h("span", { class: `job-state ${partly ? "partly" : job.state}` }, t(partly ? "jobs.state.partly" : `jobs.state.${job.state}`));
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
