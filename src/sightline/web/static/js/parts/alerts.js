/**
 * Rules that fire anywhere, in a browser that wants to know: a line in each of its open pages, and one notification.
 * One page listens for all of them, because browsers hold only a few connections to one server: the one that holds
 * the lock. Addresses that are not encrypted have no locks (and no notifications); there each page listens while it is seen.
 */

import { h, icon, style } from "../dom.js";
import { go } from "../router.js";
import { clockTime, percent, t } from "../strings.js";
import { alertChoice } from "./alert-choice.js";
import { canNotify, notify, playSound, unlockSound } from "./camera-signal.js";
import { eventStream } from "./event-stream.js";

const NAME = "sightline.alerts";
const LAST = "sightline.alerts.last";
const [WAIT_MS, WAIT_MOST_MS] = [2000, 60_000];
const LINES_MAX = 3;
const NEWS_MS = 60_000;

const lines = new Map();
const known = new Set();
let running = null;
let region = null;

/** Does what this browser has chosen: begins, or stops. Calling it again is harmless. */
export function follow() {
  const wanted = alertChoice() !== null;
  if (wanted && !running) begin();
  if (!wanted && running) {
    running.abort();
    running = null;
  }
}

async function begin() {
  running = new AbortController();
  const { signal } = running;
  await style("alerts");
  if (signal.aborted) return;
  region ??= h("section", { class: "alerts", "aria-label": t("alerts.title"), "aria-live": "polite", "aria-relevant": "additions" });
  if (!region.isConnected) document.body.append(region);
  const others = new BroadcastChannel(NAME);
  others.addEventListener("message", ({ data }) => heard(data, others));
  others.postMessage({ hello: true }); // one of them may have heard something while this page was loading
  signal.addEventListener("abort", () => {
    others.close();
    for (const { close } of [...lines.values()]) close();
  });
  addEventListener("pointerdown", () => alertChoice()?.sound && unlockSound(), { signal });
  if (!navigator.locks) listenWhileSeen(signal, others);
  else navigator.locks.request(NAME, { signal }, () => listenForAll(signal, others)).catch(() => undefined);
}

function heard({ alert, closed, hello }, others) {
  if (alert) show(alert, others);
  if (closed) lines.get(closed)?.close();
  if (hello) for (const line of lines.values()) if (performance.now() - line.since < NEWS_MS) others.postMessage({ alert: line.alert });
}

/** Until the page leaves or the browser has enough of it; then the next page's turn comes. */
function listenForAll(signal, others) {
  listen(signal, (alert) => {
    if (!show(alert, others)) return;
    others.postMessage({ alert });
    if (canNotify() && Notification.permission === "granted") tell(alert);
    if (alertChoice()?.sound) playSound();
  });
  return new Promise((resolve) => signal.addEventListener("abort", resolve));
}

function listenWhileSeen(signal, others) {
  let turn = null;
  const look = () => {
    turn?.abort();
    turn = document.visibilityState === "visible" && !signal.aborted ? new AbortController() : null;
    if (turn) listen(turn.signal, (alert) => show(alert, others) && alertChoice()?.sound && playSound());
  };
  document.addEventListener("visibilitychange", look, { signal });
  signal.addEventListener("abort", look);
  look();
}

/** From the last one that this browser has heard of; what is no news any more, the server leaves out. */
function listen(signal, take) {
  let wait = WAIT_MS;
  const path = () => {
    const last = localStorage.getItem(LAST);
    return `/api/v1/alerts/events${last ? `?after=${encodeURIComponent(last)}` : ""}`;
  };
  const hear = (alert, id) => {
    wait = WAIT_MS;
    localStorage.setItem(LAST, id);
    take(alert);
  };
  const stream = eventStream(path, { alert: hear }, signal, () => {
    setTimeout(() => stream.closed && stream.open(), wait);
    wait = Math.min(2 * wait, WAIT_MOST_MS);
  });
}

const titleOf = (alert) => (alert.test ? t("alerts.test", { rule: alert.rule.name }) : t("rule.fired", { label: alert.what, score: percent(alert.score) }));
const placeOf = (alert) => (alert.result ? `/r/${encodeURIComponent(alert.result)}` : "/rules");
const aboutOf = (alert) => (alert.test ? [] : [alert.source, alert.rule.name]);

function tell(alert) {
  notify(titleOf(alert), {
    body: aboutOf(alert).join(" · "),
    tag: alert.id,
    onclick: () => {
      focus();
      go(placeOf(alert));
    },
  });
}

/** A line in this page, until somebody closes it in any of them. @returns {boolean} whether it is new here */
function show(alert, others) {
  if (known.has(alert.id)) return false;
  known.add(alert.id);
  const close = () => {
    const held = line.contains(document.activeElement);
    line.remove();
    lines.delete(alert.id);
    if (held) (region.querySelector("button") ?? document.getElementById("main")).focus({ preventScroll: true });
  };
  const closeAll = () => {
    close();
    others.postMessage({ closed: alert.id });
  };
  const time = new Date(alert.time);
  const line = h(
    "div",
    { class: "alert-line" },
    icon("bell"),
    h(
      "div",
      {},
      h("strong", {}, titleOf(alert)),
      h("span", { class: "small soft" }, [...aboutOf(alert), clockTime(time)].join(" · ")),
      h("a", { class: "small", href: placeOf(alert), onclick: closeAll }, t(alert.result ? "alerts.look" : "rules.title")),
    ),
    h("button", { class: "button alert-close", type: "button", "aria-label": t("keys.close"), onclick: closeAll }, icon("close")),
  );
  lines.set(alert.id, { alert, close, since: performance.now() });
  region.prepend(line);
  if (lines.size > LINES_MAX) lines.values().next().value.close();
  return true;
}
