/** A failure in words, in the place where it happened. */

import { h } from "../dom.js";
import { t } from "../strings.js";

/** Refusals of what was sent: sent again, it is refused again. Their words say what to change instead. */
const LASTING = new Set([
  "bad_input",
  "bad_option",
  "body_too_large",
  "idempotency_key_reused",
  "model_refused",
  "not_a_picture",
  "picture_too_complex",
  "picture_too_large",
  "unsupported_media_type",
]);

/** Whether doing the same once more may help. */
export const mayPass = (problem) => !LASTING.has(problem?.code);

/**
 * `again` is offered where it may help.
 * @param {{message: string, nextStep?: string, requestId?: string, code?: string}} problem
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
    again && mayPass(problem) && h("button", { class: "button", type: "button", onclick: again }, t("work.again")),
  );
}
