/** Result: the picture with what was seen, the list beside it, and everything one may want to take away. */

import { getResult, resultPath } from "../api.js";
import { announce, h, icon } from "../dom.js";
import { bestBelow, countLabels, toResult, visible } from "../filter.js";
import { bindKeys } from "../keys.js";
import { details } from "../parts/details.js";
import { labelSwitches, threshold } from "../parts/filters.js";
import { lookAgain } from "../parts/look-again.js";
import { neighbours } from "../parts/neighbours.js";
import { objectList, sayObject } from "../parts/objects.js";
import { Overlay } from "../parts/overlay.js";
import { problemBox } from "../parts/problem.js";
import { copyMenu, deleteButton, downloadMenu } from "../parts/share.js";
import { Stage } from "../parts/stage.js";
import { tools } from "../parts/tools.js";
import { verdictBox, verdictChip, verdictWords } from "../parts/verdict.js";
import { go, readable, setQuery } from "../router.js";
import { describe, percent, t } from "../strings.js";

const TOP_CLASSES = 5;

export function open(root, context) {
  const { params, handoff, signal } = context;
  // The way to the neighbours works before the result is here, so that keys pressed quickly are not lost.
  context.around = neighbours(params.id, signal);
  bindTravelKeys(context.around, signal);
  if (handoff?.json) {
    build(root, context, handoff.json);
    return;
  }
  root.append(skeleton());
  getResult(params.id, signal).then(
    (json) => build(root, context, json),
    (problem) => {
      if (problem.name === "AbortError") return;
      root.replaceChildren(problem.status === 404 ? gone() : problemBox(problem, { again: () => go(location.pathname + location.search, { replace: true }) }));
    },
  );
}

function skeleton() {
  document.title = t("app.name");
  return [
    h("header", { class: "result-head" }, h("div", { class: "result-title" }, h("h1", { tabindex: "-1" }, "\u00a0"), h("p", {}, "\u00a0"))),
    h("div", { class: "result-body" }, h("div", { class: "result-stage" }, h("div", { class: "stage waiting" }), h("div", { class: "tools" })), h("div", { class: "panel" })),
  ].reduce((all, part) => (all.append(part), all), document.createDocumentFragment());
}

function gone() {
  return h("div", { class: "empty" }, icon("history"), h("h1", { tabindex: "-1" }, t("result.gone.title")), h("p", {}, t("result.gone.text")), h("a", { class: "button main-action", href: "/" }, t("lost.action")));
}

function startState(result, query) {
  const min = Number.parseFloat(query.get("min"));
  const labels = query.get("labels");
  const all = new Set(result.predictions.map((item) => item.label));
  const kept = labels === null ? all : new Set(labels.split(",").map(readable));
  return {
    min: Number.isFinite(min) && query.has("min") ? Math.min(1, Math.max(0, min / 100)) : result.task === "classify" ? 0 : result.minScore,
    hidden: new Set([...all].filter((label) => !kept.has(label))),
    active: null,
  };
}

function build(root, { query, handoff, signal, around }, json) {
  const result = toResult(json);
  const state = startState(result, query);
  const look = { names: true, masks: true, drawing: true, opacity: 0.35 };
  const isClasses = result.task === "classify";
  const sentence = h("p", { class: "soft result-sentence" });
  const message = h("div", { class: "result-message" });
  const trouble = h("div", { class: "result-trouble" });

  const hover = (index) => {
    activate(index);
  };
  const pick = (index) => {
    activate(index);
    objects.list.focus({ preventScroll: true });
  };
  const overlay = new Overlay(result, { onhover: hover, onpick: pick });
  const stage = new Stage({ label: t("app.name"), onview: (view) => overlay.place(view) });
  stage.add(overlay.canvas);
  stage.element.append(overlay.svg);
  if (result.verdict) stage.element.append(verdictChip(result.verdict));
  const objects = objectList(result, t(isClasses ? "result.classes" : "result.objects"), { onhover: hover, onpick: pick });
  const slider = threshold(result, state, change);
  const switches = labelSwitches(result, state, change);
  const bar = tools(look, { hasBoxes: !isClasses, hasMasks: overlay.hasMasks, stage, onchange: draw });
  let allClasses = false;
  let shown = [];

  function activate(index) {
    state.active = index;
    overlay.activate(index);
    objects.activate(index);
  }

  function change(values) {
    Object.assign(state, values);
    refresh();
    remember();
  }

  function remember() {
    const query_ = new URLSearchParams();
    if (Math.abs(state.min - (isClasses ? 0 : result.minScore)) > 0.0004) query_.set("min", Math.floor(state.min * 1000 + 1e-6) / 10);
    if (state.hidden.size) query_.set("labels", [...new Set(result.predictions.map((item) => item.label))].filter((label) => !state.hidden.has(label)).map(encodeURIComponent).join(","));
    clearTimeout(remember.timer);
    remember.timer = setTimeout(() => setQuery(`/r/${result.id}`, query_), 200);
  }

  function refresh() {
    shown = visible(result.predictions, state);
    if (state.active !== null && !shown.some((item) => item.index === state.active)) activate(null);
    overlay.show(shown);
    const listed = isClasses && !allClasses ? shown.slice(0, TOP_CLASSES) : shown;
    objects.show(listed);
    objects.more.hidden = !isClasses || shown.length <= TOP_CLASSES;
    objects.more.textContent = allClasses ? t("result.classes.fewer") : t("result.classes.all", { n: shown.length });
    slider.update();
    switches.update();
    const found = isClasses ? (shown[0] ? `${shown[0].label}, ${percent(shown[0].score)}` : t("result.nothing")) : describe(countLabels(shown, 0), 6);
    const words = result.verdict ? `${verdictWords(result.verdict)}. ${found}` : found;
    if (sentence.textContent !== words) {
      sentence.textContent = words;
      stage.element.setAttribute("aria-label", t("result.stage", { found: words }));
      clearTimeout(refresh.timer);
      refresh.timer = setTimeout(() => !signal.aborted && announce(words), 400);
    }
    message.replaceChildren(...[emptyMessage(result, state, shown, change), decisionMessage(result)].filter(Boolean));
    objects.element.hidden = !shown.length;
  }

  function draw() {
    overlay.set(look);
    bar.update();
  }

  function step(by) {
    if (!shown.length) return;
    const at = shown.findIndex((item) => item.index === state.active);
    const next = shown[at === -1 ? (by > 0 ? 0 : shown.length - 1) : (at + by + shown.length) % shown.length];
    activate(next.index);
    clearTimeout(refresh.timer); // the whole must not talk over the one that was asked for
    if (document.activeElement !== objects.list) announce(sayObject(next, result));
  }

  objects.more.addEventListener("click", () => {
    allClasses = !allClasses;
    refresh();
  });
  const flip = (name) => () => {
    look[name] = !look[name];
    draw();
  };
  const nudge = (by) => () => change({ min: Math.min(1, Math.max(0, Math.round((state.min + by) * 100) / 100)) });
  bindResultKeys({ step, flip, nudge, stage, activate, hasMasks: overlay.hasMasks }, signal);
  signal.addEventListener("abort", () => stage.close());

  const leave = async () => {
    const [newer, older] = await around.paths;
    go(older ?? newer ?? "/history", { replace: true });
  };
  document.title = `${result.source} · ${t("app.name")}`;
  const actions = h(
    "div",
    { class: "result-actions" },
    around.element,
    downloadMenu(result, state),
    copyMenu(result, state, json),
    deleteButton(result.id, leave, (problem) => trouble.replaceChildren(problemBox(problem))),
  );
  const panel = h("div", { class: "panel" }, result.verdict && verdictBox(result.verdict), message, isClasses ? objects.element : [slider.element, switches.element, objects.element], details(result), lookAgain(result, (problem) => trouble.replaceChildren(problemBox(problem))));
  root.replaceChildren(
    h("header", { class: "result-head" }, h("div", { class: "result-title" }, h("h1", { tabindex: "-1", title: result.source }, result.source), sentence), actions),
    trouble,
    h("div", { class: "result-body" }, h("div", { class: "result-stage" }, stage.element, bar.element), panel),
  );
  showPicture(stage, result, handoff?.preview);
  refresh();
  draw();
}

/** The preview that the visitor already sees stays until the server's own copy is decoded: no flash. */
function showPicture(stage, result, preview) {
  const own = `${resultPath(result.id)}/image`;
  stage.show(preview || own, result.width, result.height);
  stage.image.addEventListener("error", () => {
    if (stage.image.getAttribute("src") === own) stage.element.append(h("p", { class: "stage-note soft" }, icon("picture"), t("result.picture.gone")));
  });
  if (!preview) return;
  const real = new Image();
  real.src = own;
  real.decode().then(
    () => {
      stage.image.src = own;
      URL.revokeObjectURL(preview);
    },
    () => undefined,
  );
}

function emptyMessage(result, state, shown, change) {
  if (shown.length || result.task === "classify") return null;
  const best = bestBelow(result.predictions, state);
  const box = (text, button) => h("div", { class: "nothing" }, h("h2", {}, t("result.nothing")), h("p", {}, text), button);
  if (best) {
    const target = Math.floor(best.score * 1000) / 1000;
    const show = h("button", { class: "button main-action", type: "button", onclick: () => change({ min: target }) }, t("result.nothing.show", { score: percent(target) }));
    return box(t("result.nothing.best", { min: percent(state.min), label: best.label, score: percent(best.score) }), show);
  }
  if (state.hidden.size) {
    const all = h("button", { class: "button", type: "button", onclick: () => change({ hidden: new Set() }) }, t("result.all"));
    return box(t("result.nothing.filtered"), all);
  }
  return box(t("result.nothing.none", { n: "" }), h("a", { class: "button", href: "/models" }, t("model.change")));
}

function decisionMessage(result) {
  if (result.decision !== "uncertain" && result.decision !== "unknown") return null;
  const key = result.decision === "uncertain" ? "result.unsure" : "result.unknown";
  return h("div", { class: "nothing" }, h("h2", {}, t(key)), h("p", {}, t(`${key}.text`)));
}

function bindTravelKeys(around, signal) {
  const to = async (which) => {
    const path = (await around.paths)[which];
    if (path && !signal.aborted) go(path);
  };
  bindKeys("keys.here", { ArrowLeft: () => to(0), ArrowRight: () => to(1) }, [[["←", "→"], "key.previous"]], signal);
}

function bindResultKeys({ step, flip, nudge, stage, activate, hasMasks }, signal) {
  const keys = {
    ArrowUp: () => step(-1),
    ArrowDown: () => step(1),
    Escape: () => activate(null),
    "-": nudge(-0.05),
    "=": nudge(0.05),
    l: flip("names"),
    m: hasMasks ? flip("masks") : () => undefined,
    d: flip("drawing"),
    z: () => stage.zoomBy(1.5),
    Z: () => stage.zoomBy(1 / 1.5),
    0: () => stage.fit(),
  };
  const rows = [
    [["↑", "↓"], "key.object"],
    [["-", "="], "key.threshold"],
    [["l"], "key.labels"],
    hasMasks && [["m"], "key.masks"],
    [["d"], "key.drawing"],
    [["z", "Z"], "key.zoom"],
    [["0"], "key.fit"],
  ].filter(Boolean);
  bindKeys("keys.here", keys, rows, signal);
}
