/** What a pipeline says about the picture: a chip on it, and the same in words with both scores beside it. */

import { h } from "../dom.js";
import { percent, t } from "../strings.js";

/** "human detected: delivery rider (person 66 %, rider 82 %)" */
export function verdictWords({ title, first, second }) {
  const scores = [first !== null && t("verdict.first", { score: percent(first) }), second !== null && t("verdict.second", { score: percent(second) })].filter(Boolean);
  return scores.length ? `${title} (${scores.join(", ")})` : title;
}

/** The chip over the picture's lower left corner, as it is drawn in the downloaded picture. */
export const verdictChip = (verdict) => h("p", { class: "verdict-chip", data: { verdict: verdict.name } }, verdict.title);

/** The panel's part: the verdict large, both scores, and whether a plain rule gave it. */
export function verdictBox(verdict) {
  const rows = [
    [t("verdict.first.label"), verdict.first],
    [t("verdict.second.label"), verdict.second],
  ].filter(([, score]) => score !== null);
  return h(
    "section",
    { class: "verdict", "aria-labelledby": "verdict-title" },
    h("h2", { id: "verdict-title" }, verdict.title),
    rows.length > 0 && h("dl", { class: "verdict-scores numbers small" }, rows.map(([name, score]) => h("div", {}, h("dt", { class: "soft" }, name), h("dd", {}, percent(score))))),
    verdict.byRule && h("p", { class: "small soft" }, t("verdict.rule")),
  );
}
