/** A failure in words, in the place where it happened. */

import { h } from "../dom.js";
import { t } from "../strings.js";

/**
 * @param {{message: string, nextStep?: string, requestId?: string}} problem
 * @param {{again?: () => void, title?: string}} [options]
 */
export function problemBox(problem, { again, title } = {}) {
  return h(
    "div",
    { class: "problem", role: "alert" },
    title && h("span", { class: "small" }, title),
    h("strong", {}, problem.message),
    problem.nextStep && h("span", {}, problem.nextStep),
    problem.requestId && h("span", { class: "small" }, t("problem.id", { id: problem.requestId })),
    again && h("button", { class: "button", type: "button", onclick: again }, t("work.again")),
  );
}
