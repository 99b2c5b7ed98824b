/** What a job of another kind than pictures has made: figures, a model, files, a film to watch. */

import { jobPath } from "../api-jobs.js";
import { h, icon } from "../dom.js";
import { bytes, t } from "../strings.js";
import "../words/jobs.js";
import { evaluationReport, importReport, trainReport } from "./job-report.js";

const REPORTS = { evaluate: evaluationReport, import: importReport, train: trainReport, video: filmReport };

let shown = { key: "", nodes: [] };

/** @returns {Node[]} the same ones as long as nothing changed, so that a film that plays goes on */
export function jobResult(job) {
  const key = `${job.id} ${JSON.stringify(job.result)}`;
  if (shown.key !== key) shown = { key, nodes: job.result && job.kind !== "predict" ? build(job) : [] };
  return shown.nodes;
}

function build(job) {
  const files = Array.isArray(job.result.files) ? job.result.files : [];
  const film = files.find((file) => file.media_type === "video/webm");
  const told = REPORTS[job.kind]?.(job.result) ?? [facts(job.result)];
  const parts = [film && h("video", { class: "job-film", src: address(job, film), controls: true, preload: "metadata", "aria-label": film.name }), ...told, files.length > 0 && downloads(job, files)].filter(Boolean);
  return parts.length ? [h("section", { class: "job-panel card", "aria-label": t("jobs.result") }, h("h2", {}, t("jobs.result")), parts)] : [];
}

/** How many distinct objects there were, and how long the film is. */
function filmReport({ counts = {}, verdicts = {}, frames, seconds, fps, width, height }) {
  const number = new Intl.NumberFormat(document.documentElement.lang, { maximumFractionDigits: 1 });
  const list = (table) => Object.entries(table).sort((a, b) => b[1] - a[1]);
  const told = (title, rows) => rows.length > 0 && [h("h3", {}, title), h("dl", { class: "model-facts" }, rows.map(([name, count]) => h("div", {}, h("dt", { class: "small soft" }, name), h("dd", { class: "numbers" }, number.format(count)))))];
  return [
    told(t("film.counts"), list(counts)),
    told(t("film.verdicts"), list(verdicts)),
    !list(counts).length && !list(verdicts).length && h("p", {}, t("film.nothing")),
    h("p", { class: "small soft" }, t("film.facts", { n: frames, seconds: number.format(seconds), fps: number.format(fps), width: String(width), height: String(height) })),
  ].flat().filter(Boolean);
}

const address = (job, file) => `${jobPath(job.id)}/files/${encodeURIComponent(file.name)}`;

function facts(result) {
  const rows = Object.entries(result).flatMap(([name, value]) => (isPlain(value) ? [[name, value]] : isTable(value) ? Object.entries(value).map(([key, one]) => [`${name}: ${key}`, one]) : []));
  return rows.length > 0 && h("dl", { class: "model-facts" }, rows.slice(0, 40).map(([name, value]) => h("div", {}, h("dt", { class: "small soft" }, name.replaceAll("_", " ")), h("dd", { class: "numbers" }, typeof value === "number" ? new Intl.NumberFormat(document.documentElement.lang, { maximumFractionDigits: 3 }).format(value) : String(value)))));
}

const isPlain = (value) => ["string", "number", "boolean"].includes(typeof value);
const isTable = (value) => value && typeof value === "object" && !Array.isArray(value) && Object.values(value).every(isPlain);

function downloads(job, files) {
  return h("ul", { class: "job-files" }, files.map((file) => h("li", {}, h("a", { class: "button", href: address(job, file), download: file.name }, icon("download"), `${file.name}${file.bytes ? `, ${bytes(file.bytes)}` : ""}`))));
}
