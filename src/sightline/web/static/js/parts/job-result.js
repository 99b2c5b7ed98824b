/** What a job of another kind answered at its end: its numbers and texts, without knowing more of it. */

import { h } from "../dom.js";
import { t } from "../strings.js";

/** @returns {Node[]} */
export function jobResult(job) {
  if (!job.result || job.kind === "predict") return [];
  const rows = Object.entries(job.result).filter(([, value]) => ["string", "number", "boolean"].includes(typeof value));
  if (!rows.length) return [];
  const list = h("dl", { class: "model-facts" }, rows.map(([name, value]) => h("div", {}, h("dt", { class: "small soft" }, name.replaceAll("_", " ")), h("dd", { class: "numbers" }, String(value)))));
  return [h("section", { class: "job-panel card", "aria-label": t("jobs.result") }, h("h2", {}, t("jobs.result")), list)];
}
