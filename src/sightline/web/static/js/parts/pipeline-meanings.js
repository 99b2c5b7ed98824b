/** What the labels of another second stage mean: each is one of the verdicts that there are. Many are searched. */

import { h } from "../dom.js";
import { t } from "../strings.js";
import "../words/pipelines.js";

const ROWS_AT_ONCE = 30;

/**
 * @param {string[]} verdicts
 * @returns an element with `set(labels, standard)`, where `standard` gives a label's verdict until another one is
 *   chosen, and `get()`: label -> verdict of those that were chosen
 */
export function meaningsForm(verdicts) {
  const search = h("input", { class: "field", type: "search", autocomplete: "off", spellcheck: "false", placeholder: t("models.labels.find"), "aria-label": t("models.labels.find") });
  const rows = h("div", { class: "mapping-rows" });
  const rest = h("p", { class: "small soft", role: "status" });
  const chosen = new Map();
  let labels = [];
  let standard = () => "";

  const row = (label) => {
    const verdict = chosen.get(label) ?? standard(label);
    const select = h("select", { class: "field", "aria-label": t("compose.mapping.verdict", { label }) }, verdicts.map((name) => h("option", { value: name, selected: name === verdict }, name)));
    select.addEventListener("change", () => (select.value === standard(label) ? chosen.delete(label) : chosen.set(label, select.value)));
    return h("div", { class: "mapping-row" }, h("span", { class: "mapping-label" }, label), h("span", { "aria-hidden": "true" }, "→"), select);
  };
  const draw = () => {
    const wanted = search.value.trim().toLowerCase();
    const found = labels.filter((label) => label.toLowerCase().includes(wanted));
    const first = wanted ? found : [...chosen.keys(), ...found.filter((label) => !chosen.has(label))];
    rows.replaceChildren(...first.slice(0, ROWS_AT_ONCE).map(row));
    const words = found.length ? t("compose.mapping.some", { n: ROWS_AT_ONCE, total: found.length }) : t("compose.mapping.nothing");
    rest.textContent = found.length > ROWS_AT_ONCE || !found.length ? words : "";
  };
  search.addEventListener("input", draw);
  const element = h("fieldset", { class: "mapping" }, h("legend", { class: "small" }, t("compose.mapping")), search, rows, rest);
  element.set = (given, meant) => {
    labels = given;
    standard = meant;
    chosen.clear();
    search.value = "";
    search.hidden = labels.length <= ROWS_AT_ONCE;
    draw();
  };
  element.get = () => Object.fromEntries(chosen);
  return element;
}
