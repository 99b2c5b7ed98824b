/** Why the camera does not start, in exact words, and what to do. `diagnose` is pure and tested by itself. */

import { h, icon } from "../dom.js";
import { t } from "../strings.js";
import "../words/camera.js";

const STEPS = { insecure: 2, denied: 2, dismissed: 1, system: 1, none: 2, busy: 2, policy: 2, unsupported: 1, lost: 1, other: 1 };

/** What a browser calls its refusals (W3C Media Capture, and the older names that some still use). */
const NAMES = {
  NotFoundError: "none",
  DevicesNotFoundError: "none",
  NotReadableError: "busy",
  TrackStartError: "busy",
  AbortError: "busy",
  SecurityError: "policy",
  TrackEnded: "lost",
};

/**
 * @param {{secure: boolean, able: boolean, allowed: boolean, error?: {name: string, message?: string}}} facts
 *   whether the origin is secure, whether getUserMedia exists, whether the page's policy allows a camera, and what
 *   getUserMedia threw
 * @returns {string | null} the kind of trouble; null where nothing is known to stand in the way
 */
export function diagnose({ secure, able, allowed, error }) {
  if (!secure) return "insecure";
  if (!able) return "unsupported";
  if (!allowed) return "policy";
  if (!error) return null;
  if (error.name === "NotAllowedError" || error.name === "PermissionDeniedError") return refusal(error.message ?? "");
  return NAMES[error.name] ?? "other";
}

/** Several reasons share one name; only the browsers' words tell them apart. */
function refusal(message) {
  if (/dismissed/i.test(message)) return "dismissed";
  if (/system/i.test(message)) return "system";
  if (/policy|feature/i.test(message)) return "policy";
  return "denied";
}

/** What this browser says of itself. */
export function facts(error) {
  const policy = document.permissionsPolicy ?? document.featurePolicy;
  return {
    secure: isSecureContext,
    able: Boolean(navigator.mediaDevices?.getUserMedia),
    allowed: !policy?.allowsFeature || policy.allowsFeature("camera"),
    error,
  };
}

/** The trouble, its reason and the way out, where the picture would be. */
export function doctorBox(kind, { error, again } = {}) {
  const holes = {
    origin: location.origin,
    local: `http://localhost:${location.port || 80}/camera`,
    name: error?.name ?? "",
    message: error?.message || "—",
  };
  const steps = Array.from({ length: STEPS[kind] }, (_, at) => h("li", {}, t(`doctor.${kind}.${at + 1}`, holes)));
  return h(
    "div",
    { class: "doctor", role: "alert", data: { kind } },
    icon("camera"),
    h("h2", {}, t(`doctor.${kind}`, holes)),
    h("p", {}, t(`doctor.${kind}.why`, holes)),
    h("ul", {}, steps),
    again && kind !== "insecure" && kind !== "unsupported" && h("button", { class: "button main-action", type: "button", onclick: again }, t("doctor.again")),
  );
}
