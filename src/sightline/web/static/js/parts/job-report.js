/** What an evaluation and an import have to say, and a training run's epochs as they come. */

import { jobResults } from "../api-jobs.js";
import { h } from "../dom.js";
import { t } from "../strings.js";
import "../words/jobs.js";

const LANGUAGE = document.documentElement.lang;
const share = new Intl.NumberFormat(LANGUAGE, { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 });
const digits = new Intl.NumberFormat(LANGUAGE, { maximumSignificantDigits: 4 });
const MOST_CROSSED = 20;

/** A table that scrolls by itself on narrow screens. */
function table(label, head, rows) {
  const cell = (value, at) => (at === 0 ? h("th", { scope: "row" }, value) : h("td", { class: "numbers" }, value));
  return h(
    "div",
    { class: "report-scroll", tabindex: "0", role: "region", "aria-label": label },
    h("table", {}, h("thead", {}, h("tr", {}, head.map((one) => h("th", { scope: "col" }, one)))), h("tbody", {}, rows.map((row) => h("tr", {}, row.map(cell))))),
  );
}

const fold = (title, inside) => h("details", { class: "report-more" }, h("summary", {}, title), inside);

/** Figures with their intervals and what they rest on; labels and the confusion matrix below. */
export function evaluationReport(report) {
  const model = `${report.model.name}@${report.model.version}${report.size ? `, ${report.size}` : ""}`;
  const figures = Object.entries(report.figures).map(([name, figure]) => [
    name.replaceAll("_", " "),
    share.format(figure.value),
    figure.low === null || figure.high === null ? "" : t("report.interval", { low: share.format(figure.low), high: share.format(figure.high) }),
  ]);
  const columns = report.classes.length ? Object.keys(report.classes[0].figures) : [];
  const classes = report.classes.map((row) => [row.label, String(row.count), ...columns.map((name) => share.format(row.figures[name]))]);
  const names = report.classes.map((row) => row.label);
  const answers = report.columns.length ? report.columns : [...names, t("report.other")];
  return [
    h("p", {}, t("report.basis", { model, dataset: report.dataset, n: report.pictures })),
    table(t("report.figures"), [t("report.figure"), t("report.value"), t("report.interval.head")], figures),
    classes.length > 0 && fold(t("report.classes"), table(t("report.classes"), [t("report.label"), t("report.count"), ...columns.map((name) => name.replaceAll("_", " "))], classes)),
    report.confusion.length > 0 && names.length <= MOST_CROSSED && fold(t("report.confusion"), table(t("report.confusion"), [t("report.truth"), ...answers], report.confusion.map((row, at) => [names[at], ...row.map(String)]))),
    h("p", { class: "small soft" }, t("report.note", { engine: report.engine })),
  ].filter(Boolean);
}

/** The model that came in, with a link, and what was proposed because nobody said it. */
export function importReport(result) {
  const place = result.task === "pipeline" ? "/pipelines" : "/models";
  const proposals = (result.proposals ?? []).map((one) => [one.field, one.value, one.why]);
  return [
    h("p", {}, h("a", { href: `${place}#${encodeURIComponent(result.name)}` }, `${result.name}@${result.version}`), ` · ${t(`model.task.${result.task}`)} · ${t("model.labels", { n: result.labels })}`),
    proposals.length > 0 && fold(t("report.proposals"), table(t("report.proposals"), [t("report.field"), t("report.value"), t("report.why")], proposals)),
  ].filter(Boolean);
}

/** The finished model, or that it was not taken in. */
export function trainReport(result) {
  const name = (result.model ?? "").split("@")[0];
  return [h("p", {}, name ? h("a", { href: `/models#${encodeURIComponent(name)}` }, result.model) : t("report.train.out"))];
}

/** One row an epoch, the newest first, as the run writes them. */
export function epochList(id, signal) {
  const room = h("div", {});
  const element = h("section", { class: "job-panel card", "aria-labelledby": "epochs-title", hidden: true }, h("h2", { id: "epochs-title" }, t("report.epochs")), room);
  const known = new Map();
  const draw = () => {
    const epochs = [...known.values()].sort((a, b) => b.number - a.number);
    element.hidden = !epochs.length;
    if (!epochs.length) return;
    const [losses, metrics] = ["loss", "metrics"].map((key) => [...new Set(epochs.flatMap((one) => Object.keys(one[key] ?? {})))]);
    const head = [t("report.epoch"), ...losses.map((name) => t("report.loss", { name })), ...metrics, t("report.speed")];
    const value = (one) => (typeof one === "number" ? digits.format(one) : "");
    const rows = epochs.map((one) => [t("jobs.of", { done: one.number, total: one.epochs }), ...losses.map((name) => value(one.loss[name])), ...metrics.map((name) => value(one.metrics[name])), value(one.pictures_per_s)]);
    const wide = room.firstElementChild?.scrollLeft ?? 0;
    room.replaceChildren(table(t("report.epochs"), head, rows));
    room.firstElementChild.scrollLeft = wide;
  };
  const load = async (after = -1) => {
    const page = await jobResults(id, { after, limit: 500, whole: true, signal }).catch(() => null);
    if (!page || signal.aborted) return;
    for (const item of page.results) if (item.result?.number) known.set(item.index, item.result);
    draw();
    if (page.next !== null) await load(page.next);
  };
  return { element, load };
}
