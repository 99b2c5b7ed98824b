/** Previous and next result, in the order of the history (newest first). */

import { listResults } from "../api.js";
import { h, icon } from "../dom.js";
import { t } from "../strings.js";

const PAGE = 100;
const PAGES = 10;

/** @returns {{element: HTMLElement, paths: Promise<[string | null, string | null]>}} newer and older */
export function neighbours(id, signal) {
  const link = (iconName, text) => h("a", { class: "button square", "aria-label": t(text), title: t(text), "aria-disabled": "true", role: "link" }, icon(iconName));
  const previous = link("left", "result.previous");
  const next = link("right", "result.next");
  const set = (element, found) => {
    if (!found) return null;
    element.href = `/r/${found}`;
    element.removeAttribute("aria-disabled");
    return element.getAttribute("href");
  };
  const paths = find(id, signal).then(
    ([newer, older]) => [set(previous, newer), set(next, older)],
    () => [null, null],
  );
  return { element: h("div", { class: "around" }, previous, next), paths };
}

async function find(id, signal) {
  let newer = null;
  let cursor;
  let wanted = false;
  for (let page = 0; page < PAGES; page++) {
    const { results, next } = await listResults({ limit: PAGE, before: cursor, signal });
    for (const entry of results) {
      if (wanted) return [newer, entry.id];
      if (entry.id === id) wanted = true;
      else newer = entry.id;
    }
    if (!next) break;
    cursor = next;
  }
  return wanted ? [newer, null] : [null, null];
}
