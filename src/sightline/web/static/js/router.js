/** Addresses to places, without reloading. A place is a module with `open(root, context)`. */

import { style } from "./dom.js";
import { holdKeys, releaseKeys } from "./keys.js";
import { problemBox } from "./parts/problem.js";
import { t } from "./strings.js";

/**
 * The places. The rail shows those with an icon, in this order; a new place is one line here,
 * and the bar on phones shows the first five.
 */
export const PLACES = [
  { id: "look", path: "/", pattern: /^\/$/, icon: "look", load: () => import("./places/look.js") },
  { id: "camera", path: "/camera", pattern: /^\/camera$/, icon: "camera", load: () => styled("camera", import("./places/camera.js")) },
  { id: "jobs", path: "/jobs", pattern: /^\/jobs$/, icon: "jobs", load: () => styled("jobs", import("./places/jobs.js")) },
  { id: "history", path: "/history", pattern: /^\/history$/, icon: "history", ahead: true, load: () => import("./places/history.js") },
  { id: "models", path: "/models", pattern: /^\/models$/, icon: "models", ahead: true, load: () => import("./places/models.js") },
  { id: "job", under: "jobs", pattern: /^\/jobs\/(?<id>[^/]+)$/, load: () => styled("jobs", import("./places/job.js")) },
  { id: "job-item", under: "jobs", pattern: /^\/jobs\/(?<id>[^/]+)\/(?<index>[0-9]+)$/, load: () => styled("jobs", import("./places/job-item.js")) },
  { id: "pipelines", under: "models", path: "/pipelines", pattern: /^\/pipelines$/, load: () => styled("pipelines", import("./places/pipelines.js")) },
  { id: "compose", under: "models", pattern: /^\/pipelines\/new$/, load: () => styled("pipelines", import("./places/compose.js")) },
  { id: "rules", under: "camera", path: "/rules", pattern: /^\/rules$/, load: () => styled(["rules", "forms"], import("./places/rules.js")) },
  { id: "watches", under: "camera", path: "/watches", pattern: /^\/watches$/, load: () => styled(["watches", "forms"], import("./places/watches.js")) },
  { id: "result", pattern: /^\/r\/(?<id>[^/]+)$/, ahead: true, load: () => import("./places/result.js") },
];
/** A place that comes with style sheets of its own waits for them, so that nothing jumps. */
async function styled(names, module) {
  await Promise.all([names].flat().map(style));
  return module;
}

const LOST = { id: "lost", load: () => import("./places/lost.js") };

/** A broken escape is no reason for a blank page: the place says that there is nothing. */
export function readable(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

let main;
let ready;
let leave = null;
let turn = 0;
const listeners = new Set();

/** Calls `listener(place)` after each change of place. */
export const onPlace = (listener) => listeners.add(listener);

/** Opens the place of the address in `element` as soon as `before` is kept, or the one that a key asked for since. */
export function start(element, before) {
  main = element;
  ready = before;
  addEventListener("popstate", () => show({ focus: true }));
  document.addEventListener("click", follow);
  // Places that show what is there already are fetched once the first one stands, so that they open at once, and
  // without the server too. Those that can do nothing without it wait until they are wanted.
  const ahead = [...PLACES.filter((place) => place.ahead), LOST];
  addEventListener("load", () => setTimeout(() => ahead.forEach((place) => place.load().catch(() => undefined)), 1000), { once: true });
  return show({ focus: false });
}

/** Goes to an address of ours. `handoff` is handed to the place and never stored. */
export function go(path, { replace = false, handoff = null } = {}) {
  history[replace ? "replaceState" : "pushState"](null, "", path);
  return show({ focus: true, handoff });
}

/** Changes the query of the address without changing the place; nothing where we are no longer at `path`. */
export function setQuery(path, query) {
  if (location.pathname !== path) return;
  const text = query.toString();
  history.replaceState(history.state, "", location.pathname + (text ? `?${text}` : ""));
}

function follow(event) {
  const link = event.target.closest?.("a[href]");
  if (!link || event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  if (link.target || link.hasAttribute("download") || link.origin !== location.origin) return;
  if (link.hash && link.pathname === location.pathname) return;
  if (!PLACES.some((place) => place.pattern.test(link.pathname))) return;
  event.preventDefault();
  go(link.pathname + link.search);
}

/** Stands in for a place whose module did not arrive. */
function unreachable(root) {
  const problem = { message: t("problem.network"), nextStep: t("problem.network.next") };
  root.append(problemBox(problem, { again: () => show({ focus: true }) }));
}

async function show({ focus, handoff = null }) {
  const mine = ++turn;
  const place = PLACES.find((candidate) => candidate.pattern.test(location.pathname)) ?? LOST;
  holdKeys();
  leave?.(); // its keys must not act for the place that comes
  leave = null;
  let module;
  try {
    [module] = await Promise.all([place.load(), ready]);
  } catch {
    module = { open: unreachable };
  }
  if (mine !== turn) return;
  queueMicrotask(releaseKeys); // once it stands
  const controller = new AbortController();
  leave = () => controller.abort();
  const root = document.createElement("div");
  root.className = `place place-${place.id}`;
  const params = place.pattern?.exec(location.pathname)?.groups ?? {};
  const decoded = Object.fromEntries(Object.entries(params).map(([key, value]) => [key, readable(value)]));
  module.open(root, { params: decoded, query: new URLSearchParams(location.search), handoff, signal: controller.signal });
  main.replaceChildren(root);
  for (const listener of listeners) listener(place);
  if (focus) {
    scrollTo(0, 0);
    (root.querySelector("h1") ?? main).focus({ preventScroll: true });
  }
}
