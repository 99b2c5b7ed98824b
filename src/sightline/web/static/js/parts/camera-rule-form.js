/** The rule as a form: what, how sure, how often, how quiet; and a sound or a notification when it comes true. */

import { h } from "../dom.js";
import { clockTime, percent, t } from "../strings.js";
import "../words/rules.js";
import { soundRule } from "./camera-rule.js";
import { askToNotify, canNotify, unlockSound } from "./camera-signal.js";

/**
 * @param {object} rule as it was stored
 * @param {(rule: object) => void} onchange hears each sound change
 * @returns {{element: HTMLElement, labels: (names: string[], model: string) => void, tell: (watcher: object, now: number) => void}}
 */
export function ruleForm(rule, onchange) {
  let state = soundRule(rule);
  let known = null;
  const names = h("datalist", { id: "rule-labels" });
  const words = h("p", { class: "small soft rule-words" });
  const now = h("p", { class: "small numbers rule-now" });
  const trouble = h("p", { class: "small rule-trouble", role: "alert" });
  const number = (name, min, max, step) => h("input", { class: "field numbers", type: "number", id: `rule-${name}`, min, max, step, value: name === "score" ? Math.round(state.score * 100) : state[name] });
  const label = h("input", { class: "field", id: "rule-label", list: "rule-labels", autocomplete: "off", spellcheck: "false", placeholder: t("rule.label.hint"), value: state.label });
  const fields = { score: number("score", 0, 100, 1), hits: number("hits", 1, 100, 1), of: number("of", 1, 100, 1), quiet: number("quiet", 0, 1440, 1) };
  const box = (name) => h("input", { type: "checkbox", id: `rule-${name}`, checked: state[name] });
  const boxes = { on: box("on"), sound: box("sound"), notify: box("notify") };
  boxes.notify.disabled = !canNotify();

  const read = () => {
    state = soundRule({
      label: label.value,
      score: Number(fields.score.value) / 100,
      hits: fields.hits.value,
      of: fields.of.value,
      quiet: fields.quiet.value,
      on: boxes.on.checked,
      sound: boxes.sound.checked,
      notify: boxes.notify.checked,
    });
    say();
    onchange(state);
  };
  const say = () => {
    const { hits, of, quiet, score } = state;
    words.textContent = t("rule.words", { label: state.label || t("rule.label.any"), score: percent(score), hits, of, quiet });
    const strange = state.label && known && !known.names.some((name) => name.toLowerCase() === state.label.toLowerCase());
    trouble.textContent = strange ? t("rule.unknown", { model: known.model, label: state.label }) : "";
    inside.hidden = !state.on;
    if (!state.on) now.textContent = "";
  };
  boxes.notify.addEventListener("change", async () => {
    if (!boxes.notify.checked || (await askToNotify())) return;
    boxes.notify.checked = false;
    trouble.textContent = t("rule.notify.denied");
    read();
  });
  boxes.sound.addEventListener("change", unlockSound);
  boxes.on.addEventListener("change", unlockSound);
  const row = (name, input, unit) => h("div", { class: "rule-field" }, h("label", { for: input.id }, t(name)), unit ? h("span", { class: "with-unit" }, input, h("span", { class: "soft", "aria-hidden": "true" }, unit)) : input);
  const check = (name, input, note) => h("label", { class: "check" }, input, h("span", {}, t(name), note && h("span", { class: "small soft" }, note)));
  const inside = h(
    "div",
    { class: "rule-inside" },
    h("div", { class: "rule-grid" }, row("rule.label", label), row("rule.score", fields.score, "%"), row("rule.quiet", fields.quiet, t("rule.quiet.unit")), row("rule.hits", fields.hits), row("rule.of", fields.of)),
    names,
    check("rule.sound", boxes.sound),
    check("rule.notify", boxes.notify, canNotify() ? null : t("rule.notify.no")),
    words,
  );
  const others = h("a", { class: "small", href: "/rules" }, t("rule.others"));
  const element = h("section", { class: "rule" }, check("rule.on", boxes.on), inside, trouble, now, others);
  element.addEventListener("change", read);
  say();
  return {
    element,
    labels(list, model) {
      known = { names: list, model };
      names.replaceChildren(...list.map((value) => h("option", { value })));
      say();
    },
    tell(watcher, at) {
      const text = !state.on ? "" : at < watcher.quietUntil ? t("rule.quiet.until", { time: clockTime(new Date(watcher.quietUntil)) }) : t("rule.now", { count: watcher.count, of: state.of });
      if (now.textContent !== text) now.textContent = text;
    },
  };
}
