/** Rules: what is done when a camera sees something, what was sent, and what came back. */

import { createRule, deleteRule, listDeliveries, listRules, retryDelivery, testRule } from "../api-rules.js";
import { announce, h, icon } from "../dom.js";
import { alertSwitch } from "../parts/alert-switch.js";
import { problemBox } from "../parts/problem.js";
import { ruleForm } from "../parts/rule-new.js";
import { ago, duration, fullTime, percent, t } from "../strings.js";
import "../words/rules.js";

const LOOK_AGAIN_MS = 4000;

export function open(root, { signal }) {
  document.title = `${t("rules.title")} · ${t("app.name")}`;
  const trouble = h("div", { role: "alert" });
  const secret = h("div", {});
  const rules = h("div", { class: "rules-list" });
  const sent = h("div", {});
  const failed = (problem) => signal.aborted || trouble.replaceChildren(problemBox(problem));
  const act = (work, words) => async () => {
    trouble.replaceChildren();
    try {
      await work();
      announce(words);
      await load();
    } catch (problem) {
      failed(problem);
    }
  };
  const load = async () => {
    try {
      const [known, delivered] = await Promise.all([listRules(signal), listDeliveries(signal)]);
      if (signal.aborted) return;
      const names = new Map(known.map((rule) => [rule.id, rule.name]));
      rules.replaceChildren(...(known.length ? known.map((rule) => card(rule, act)) : [h("p", { class: "soft" }, t("rules.none"))]));
      sent.replaceChildren(delivered.length ? table(delivered, names, act) : h("p", { class: "soft" }, t("rules.sent.none")));
    } catch (problem) {
      if (problem.name !== "AbortError") failed(problem);
    }
  };
  const add = async (wish) => {
    trouble.replaceChildren();
    const made = await createRule(wish);
    secret.replaceChildren();
    if (wish.actions.some((action) => action.kind === "webhook")) secret.replaceChildren(secretBox(made));
    announce([t("rules.made"), made.warning].filter(Boolean).join(". "));
    await load();
  };
  root.append(
    h("header", { class: "place-head" }, h("h1", { tabindex: "-1" }, t("rules.title")), h("p", { class: "soft" }, t("rules.text"))),
    alertSwitch(signal),
    trouble,
    secret,
    rules,
    ruleForm({ add, signal }),
    h("section", { "aria-labelledby": "rules-sent" }, h("h2", { id: "rules-sent" }, t("rules.sent")), sent),
  );
  load();
  const timer = setInterval(() => document.visibilityState === "visible" && load(), LOOK_AGAIN_MS);
  signal.addEventListener("abort", () => clearInterval(timer));
}

function card(rule, act) {
  const where = rule.sources.length ? rule.sources.join(", ") : t("rules.everywhere");
  const when = t("rules.when", { what: rule.what, score: percent(rule.min_score), hits: rule.hits, of: rule.of, where, quiet: duration(rule.quiet_s) });
  return h(
    "article",
    { class: "card rule-card" },
    h("h2", {}, rule.name),
    h("p", {}, when),
    rule.warning && h("p", { class: "rule-warning small", role: "note" }, rule.warning),
    h("ul", { class: "small" }, rule.actions.map((action) => h("li", {}, t(`rules.kind.${action.kind}`), action.to && ` ${action.to}`))),
    h(
      "div",
      { class: "rule-buttons" },
      h("button", { class: "button", type: "button", onclick: act(() => testRule(rule.id), t("rules.tested")) }, icon("play"), t("rules.test")),
      h("button", { class: "button", type: "button", onclick: act(() => deleteRule(rule.id), t("rules.removed")) }, icon("trash"), t("rules.remove")),
    ),
  );
}

function secretBox(rule) {
  return h("div", { class: "card rule-secret" }, h("h2", {}, t("rules.secret")), h("p", {}, h("code", {}, rule.secret)), h("p", { class: "small soft" }, t("rules.secret.text")));
}

function table(deliveries, names, act) {
  const head = ["when", "rule", "action", "source", "state", "answer"].map((name) => h("th", { scope: "col" }, t(`rules.sent.${name}`)));
  const rows = deliveries.map((one) => {
    const time = new Date(one.created);
    const again = one.state === "failed" && one.kind !== "browser" && h("button", { class: "link small", type: "button", onclick: act(() => retryDelivery(one.id), t("rules.again.said")) }, t("rules.again"));
    const state = one.attempts > 1 ? t("rules.sent.tries", { state: t(`rules.state.${one.state}`), n: one.attempts }) : t(`rules.state.${one.state}`);
    return h(
      "tr",
      { data: { state: one.state } },
      h("td", { title: fullTime(time) }, ago(time)),
      h("td", {}, names.get(one.rule) ?? one.rule),
      h("td", {}, t(`rules.kind.${one.kind}`), one.to && h("span", { class: "small soft" }, ` ${one.to}`)),
      h("td", {}, one.source),
      h("td", {}, state, again && [" ", again]),
      h("td", { class: "small" }, [one.status, one.answer].filter((part) => part !== null && part !== "").join(" ")),
    );
  });
  return h("div", { class: "rules-scroll", tabindex: "0", role: "region", "aria-labelledby": "rules-sent" }, h("table", {}, h("thead", {}, h("tr", {}, head)), h("tbody", {}, rows)));
}
