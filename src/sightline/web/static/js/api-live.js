/** The live connection: only the camera loads this. */

import { Problem, call } from "./api.js";
import { t } from "./strings.js";
import "./words/camera.js";

const LIVE = "/api/v1/live";

/** A live connection, not yet open. */
export const openLive = () => new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${LIVE}`);

/** Why a live connection was refused, which browsers do not tell: the same address says it over HTTP. */
export async function whyNoLive() {
  try {
    await call(LIVE, { cache: "no-store" });
  } catch (problem) {
    if (problem.code !== "upgrade_required") return problem;
  }
  return new Problem({ detail: t("camera.blocked"), nextStep: t("camera.blocked.next"), code: "no_websocket" });
}
