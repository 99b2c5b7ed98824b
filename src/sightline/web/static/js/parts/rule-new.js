/** A new rule as a form: what it waits for, how sure, how often, where, and what is done then. */

import { listRuleWords, listWatches } from "../api-rules.js";
import { h } from "../dom.js";
import { t } from "../strings.js";
import "../words/rules.js";
import { loadSettings } from "./camera-panel.js";
import { allSound, formEnd, formField, numberIn, refuse, refuseAt } from "./form.js";

/** @param {{add: (wish: object) => Promise<void>, signal: AbortSignal}} handlers `add` may refuse with a Problem */
export function ruleForm({ add, signal }) {
  const input = (name, props) => h("input", { class: "field", id: `new-${name}`, autocomplete: "off", ...props });
  const number = (name, min, max, value, step = 1) => input(name, { type: "number", required: true, min, max, step, value });
  const list = h("datalist", { id: "new-words" });
  const what = input("what", { required: true, maxlength: 200, spellcheck: "false", list: list.id, placeholder: "person" });
  const score = number("score", 0, 100, 80, "any");
  const hits = number("hits", 1, 100, 3);
  const of = number("of", 1, 100, 5);
  const quiet = number("quiet", 0, 43200, 10, "any");
  const cameras = h("datalist", { id: "new-cameras" });
  const source = input("source", { list: cameras.id, placeholder: t("rules.everywhere") });
  const url = input("url", { type: "url", placeholder: "https://", pattern: "https?://.+", data: { wanted: "webhook" } });
  const mail = input("mail", { type: "email", data: { wanted: "mail" } });
  const browser = h("input", { type: "checkbox", id: "new-browser", checked: true });
  const fields = { what, min_score: score, hits, of, quiet_s: quiet, sources: source };
  const homes = { webhook: url, email: mail };

  const read = () => ({
    what: what.value.trim(),
    min_score: numberIn(score) / 100,
    hits: numberIn(hits),
    of: numberIn(of),
    quiet_s: 60 * numberIn(quiet),
    sources: source.value.trim() ? [source.value.trim()] : [],
    actions: [url.value && { kind: "webhook", url: url.value.trim() }, mail.value && { kind: "email", to: mail.value.trim() }, browser.checked && { kind: "browser" }, { kind: "log" }].filter(Boolean),
  });
  /** The field that a refusal is about: `actions.1.to` is that of the second action that was wished for. */
  const home = (problem, wish) => {
    const [first, index] = problem.field.split(".");
    return first === "actions" ? homes[wish.actions[Number(index)]?.kind] : fields[first];
  };
  const submit = async (event) => {
    event.preventDefault();
    const form = event.target;
    if (!allSound(form)) return;
    const wish = read();
    if (wish.hits > wish.of) {
      refuseAt(of, t("rules.new.of.bad", { hits: wish.hits, of: wish.of }));
      return;
    }
    try {
      await add(wish);
      form.reset();
    } catch (problem) {
      refuse(form, problem, home(problem, wish));
    }
  };
  listRuleWords(signal).then(
    (words) => list.append(...words.map((word) => h("option", { value: word.what }, word.title === word.what ? word.models.join(", ") : word.title))),
    () => undefined, // the field takes any word
  );
  listWatches(signal).then(
    (watches) => {
      const names = new Set(watches.map((watch) => watch.name));
      cameras.append(...[...names].map((value) => h("option", { value })));
    },
    () => undefined, // the field takes any name
  );
  cameras.append(h("option", { value: loadSettings().name }, t("rules.new.source.here")));
  const field = (name, one) => formField(t(`rules.new.${name}`), one);
  return h(
    "form",
    { class: "card rule-form", onsubmit: submit, novalidate: true, "aria-labelledby": "rules-new" },
    h("h2", { id: "rules-new" }, t("rules.new")),
    list,
    cameras,
    h(
      "div",
      { class: "rule-fields" },
      formField(t("rules.new.what"), what, t("rules.new.what.hint")),
      [["score", score], ["hits", hits], ["of", of], ["quiet", quiet], ["source", source], ["url", url], ["mail", mail]].map(([name, one]) => field(name, one)),
    ),
    h("label", { class: "check" }, browser, h("span", {}, t("rules.kind.browser"), h("span", { class: "small soft" }, t("rules.new.browser.hint")))),
    h("p", { class: "small soft" }, t("rules.new.command")),
    formEnd(h("button", { class: "button main-action", type: "submit" }, t("rules.new.make"))),
  );
}
