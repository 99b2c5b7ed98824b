/** Pipelines: what each one says, and how; another second stage, a copy to edit, the bundle, away with it. */

import { deletePipeline, getPipeline, listModels, listPipelines, pipelinePath, replaceSecond } from "../api.js";
import { announce, h, icon } from "../dom.js";
import { chooseModel, classifiersOf, titleOf } from "../models-data.js";
import { labelsOf } from "../parts/pipeline-classifier.js";
import { choiceField, percentField } from "../parts/pipeline-fields.js";
import { meaningsForm } from "../parts/pipeline-meanings.js";
import { problemBox } from "../parts/problem.js";
import { removal } from "../parts/removal.js";
import { go } from "../router.js";
import { t } from "../strings.js";
import "../words/pipelines.js";

export function open(root, { signal }) {
  document.title = `${t("pipelines.title")} · ${t("app.name")}`;
  const trouble = h("div", {});
  const room = h("div", { class: "pipelines-room" }, h("div", { class: "card pipe-card waiting" }));
  const failed = (problem) => problem.name === "AbortError" || trouble.replaceChildren(problemBox(problem));
  const load = async () => {
    try {
      const [pipelines, models] = await Promise.all([listPipelines(signal), listModels(true)]);
      if (signal.aborted) return;
      const act = (work, words, where = trouble) => async () => {
        trouble.replaceChildren();
        where.replaceChildren();
        try {
          await work();
          announce(words);
        } catch (problem) {
          if (problem.name !== "AbortError") where.replaceChildren(problemBox(problem));
          if (problem.status !== 404) return; // what was filled in stays
        }
        await load();
      };
      room.replaceChildren(...(pipelines.length ? pipelines.map((one) => card(one, models, act, signal)) : [h("p", { class: "soft" }, t("pipelines.none"))]));
      const wanted = decodeURIComponent(location.hash.slice(1));
      if (wanted) document.getElementById(wanted)?.scrollIntoView();
    } catch (problem) {
      failed(problem);
    }
  };
  root.append(
    h(
      "header",
      { class: "place-head" },
      h("p", { class: "pipe-back small" }, h("a", { href: "/models" }, icon("left"), t("models.title"))),
      h("h1", { tabindex: "-1" }, t("pipelines.title")),
      h("p", { class: "soft" }, t("pipelines.text")),
      h("a", { class: "button main-action", href: "/pipelines/new" }, icon("plus"), t("pipelines.new")),
    ),
    trouble,
    room,
  );
  load();
  // Another tab, or the command line, may have changed them meanwhile.
  document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && !room.querySelector("details[open]") && load(), { signal });
}

function card(one, models, act, signal) {
  const name = `${one.name}@${one.version}`;
  const said = [one.version !== "1" && t("pipelines.versions", { n: one.versions.length }), one.bundled && t("models.bundled")].filter(Boolean);
  const use = () => {
    chooseModel(one.name);
    announce(`${one.title}: ${t("models.used")}`);
    go("/");
  };
  return h(
    "article",
    { class: "card pipe-card pipeline", id: one.name, "aria-labelledby": `title-${one.name}` },
    h("div", {}, h("h2", { id: `title-${one.name}` }, one.title), h("p", { class: "small soft" }, [name, ...said].join(" · "))),
    one.faults.length > 0 && problemBox({ message: one.faults[0].message, nextStep: one.faults[0].next_step }, { title: t("pipelines.broken") }),
    one.description && h("p", {}, one.description),
    h(
      "ol",
      { class: "pipeline-stages" },
      h("li", {}, h("span", { class: "small soft" }, t("pipelines.first")), h("span", {}, t("pipelines.finds", { model: one.first, labels: one.first_labels.join(", ") }))),
      h("li", {}, h("span", { class: "small soft" }, t("pipelines.second")), h("span", {}, one.second ? t("pipelines.judges", { model: one.second }) : t("pipelines.rule"))),
      h("li", {}, h("span", { class: "small soft" }, t("pipelines.says")), h("span", {}, one.verdicts.map((verdict) => verdict.title).join(" · "))),
    ),
    h(
      "div",
      { class: "pipe-buttons" },
      h("button", { class: "button", type: "button", onclick: use }, icon("look"), t("models.use")),
      h("a", { class: "button", href: `/pipelines/new?copy=${encodeURIComponent(one.name)}` }, icon("copy"), t("pipelines.copy")),
      h("a", { class: "button", href: `${pipelinePath(one.name)}/bundle`, download: `${one.name}-${one.version}.zip` }, icon("download"), t("pipelines.download")),
      one.removable && removal(t(one.versions.length > 1 && one.bundled === false ? "pipelines.remove.own" : "pipelines.remove"), act(() => deletePipeline(one.name), t("pipelines.removed")), { worded: true }),
    ),
    secondStage(one, models, act, signal),
    fileOf(one, signal),
  );
}

/** A classifier that is here in the place of what judges now. */
function secondStage(one, models, act, signal) {
  const known = classifiersOf(models);
  const details = h("details", { class: "pipeline-more" }, h("summary", {}, t("pipelines.replace")));
  const build = async () => {
    if (details.childElementCount > 1) return;
    if (!known.length) {
      details.append(h("p", { class: "soft small" }, t("compose.second.none")));
      return;
    }
    const whole = await getPipeline(one.name, signal).catch(() => null);
    if (!whole) return;
    const told = whole.pipeline.verdicts;
    const verdicts = told.order.filter((verdict) => verdict !== told.unsure);
    const model = choiceField("model", t("compose.second.model"), known.map((each) => [each.name, titleOf(each)]));
    const mapping = meaningsForm(verdicts);
    const sure = verdicts.map((verdict) => {
      const field = percentField(verdict, t("pipelines.replace.sure", { verdict: told.titles[verdict] ?? verdict }), { placeholder: "50" });
      field.set(whole.pipeline.second.sure[verdict] ?? null);
      return [verdict, field];
    });
    const fill = async () => {
      // As the server takes what is not chosen here.
      const meant = (label) => (verdicts.includes(label) ? label : (verdicts.find((verdict) => told.folders[verdict] === label) ?? verdicts[verdicts.length - 1]));
      mapping.set(await labelsOf(model.get()), meant);
    };
    model.input.addEventListener("change", fill);
    const wrong = h("div", {});
    const put = act(
      () =>
        replaceSecond(one.name, {
          model: model.get(),
          verdicts: mapping.get(),
          sure: Object.fromEntries(sure.map(([verdict, field]) => [verdict, field.get()]).filter(([, value]) => value !== null)),
        }),
      t("pipelines.replaced"),
      wrong,
    );
    const button = h("button", { class: "button main-action", type: "button", onclick: put }, icon("check"), t("pipelines.replace.put"));
    details.append(h("div", { class: "pipe-part" }, model.element, mapping, h("div", { class: "pipe-row" }, sure.map(([, field]) => field.element)), h("p", { class: "small soft" }, t("pipelines.replace.text")), wrong, button));
    await fill();
  };
  details.addEventListener("toggle", () => details.open && build());
  return details;
}

function fileOf(one, signal) {
  const details = h("details", { class: "pipeline-more" }, h("summary", {}, "pipeline.toml"));
  details.addEventListener("toggle", async () => {
    if (!details.open || details.childElementCount > 1) return;
    const whole = await getPipeline(one.name, signal).catch((problem) => problem);
    if (whole.toml) details.append(h("pre", { class: "compose-text", tabindex: "0", "aria-label": t("compose.text.of", { name: one.name }) }, h("code", {}, whole.toml)));
    else if (whole.name !== "AbortError") details.append(problemBox(whole));
  });
  return details;
}
