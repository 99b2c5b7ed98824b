/** A pipeline of one's own: a form, the file that comes of it, checked by the server, tried before it is kept. */

import { checkPipeline, createPipeline, getPipeline, listModels, listPipelines } from "../api.js";
import { announce, h, icon } from "../dom.js";
import { titleOf } from "../models-data.js";
import { copyText } from "../parts/copy.js";
import { labelChoice } from "../parts/label-choice.js";
import { classifierForm, labelsOf } from "../parts/pipeline-classifier.js";
import { choiceField, percentField, showFaults, slug, textField } from "../parts/pipeline-fields.js";
import { ruleForm } from "../parts/pipeline-rule.js";
import { trial } from "../parts/pipeline-try.js";
import { verdictForm } from "../parts/pipeline-verdicts.js";
import { problemBox } from "../parts/problem.js";
import { go } from "../router.js";
import { t } from "../strings.js";
import "../words/pipelines.js";

const CHECK_MS = 350;

export function open(root, { query, signal }) {
  document.title = `${t("compose.title")} · ${t("app.name")}`;
  const copy = query.get("copy") ?? "";
  const begin = () =>
    Promise.all([listModels(true), listPipelines(signal), copy ? getPipeline(copy, signal) : null]).then(
      ([models, pipelines, from]) => signal.aborted || build(root, { models, pipelines, from }, signal),
      (problem) => problem.name === "AbortError" || root.replaceChildren(head(), problemBox(problem, { again: begin })),
    );
  root.append(head(), h("div", { class: "card pipe-card waiting" }));
  begin();
}

const head = () =>
  h("header", { class: "place-head" }, h("p", { class: "pipe-back small" }, h("a", { href: "/pipelines" }, icon("left"), t("pipelines.title"))), h("h1", { tabindex: "-1" }, t("compose.title")), h("p", { class: "soft" }, t("compose.text")));

function build(root, { models, pipelines, from }, signal) {
  const changed = () => {
    clearTimeout(timer);
    timer = setTimeout(check, CHECK_MS);
  };
  const form = fields(models, changed);
  const side = sidePanel(form.read, signal);
  const touched = new Set();
  let timer = null;
  let turn = 0;
  let insist = false;

  async function check() {
    const mine = ++turn;
    form.settle();
    const names = pipelines.filter((one) => one.name === form.name());
    side.taken(names[0]);
    try {
      const found = await checkPipeline(form.read(), signal);
      if (mine !== turn || signal.aborted) return;
      const homeless = showFaults(form.element, found.faults, touched, insist);
      side.show(found, homeless);
    } catch (problem) {
      if (mine === turn && problem.name !== "AbortError") side.failed(problem);
    }
  }

  async function keep(event) {
    event.preventDefault();
    insist = true;
    side.busy(true);
    try {
      const found = await checkPipeline(form.read(), signal);
      side.show(found, showFaults(form.element, found.faults, touched, true));
      if (!found.ok) {
        (form.element.querySelector("[aria-invalid]") ?? side.faults).focus();
        announce(t("compose.faults", { n: found.faults.length }));
        return;
      }
      const made = await createPipeline(form.read());
      announce(t("compose.kept", { name: `${made.name}@${made.version}` }));
      go(`/pipelines#${made.name}`);
    } catch (problem) {
      if (problem.name !== "AbortError") side.failed(problem);
    } finally {
      side.busy(false);
    }
  }

  form.element.addEventListener("input", changed);
  form.element.addEventListener("change", (event) => {
    touched.add(event.target);
    changed();
  });
  form.element.addEventListener("focusout", (event) => {
    if (!event.target.matches("input, select")) return;
    touched.add(event.target);
    changed();
  });
  form.element.addEventListener("submit", keep);
  signal.addEventListener("abort", () => clearTimeout(timer));
  root.replaceChildren(head(), h("div", { class: "compose" }, form.element, side.element));
  root.querySelector("h1").focus({ preventScroll: true });
  form.load(from?.pipeline, models).then(check);
}

/** The form: one part for each table of the file. */
function fields(models, changed) {
  let base = {};
  let ownName = false;
  const finders = models.filter((model) => model.task !== "pipeline");
  const title = textField("title", t("compose.name.title"), { required: true, placeholder: t("compose.name.title.eg"), spellcheck: "true" });
  const name = textField("name", t("compose.name.name"), { hint: t("compose.name.name.hint") });
  const about = textField("description", t("compose.name.about"), { spellcheck: "true" });
  const first = choiceField("first.model", t("compose.first.model"), finders.map((model) => [model.name, titleOf(model)]));
  const labels = labelChoice({ name: "first.labels", label: t("compose.first.labels"), onchange: changed });
  const min = percentField("first.min_score", t("compose.first.min"));
  const unsure = percentField("first.unsure_from", t("compose.first.unsure"), { hint: t("compose.first.unsure.hint") });
  const size = choiceField("first.size", t("compose.first.size"), [["", t("compose.first.size.usual")]]);
  const rule = ruleForm(changed);
  const classifier = classifierForm(models, changed);
  const verdicts = verdictForm(changed);
  const kinds = ["classifier", "rule"].map((kind) => h("input", { type: "radio", name: "second-kind", value: kind, id: `second-${kind}` }));
  const isRule = () => kinds[1].checked;
  const follow = () => {
    rule.element.hidden = !isRule();
    classifier.element.hidden = isRule();
  };
  const useFirst = async () => {
    const model = models.find((one) => one.name === first.get().split("@")[0]);
    const sizes = model?.sizes?.length > 1 ? model.sizes : [];
    const chosen = size.get();
    size.fill([["", t("compose.first.size.usual")], ...sizes.map((side) => [String(side), String(side)])]);
    if (sizes.includes(Number(chosen))) size.set(chosen);
    size.element.hidden = !sizes.length;
    const known = await labelsOf(first.get());
    labels.offer(known);
    rule.offer(known);
  };
  for (const kind of kinds) kind.addEventListener("change", follow);
  first.input.addEventListener("change", useFirst);
  title.input.addEventListener("input", () => !ownName && (name.input.value = slug(title.input.value)));
  name.input.addEventListener("input", () => (ownName = name.input.value !== ""));

  const second = () => (isRule() ? rule.get() : classifier.get());
  const read = () => {
    const { sure, verdicts: told } = verdicts.get();
    const { rule: signs, model, verdicts: mapping, crop } = second();
    const { version: _, ...kept } = base;
    const names = [told.none, ...told.order, told.unsure];
    const folders = Object.fromEntries(Object.entries(base.verdicts?.folders ?? {}).filter(([verdict]) => names.includes(verdict)));
    return {
      ...kept,
      name: name.input.value.trim(),
      title: title.input.value.trim(),
      description: about.input.value.trim(),
      first: without({ ...base.first, model: first.get(), labels: labels.get(), min_score: min.get(), unsure_from: unsure.get(), size: size.get() ? Number(size.get()) : null }),
      ...(crop ? { crop } : { crop: undefined }),
      second: { ...(signs ? { rule: signs } : { model }), verdicts: mapping, sure },
      verdicts: { ...told, folders },
    };
  };
  const part = (heading, ...children) => h("section", { class: "card pipe-card" }, h("h2", {}, heading), children);
  const radio = (input, words, more) => h("label", { class: "check pipe-kind", for: input.id }, input, h("span", {}, h("strong", {}, words), h("span", { class: "small soft" }, more)));
  const element = h(
    "form",
    { class: "compose-form", novalidate: true, id: "compose-form", "aria-label": t("compose.title") },
    part(t("compose.name"), h("div", { class: "pipe-row" }, title.element, name.element), about.element),
    part(t("compose.first"), first.element, labels, h("div", { class: "pipe-row" }, min.element, unsure.element, size.element)),
    part(t("compose.second"), h("div", { class: "pipe-kinds", role: "radiogroup", "aria-label": t("compose.second") }, radio(kinds[0], t("compose.second.classifier"), t("compose.second.classifier.text")), radio(kinds[1], t("compose.second.rule"), t("compose.second.rule.text"))), classifier.element, rule.element),
    part(t("compose.verdicts"), verdicts.element),
  );
  return {
    element,
    read,
    name: () => name.input.value.trim(),
    /** The list of verdicts follows what stage two may say. */
    settle: () => verdicts.follow(Object.values(second().verdicts)),
    async load(given) {
      const usual = finders.find((model) => model.bundled && model.task !== "classify") ?? finders.find((model) => model.task !== "classify") ?? finders[0];
      base = given ?? {};
      title.input.value = given?.title ?? "";
      about.input.value = given?.description ?? "";
      name.input.value = given ? `${given.name}-copy`.slice(0, 64) : "";
      ownName = Boolean(given);
      first.set(given?.first.model ?? usual?.name ?? "");
      labels.set(given?.first.labels ?? []);
      min.set(given?.first.min_score ?? 0.4);
      unsure.set(given?.first.unsure_from ?? null);
      await useFirst();
      size.set(given?.first.size ? String(given.first.size) : "");
      const ruled = given ? Boolean(given.second.rule) : !models.some((model) => model.task === "classify");
      kinds[ruled ? 1 : 0].checked = true;
      if (given?.second.rule) rule.set(given.second.rule, given.second.verdicts);
      else if (given) await classifier.set(given.second, given.crop ?? {});
      if (given) verdicts.set({ folders: {}, titles: {}, ...given.verdicts }, given.second.sure ?? {});
      follow();
    },
  };
}

const without = (table) => Object.fromEntries(Object.entries(table).filter(([, value]) => value !== null && value !== undefined));

/** The file as it is now, what is off with it, the trial, and keeping it. */
function sidePanel(read, signal) {
  const text = h("code", {});
  const state = h("p", { class: "compose-state", role: "status" }, "\u00a0");
  const faults = h("ul", { class: "compose-faults small", tabindex: "-1" });
  const note = h("p", { class: "small soft", hidden: true });
  const trouble = h("div", {});
  const keep = h("button", { class: "button main-action", type: "submit", form: "compose-form" }, icon("check"), t("compose.keep"));
  const copy = h("button", { class: "button", type: "button", onclick: () => copyText(text.textContent) }, icon("copy"), t("compose.copy"));
  const test = trial(read, signal);
  const element = h(
    "div",
    { class: "compose-side" },
    h(
      "section",
      { class: "card pipe-card", "aria-labelledby": "compose-file" },
      h("h2", { id: "compose-file" }, "pipeline.toml"),
      state,
      h("pre", { class: "compose-text", tabindex: "0", "aria-label": t("compose.text.now") }, text),
      faults,
      note,
      trouble,
      h("div", { class: "pipe-buttons" }, keep, copy),
    ),
    test.element,
  );
  return {
    element,
    faults,
    taken(one) {
      note.hidden = !one;
      note.textContent = one ? t("compose.taken", { name: one.name }) : "";
    },
    show(found, homeless) {
      trouble.replaceChildren();
      if (found.toml !== null) text.textContent = found.toml;
      state.textContent = found.ok ? t("compose.fine") : t("compose.faults", { n: found.faults.length });
      state.dataset.ok = String(found.ok);
      faults.replaceChildren(...[...new Set([...homeless, ...found.faults].map((fault) => fault.message))].map((message) => h("li", {}, message)));
      faults.hidden = found.ok;
    },
    failed: (problem) => trouble.replaceChildren(problemBox(problem)),
    busy: (on) => (keep.disabled = on),
  };
}
