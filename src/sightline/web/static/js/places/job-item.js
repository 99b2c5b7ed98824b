/** One picture of a job with what was seen on it, the way to its neighbours and back to the job. */

import { getJob, getJobItem } from "../api-jobs.js";
import { announce, h, icon } from "../dom.js";
import { countLabels, toResult, visible } from "../filter.js";
import { bindKeys } from "../keys.js";
import { labelSwitches, threshold } from "../parts/filters.js";
import { foundWords } from "../parts/job-grid.js";
import { objectList, sayObject } from "../parts/objects.js";
import { Overlay } from "../parts/overlay.js";
import { problemBox } from "../parts/problem.js";
import { Stage } from "../parts/stage.js";
import { tools } from "../parts/tools.js";
import { go } from "../router.js";
import { describe, percent, t } from "../strings.js";
import "../words/jobs.js";

export function open(root, { params, signal }) {
  const index = Number(params.index);
  const back = `/jobs/${encodeURIComponent(params.id)}`;
  const travel = neighbours(params.id, index, signal);
  bindKeys("keys.here", { ArrowLeft: travel.previous, ArrowRight: travel.next }, [[["←", "→"], "jobs.item.around"]], signal);
  root.append(head(back, index, travel, "\u00a0"), h("div", { class: "result-body" }, h("div", { class: "result-stage" }, h("div", { class: "stage waiting" })), h("div", { class: "panel" })));
  getJobItem(params.id, index, signal).then(
    (item) => {
      document.title = `${item.source} · ${t("app.name")}`;
      if (item.state === "failed") failed(root, item, back, travel);
      else build(root, item, back, travel, signal);
    },
    (problem) => {
      if (problem.name === "AbortError") return;
      root.replaceChildren(head(back, index, travel, t("jobs.number", { number: index + 1 })), problemBox(problem, { again: () => go(`${back}/${index}`, { replace: true }) }));
    },
  );
}

function head(back, index, travel, title, sentence) {
  return h(
    "header",
    { class: "result-head" },
    h("div", { class: "result-title" }, h("p", { class: "job-back small" }, h("a", { href: back }, icon("left"), t("jobs.item.back"))), h("h1", { tabindex: "-1", title }, title), sentence),
    h("div", { class: "result-actions" }, travel.element),
  );
}

function neighbours(id, index, signal) {
  const link = (name, text) => h("a", { class: "button square", "aria-label": t(text), title: t(text), "aria-disabled": "true", role: "link" }, icon(name));
  const before = link("left", "jobs.item.previous");
  const after = link("right", "jobs.item.next");
  const set = (element, to) => {
    element.href = `/jobs/${encodeURIComponent(id)}/${to}`;
    element.removeAttribute("aria-disabled");
  };
  if (index > 0) set(before, index - 1);
  getJob(id, signal).then(
    ({ progress }) => index + 1 < Math.max(progress.total, progress.done) && set(after, index + 1),
    () => undefined,
  );
  const to = (element) => () => element.getAttribute("href") && go(element.getAttribute("href"), { replace: true });
  return { element: h("div", { class: "around" }, before, after), previous: to(before), next: to(after) };
}

function failed(root, item, back, travel) {
  const problem = { message: item.error?.message ?? t("jobs.item.failed"), nextStep: item.error?.next_step };
  root.replaceChildren(head(back, item.index, travel, item.source), problemBox(problem, { title: t("jobs.item.why") }));
}

function build(root, item, back, travel, signal) {
  const result = toResult({ ...item.result, source: item.source, min_score: item.result.min_score ?? 0 });
  const isClasses = result.task === "classify";
  const state = { min: 0, hidden: new Set(), active: null };
  const look = { names: true, masks: true, drawing: true, opacity: 0.35 };
  const sentence = h("p", { class: "soft result-sentence" });
  const pick = (at) => {
    activate(at);
    objects.list.focus({ preventScroll: true });
  };
  const overlay = new Overlay(result, { onhover: activate, onpick: pick });
  const stage = new Stage({ label: item.source, onview: (view) => overlay.place(view) });
  stage.add(overlay.canvas);
  stage.element.append(overlay.svg);
  const objects = objectList(result, t(isClasses ? "result.classes" : "result.objects"), { onhover: activate, onpick: pick });
  const slider = threshold(result, state, change);
  const switches = labelSwitches(result, state, change);
  const bar = tools(look, { hasBoxes: !isClasses, hasMasks: overlay.hasMasks, stage, onchange: draw });
  let shown = [];

  function activate(at) {
    state.active = at;
    overlay.activate(at);
    objects.activate(at);
  }
  function change(values) {
    Object.assign(state, values);
    refresh();
  }
  function refresh() {
    shown = visible(result.predictions, state);
    if (state.active !== null && !shown.some((one) => one.index === state.active)) activate(null);
    overlay.show(shown);
    objects.show(shown);
    objects.more.hidden = true;
    slider.update();
    switches.update();
    sentence.textContent = isClasses || item.verdict ? foundWords(item) : describe(countLabels(shown, 0), 6);
    stage.element.setAttribute("aria-label", t("result.stage", { found: sentence.textContent }));
    objects.element.hidden = !shown.length;
  }
  function draw() {
    overlay.set(look);
    bar.update();
  }
  function step(by) {
    if (!shown.length) return;
    const at = shown.findIndex((one) => one.index === state.active);
    const next = shown[at === -1 ? (by > 0 ? 0 : shown.length - 1) : (at + by + shown.length) % shown.length];
    activate(next.index);
    if (document.activeElement !== objects.list) announce(sayObject(next, result));
  }

  const keys = { ArrowUp: () => step(-1), ArrowDown: () => step(1), Escape: () => activate(null), z: () => stage.zoomBy(1.5), Z: () => stage.zoomBy(1 / 1.5), 0: () => stage.fit() };
  bindKeys("keys.here", keys, [[["↑", "↓"], "key.object"], [["z", "Z"], "key.zoom"], [["0"], "key.fit"]], signal);
  signal.addEventListener("abort", () => stage.close());
  const facts = h("p", { class: "small soft" }, [result.model.name && `${result.model.name} ${result.model.version ?? ""}`, result.engine].filter(Boolean).join(" · "));
  const parts = isClasses ? [objects.element] : [slider.element, switches.element, objects.element];
  root.replaceChildren(
    head(back, item.index, travel, item.source, sentence),
    h("div", { class: "result-body" }, h("div", { class: "result-stage" }, stage.element, bar.element), h("div", { class: "panel" }, parts, facts)),
  );
  stage.show(item.image, result.width, result.height);
  stage.image.addEventListener("error", () => stage.element.append(h("p", { class: "stage-note soft" }, icon("picture"), t("jobs.item.picture.gone"))), { once: true });
  refresh();
  draw();
  announce(`${item.source}: ${sentence.textContent || percent(0)}`);
}
