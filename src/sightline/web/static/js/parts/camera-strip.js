/** The captures so far: each with its time, its drawing, and the ways to keep, download or delete it. */

import { deleteResult, drawnPicture, predict, resultPath } from "../api.js";
import { announce, h, icon } from "../dom.js";
import { clockTime, fullTime, t } from "../strings.js";
import "../words/camera.js";
import { mini } from "./mini.js";
import { problemBox } from "./problem.js";

const MOST = 60;
const TOUCH_MS = 3000;

/**
 * @param {(capture: object) => void} onopen somebody wants to see one large
 * @returns {{element: HTMLElement, add: (capture: object, words: string, shown: object[], size: number[]) => void, clear: () => void}}
 */
export function captureStrip(onopen) {
  const list = h("ol", { class: "captures-list" });
  const none = h("p", { class: "soft captures-none" }, t("captures.none"));
  const count = h("span", { class: "small soft numbers" });
  const clearer = h("button", { class: "button plain", type: "button", hidden: true, onclick: () => clear() }, t("captures.clear"));
  const element = h(
    "section",
    { class: "captures", "aria-labelledby": "captures-title" },
    h("div", { class: "samples-head" }, h("h2", { id: "captures-title" }, t("captures.title")), count, h("span", { class: "tools-gap" }), clearer),
    none,
    list,
  );
  const cards = [];
  const waiting = [];
  let touched = -Infinity;
  // What somebody points at, or is about to tap, must not move away: newer captures wait until the hand has left.
  const busy = () => performance.now() < touched + TOUCH_MS || (matchMedia("(hover: hover)").matches && list.matches(":hover")) || Boolean(list.querySelector(":focus-visible"));
  const update = () => {
    none.hidden = clearer.hidden = cards.length > 0;
    clearer.hidden = !cards.length;
    const all = cards.length < MOST ? (cards.length ? t("captures.count", { n: cards.length }) : "") : t("captures.limit", { n: MOST });
    count.textContent = [all, waiting.length && t("captures.waiting", { n: waiting.length })].filter(Boolean).join(" · ");
  };
  const insert = () => {
    if (busy()) return;
    for (const card of waiting.splice(0)) {
      cards.push(card);
      list.prepend(card.element);
      if (cards.length > MOST) drop(cards[0]);
    }
    update();
  };
  list.addEventListener("pointerleave", () => setTimeout(insert));
  list.addEventListener("focusout", () => setTimeout(insert));
  for (const name of ["touchstart", "scroll"]) {
    list.addEventListener(name, () => {
      touched = performance.now();
      setTimeout(insert, TOUCH_MS + 50);
    }, { passive: true });
  }
  const drop = (card) => {
    cards.splice(cards.indexOf(card), 1);
    card.element.remove();
    URL.revokeObjectURL(card.url);
    update();
  };
  const clear = () => {
    for (const card of waiting.splice(0)) URL.revokeObjectURL(card.url);
    for (const card of [...cards]) drop(card);
  };
  const add = (capture, words, shown, [width, height]) => {
    const card = makeCard(capture, words, onopen, () => drop(card));
    card.picture.draw(shown, width, height);
    waiting.push(card);
    if (waiting.length > MOST) URL.revokeObjectURL(waiting.shift().url);
    insert();
    update();
  };
  return { element, add, clear };
}

function makeCard(capture, words, onopen, ondrop) {
  const url = URL.createObjectURL(capture.blob);
  const time = clockTime(capture.at);
  const picture = mini(url);
  const trouble = h("div", { class: "capture-trouble" });
  const troubled = (problem) => trouble.replaceChildren(problemBox(problem));
  const open = h(
    "button",
    { class: "capture-open", type: "button", "aria-label": t("captures.show", { time, found: words }), onclick: () => onopen(capture) },
    picture,
    h("span", { class: "capture-line" }, h("time", { class: "numbers", datetime: capture.at.toISOString(), title: fullTime(capture.at) }, time), capture.byRule && h("span", { class: "capture-rule", title: t("captures.by.rule") }, icon("bell"))),
    h("span", { class: "capture-words small soft" }, words),
  );
  const square = (iconName, text, action) => h("button", { class: "button plain square", type: "button", "aria-label": t(text, { time }), title: t(text, { time }), onclick: action }, icon(iconName));
  const actions = h("div", { class: "capture-actions" });
  const show = () =>
    actions.replaceChildren(
      capture.id
        ? h("a", { class: "button plain square kept", href: `/r/${capture.id}`, "aria-label": t("captures.kept", { time }), title: t("captures.kept", { time }) }, icon("check"))
        : square("keep", "captures.keep", keep),
      square("download", "captures.download", () => download(capture).catch(troubled)),
      square("trash", "captures.delete", remove),
    );
  const keep = async () => {
    try {
      const { name, model, size, min } = capture;
      capture.id = (await predict(capture.blob, { name, model, size, min, store: true })).id;
      announce(t("captures.keep.said"));
      show();
      actions.firstElementChild.focus();
    } catch (problem) {
      troubled(problem);
    }
  };
  const remove = async () => {
    try {
      if (capture.id) await deleteResult(capture.id);
      announce(t("result.deleted"));
      const beside = element.nextElementSibling ?? element.previousElementSibling;
      ondrop();
      beside?.querySelector(".capture-open").focus();
    } catch (problem) {
      if (problem.status === 404) ondrop();
      else troubled(problem);
    }
  };
  const element = h("li", { class: "capture" }, open, actions, trouble);
  show();
  return { element, picture, url };
}

/** The picture as the server draws it, so that it looks as everywhere else. */
async function download(capture) {
  const path = capture.id ? `${resultPath(capture.id)}/annotated?min_score=${capture.min}` : URL.createObjectURL(await drawnPicture(capture.blob, capture));
  h("a", { href: path, download: capture.name.replace(/\.jpg$/, "-seen.jpg") }).click();
  if (!capture.id) setTimeout(() => URL.revokeObjectURL(path), 10_000);
}
