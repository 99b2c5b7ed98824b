/** What can be set at the camera: which one, how often, with which model, what is kept; remembered by this browser. */

import { h } from "../dom.js";
import { percent, t } from "../strings.js";
import "../words/camera.js";
import { DEFAULT_RULE } from "./camera-rule.js";
import { canStayAwake } from "./camera-signal.js";

const STORE = "sightline.camera";
const DEFAULTS = { mode: "every", seconds: 10, deviceId: "", facing: "environment", name: "", keep: false, skip: false, awake: true, min: null, rule: DEFAULT_RULE };
export const [LEAST_S, MOST_S] = [0.5, 3600];

export const soundSeconds = (value) => (Number(value) >= LEAST_S && Number(value) <= MOST_S ? Number(value) : null);

export const NAME_MAX = 100;

/** "phone-k3f9": tells the cameras of two browsers apart before anybody has named them. */
function ownName() {
  const kind = matchMedia("(pointer: coarse)").matches ? "phone" : "laptop";
  const signs = [...crypto.getRandomValues(new Uint8Array(4))].map((value) => "abcdefghjkmnpqrstuvwxyz23456789"[value % 31]);
  return `${kind}-${signs.join("")}`;
}

/** A source is the last part of a path to the server, so a name has no slashes. */
const soundName = (value) => (typeof value === "string" ? value.replace(/[\\/\p{C}]/gu, " ").trim().slice(0, NAME_MAX) : "");

/** The settings of this browser; what is broken or missing is the default. Its name is made once and stays. */
export function loadSettings() {
  let stored = {};
  try {
    stored = JSON.parse(localStorage.getItem(STORE) ?? "{}") ?? {};
  } catch {
    // somebody else wrote it
  }
  const name = soundName(stored.name) || ownName();
  const settings = { ...DEFAULTS, ...stored, name, seconds: soundSeconds(stored.seconds) ?? DEFAULTS.seconds, mode: stored.mode === "live" ? "live" : "every" };
  if (name !== stored.name) saveSettings(settings);
  return settings;
}

export const saveSettings = (settings) => localStorage.setItem(STORE, JSON.stringify(settings));

/** Every so many seconds, or live. `onchange` hears each sound choice. */
export function modeChoice(settings, onchange) {
  const seconds = h("input", { class: "field numbers", type: "number", id: "camera-seconds", min: LEAST_S, max: MOST_S, step: "any", inputmode: "decimal", value: settings.seconds, "aria-label": t("camera.seconds"), "aria-describedby": "camera-seconds-bad" });
  const wrong = h("p", { class: "small camera-wrong", id: "camera-seconds-bad", role: "alert" });
  const radio = (mode) => {
    const input = h("input", { type: "radio", name: "camera-mode", value: mode, checked: settings.mode === mode });
    input.addEventListener("change", () => onchange({ mode }));
    return h("label", { class: "segment" }, input, h("span", {}, t(`camera.mode.${mode}`)));
  };
  seconds.addEventListener("input", () => {
    const value = soundSeconds(seconds.value);
    wrong.textContent = value === null ? t("camera.seconds.bad") : "";
    seconds.setAttribute("aria-invalid", String(value === null));
    if (value !== null) onchange({ seconds: value });
  });
  return h(
    "fieldset",
    { class: "camera-mode" },
    h("legend", { class: "unseen" }, t("camera.mode")),
    h("div", { class: "segments" }, radio("every"), h("span", { class: "with-unit" }, seconds, h("span", { class: "soft", "aria-hidden": "true" }, t("camera.seconds.unit"))), radio("live")),
    wrong,
  );
}

/** The cameras of this device; without permission they have no names. */
export function deviceChoice(settings, onchange) {
  const select = h("select", { class: "field", id: "camera-device" });
  const root = h("div", { class: "camera-device" }, h("label", { for: "camera-device" }, t("camera.device")), select);
  select.addEventListener("change", () => onchange({ deviceId: select.value }));
  /** @param {MediaDeviceInfo[]} devices @param {string} [current] the one in use */
  root.show = (devices, current) => {
    const named = devices.filter((device) => device.deviceId);
    const options = named.map((device, at) => h("option", { value: device.deviceId }, device.label || t("camera.device.number", { n: at + 1 })));
    select.replaceChildren(...(named.length && current ? options : [h("option", { value: "" }, t("camera.device.any")), ...options]));
    const wanted = current ?? settings.deviceId;
    select.value = named.some((device) => device.deviceId === wanted) ? wanted : select.options[0].value;
    root.several = named.length > 1;
  };
  root.show([]);
  return root;
}

/** What rules and the history call this camera. `onchange` hears each name that is one. */
export function nameChoice(settings, onchange) {
  const input = h("input", { class: "field", id: "camera-name", autocomplete: "off", spellcheck: "false", maxlength: NAME_MAX, value: settings.name, "aria-describedby": "camera-name-note" });
  input.addEventListener("change", () => {
    input.value = soundName(input.value) || settings.name; // a camera without a name would be everybody's
    onchange({ name: input.value });
  });
  return h("div", { class: "camera-device" }, h("label", { for: "camera-name" }, t("camera.name")), input, h("p", { class: "small soft", id: "camera-name-note" }, t("camera.name.note")));
}

/** The least score: of what is drawn, of what is asked for, and of what is kept. */
export function scoreChoice(onchange) {
  const input = h("input", { type: "range", id: "camera-min", min: 5, max: 95, step: 1 });
  const output = h("output", { for: "camera-min", class: "numbers" });
  const root = h("section", { class: "threshold" }, h("div", { class: "panel-head" }, h("label", { for: "camera-min" }, t("camera.min")), output), input);
  const say = () => {
    output.textContent = percent(Number(input.value) / 100);
    input.setAttribute("aria-valuetext", t("result.min.value", { min: output.textContent }));
  };
  input.addEventListener("input", () => {
    say();
    onchange(Number(input.value) / 100);
  });
  root.set = (value) => {
    input.value = Math.round(value * 100);
    say();
  };
  root.set(0.35);
  return root;
}

/** Keep, skip, awake. */
export function switches(settings, onchange) {
  const make = (name, note) => {
    const input = h("input", { type: "checkbox", id: `camera-${name}`, checked: settings[name] });
    input.addEventListener("change", () => onchange({ [name]: input.checked }));
    const words = h("span", { class: "small soft" }, note);
    return { input, words, element: h("label", { class: "check" }, input, h("span", {}, t(`camera.${name}`), words)) };
  };
  const keep = make("keep", t("camera.keep.note"));
  const skip = make("skip", t("camera.skip.note"));
  const awake = make("awake", canStayAwake() ? "" : t("camera.awake.no"));
  awake.input.disabled = !canStayAwake();
  const root = h("div", { class: "camera-switches" }, keep.element, skip.element, awake.element);
  /** Live keeps and skips in its own way. */
  root.show = (mode) => {
    keep.input.disabled = skip.input.disabled = mode === "live";
    keep.words.textContent = t(mode === "live" ? "camera.keep.live" : "camera.keep.note");
  };
  root.show(settings.mode);
  return root;
}
