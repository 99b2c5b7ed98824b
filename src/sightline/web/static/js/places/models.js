/** Models: what each one is for, how good it is, how fast here, under which licence, and which one is in use. */

import { getModel, listModels } from "../api.js";
import { announce, h, icon } from "../dom.js";
import { accuracyOf, chooseModel, currentModel, titleOf } from "../models-data.js";
import { problemBox } from "../parts/problem.js";
import { bytes, percent, t } from "../strings.js";

export function open(root, { signal }) {
  document.title = `${t("models.title")} · ${t("app.name")}`;
  const room = h("div", { class: "models-room" }, h("div", { class: "model card waiting" }), h("div", { class: "model card waiting" }));
  root.append(h("header", { class: "place-head" }, h("h1", { tabindex: "-1" }, t("models.title")), h("p", { class: "soft" }, withCode(t("models.text"))), h("p", {}, h("a", { href: "/pipelines" }, t("models.pipelines")))), room);
  const load = () =>
    listModels(true).then(
      async (found) => {
        const models = [...found].sort((one, other) => other.default - one.default); // what answers when nothing is chosen comes first
        // Cards come whole: facts that arrive later would move what stands below them.
        const details = await Promise.allSettled(models.map((model) => getModel(model.name, signal)));
        if (signal.aborted) return;
        room.replaceChildren(...(models.length ? cards(models, details) : [none()]));
        document.getElementById(decodeURIComponent(location.hash.slice(1)))?.scrollIntoView();
      },
      (problem) => room.replaceChildren(problemBox(problem, { again: load })),
    );
  load();
}

/** `code` between backticks, nothing else. */
function withCode(text) {
  return text.split("`").map((part, at) => (at % 2 ? h("code", {}, part) : part));
}

function none() {
  return h("div", { class: "empty" }, icon("models"), h("h2", {}, t("models.empty")), h("p", {}, withCode(t("models.empty.text"))));
}

function cards(models, details) {
  const marks = [];
  const mark = () => {
    const current = currentModel(models);
    for (const each of marks) each(current);
  };
  const list = models.map((model, at) => card(model, details[at], marks, () => {
    chooseModel(model.name);
    mark();
    announce(`${titleOf(model)}: ${t("models.used")}`);
  }));
  mark();
  return list;
}

/** @param {PromiseSettledResult<object>} detail the model whole, or the problem */
function card(model, detail, marks, use) {
  const button = h("button", { class: "button", type: "button", onclick: use });
  marks.push((current) => {
    const used = current === model;
    button.setAttribute("aria-pressed", String(used));
    button.replaceChildren(...(used ? [icon("check"), t("models.used")] : [t("models.use")]));
  });
  const full = detail.value;
  return h(
    "article",
    { class: "model card", id: model.name, "aria-labelledby": `title-${model.name}` },
    h(
      "header",
      { class: "model-head" },
      h("div", {}, h("h2", { id: `title-${model.name}` }, titleOf(model)), h("p", { class: "small soft" }, [`${model.name}@${model.version}`, model.bundled && t("models.bundled")].filter(Boolean).join(" · "))),
      button,
    ),
    h("p", {}, model.description || t(`model.${model.task}`)),
    facts([
      [t(`model.task.${model.task}`), t("model.labels", { n: model.labels })],
      [t("models.accuracy"), accuracyWords(model)],
      [t("models.licence"), !model.licence || model.licence === "unknown" ? t("model.unknown.licence") : model.licence],
      [t("models.size"), model.bytes ? bytes(model.bytes) : ""],
    ]),
    h("div", { class: "model-engine" }, full ? facts(engineFacts(full)) : problemBox(detail.reason)),
    full && h("details", { class: "model-more" }, h("summary", {}, t("models.more")), h("div", { class: "model-more-room" }, about(full))),
  );
}

function facts(rows) {
  return h("dl", { class: "model-facts" }, rows.filter(([, value]) => value).map(([name, value]) => h("div", {}, h("dt", { class: "small soft" }, name), h("dd", { class: "numbers" }, value))));
}

function accuracyWords(model) {
  const accuracy = accuracyOf(model);
  if (!accuracy) return t("models.accuracy.none");
  const basis = [accuracy.interval, accuracy.pictures ? t("models.accuracy.on", { n: accuracy.pictures }) : "", accuracy.set].filter(Boolean).join(", ");
  return [accuracy.text, basis && h("span", { class: "small soft" }, basis)];
}

function engineFacts(full) {
  const { engine, speed } = full;
  return [
    [t("models.engine"), engine ? [engine.engine, engine.version, engine.precision].filter(Boolean).join(" ") : t("models.engine.none")],
    [t("models.speed"), speed ? speedWords(speed) : t("models.speed.none")],
    [t("models.why"), engine?.reason],
  ];
}

function speedWords(speed) {
  const basis = t("models.accuracy.on", { n: speed.pictures });
  return [t("models.speed.value", { ms: Math.round(speed.infer_ms * 10) / 10 }), h("span", { class: "small soft" }, basis)];
}

function about(model) {
  const input = model.input ?? {};
  const rows = [
    [t("models.min"), percent(model.min_score)],
    [t("models.input"), inputWords(input)],
    [t("models.origin"), model.origin],
    [t("models.start"), model.initialisation],
  ];
  return [facts(rows), labelFinder(model.label_names), model.card && h("div", { class: "model-card-text" }, cardText(model.card))];
}

function inputWords({ sizes = [], width, height }) {
  if (sizes.length > 1) return t("models.input.value", { sizes: sizes.join(" · ") });
  return width ? t("result.size.value", { width, height }) : "";
}

function labelFinder(labels) {
  if (!labels.length) return null;
  const list = h("p", { class: "model-labels small" });
  const show = (text) => {
    const kept = labels.filter((label) => label.toLowerCase().includes(text.toLowerCase()));
    list.textContent = kept.length ? kept.slice(0, 400).join(" · ") + (kept.length > 400 ? " …" : "") : t("models.labels.none");
  };
  show("");
  if (labels.length <= 20) return h("section", {}, h("h3", {}, t("models.labels")), list);
  const field = h("input", { class: "field", type: "text", placeholder: t("models.labels.find"), "aria-label": t("models.labels.find") });
  field.addEventListener("input", () => show(field.value.trim()));
  return h("section", {}, h("h3", {}, t("models.labels")), field, list);
}

/** The card is Markdown; its headings, lists, bold and code are shown, everything else stays text. */
function cardText(markdown) {
  const blocks = markdown.replace(/\r/g, "").split(/\n{2,}/).map((block) => block.trim()).filter(Boolean);
  return blocks.flatMap((block) => {
    if (block.startsWith("|")) return [h("pre", { class: "small", tabindex: "0" }, block)];
    if (block.startsWith("```")) return [h("pre", { class: "small", tabindex: "0" }, block.replace(/^```\w*\n?|```$/g, ""))];
    const heading = /^#{1,6} +(.+)/.exec(block);
    if (heading) {
      const rest = block.slice(heading[0].length).trim();
      return [h("h3", {}, heading[1]), rest && h("p", {}, inline(rest))];
    }
    if (/^[-*] /.test(block)) return [h("ul", {}, block.split(/\n(?=[-*] )/).map((line) => h("li", {}, inline(line.slice(2)))))];
    return [h("p", {}, inline(block))];
  });
}

function inline(text) {
  return text.replace(/\n/g, " ").split(/(\*\*[^*]+\*\*|`[^`]+`)/).map((part) => {
    if (part.startsWith("**")) return h("strong", {}, part.slice(2, -2));
    if (part.startsWith("`")) return h("code", {}, part.slice(1, -1));
    return part.replace(/\[([^\]]+)\]\([^)]+\)/g, "$1");
  });
}
