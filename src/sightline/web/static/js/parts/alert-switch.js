/** "Notify me in this browser": asks for permission when it is switched on, and says what is off where it cannot work. */

import { h } from "../dom.js";
import { t } from "../strings.js";
import { alertChoice, chooseAlerts } from "./alert-choice.js";
import { follow } from "./alerts.js";
import { askToNotify, canNotify, unlockSound } from "./camera-signal.js";

export function alertSwitch(signal) {
  const on = h("input", { type: "checkbox", id: "alerts-on" });
  const sound = h("input", { type: "checkbox", id: "alerts-sound" });
  const louder = h("label", { class: "check" }, sound, h("span", {}, t("alerts.sound")));
  const state = h("p", { class: "small", role: "status" });
  const show = () => {
    const choice = alertChoice();
    on.checked = choice !== null;
    sound.checked = choice?.sound ?? false;
    louder.hidden = !choice;
    const why = choice && trouble();
    state.textContent = why ? `${why} ${t("alerts.instead")}` : "";
  };
  const choose = () => {
    chooseAlerts(on.checked ? { sound: sound.checked } : null);
    follow();
    show();
  };
  on.addEventListener("change", async () => {
    choose();
    if (!on.checked) return;
    await askToNotify();
    show();
  });
  sound.addEventListener("change", () => {
    unlockSound();
    choose();
  });
  addEventListener("storage", show, { signal });
  // whoever changes the permission beside the address need not reload the page
  navigator.permissions?.query({ name: "notifications" }).then((permission) => permission.addEventListener("change", show, { signal }), () => undefined);
  show();
  return h(
    "section",
    { class: "card alert-switch", "aria-label": t("alerts.title") },
    h("label", { class: "check" }, on, h("span", {}, t("alerts.on"), h("span", { class: "small soft" }, t("alerts.on.note")))),
    louder,
    state,
  );
}

/** Why this browser shows no notifications of this page; empty: it does. */
function trouble() {
  if (!isSecureContext) return t("alerts.insecure");
  if (!canNotify()) return t("rule.notify.no");
  if (Notification.permission === "denied") return t("rule.notify.denied");
  return Notification.permission === "granted" ? "" : t("alerts.unanswered");
}
