/** Camera: the visitor's own, every few seconds or live; what is seen is drawn over it, captures line up below. */

import { getModel, predict } from "../api.js";
import { announce, h, icon } from "../dom.js";
import { countLabels, toResult, visible } from "../filter.js";
import { bindKeys } from "../keys.js";
import { chosenSize, titleOf } from "../models-data.js";
import { alertChoice } from "../parts/alert-choice.js";
import { diagnose, doctorBox, facts } from "../parts/camera-doctor.js";
import { Every, captureName } from "../parts/camera-every.js";
import { Live } from "../parts/camera-live.js";
import { deviceChoice, loadSettings, modeChoice, nameChoice, saveSettings, scoreChoice, switches } from "../parts/camera-panel.js";
import { ruleForm } from "../parts/camera-rule-form.js";
import { Watcher } from "../parts/camera-rule.js";
import { Awake, notify, playSound, unlockSound } from "../parts/camera-signal.js";
import { Source } from "../parts/camera-source.js";
import { captureStrip } from "../parts/camera-strip.js";
import { CameraView } from "../parts/camera-view.js";
import { modelPicker } from "../parts/model-picker.js";
import { problemBox } from "../parts/problem.js";
import { verdictWords } from "../parts/verdict.js";
import { describe, percent, t } from "../strings.js";
import "../words/camera.js";

const NOBODY = new Set();
const SAY_MS = 5000;

/** What a capture shows, as one sentence. */
function wordsOf(result, shown) {
  if (result.verdict) return verdictWords(result.verdict);
  if (result.task !== "classify") return describe(countLabels(shown, 0), 4);
  return result.predictions[0] ? `${result.predictions[0].label}, ${percent(result.predictions[0].score)}` : t("result.nothing");
}

export function open(root, { signal }) {
  document.title = `${t("place.camera")} · ${t("app.name")}`;
  new CameraPlace(root, signal);
}

class CameraPlace {
  constructor(root, signal) {
    this.signal = signal;
    this.settings = loadSettings();
    this.model = null;
    this.labels = null;
    this.said = { words: "", at: -Infinity };
    this.source = new Source({ onlost: () => this.#failed(Object.assign(new Error(""), { name: "TrackEnded" })) });
    this.watcher = new Watcher(this.settings.rule);
    this.awake = new Awake(signal);
    const terms = () => ({ ...this.settings, model: this.model?.name, size: chosenSize(this.model), side: chosenSize(this.model) ?? this.model?.default_size, min: this.min });
    const oncapture = (capture) => this.#captured(capture);
    this.every = new Every(this.source, terms, { oncapture, onstate: (state) => this.#tellEvery(state) });
    this.live = new Live(this.source, terms, { oncapture, onproblem: (problem) => this.#trouble(problem), onstate: (state) => this.#tellLive(state) });
    this.terms = terms;
    this.#build(root);
    this.#listen();
    this.#rest();
    this.#showDevices();
  }

  get min() {
    return this.settings.min ?? this.model?.min_score ?? 0.35;
  }

  get runner() {
    return this.settings.mode === "live" ? this.live : this.every;
  }

  #build(root) {
    const { settings } = this;
    this.view = new CameraView(this.source.video);
    this.strip = captureStrip((capture) => this.#look(capture));
    this.sentence = h("p", { class: "soft result-sentence" }, "\u00a0");
    this.status = h("p", { class: "camera-status small soft numbers" }, "\u00a0");
    this.trouble = h("div", { class: "result-trouble" });
    this.sent = h("p", { class: "camera-sent small soft" });
    this.startButton = h("button", { class: "button main-action camera-start", type: "button", "aria-keyshortcuts": "s", onclick: () => this.#toggle() });
    this.takeButton = h("button", { class: "button camera-take", type: "button", title: t("camera.take"), "aria-keyshortcuts": "t", disabled: true, onclick: () => this.#take() }, icon("camera"), h("span", {}, t("camera.take")));
    this.flipButton = h("button", { class: "button square", type: "button", hidden: true, "aria-label": t("camera.flip"), title: t("camera.flip"), onclick: () => this.#flip() }, icon("flip"));
    this.devices = deviceChoice(settings, (change) => this.#switch(change));
    const name = nameChoice(settings, (change) => this.#set(change));
    this.score = scoreChoice((min) => {
      this.#set({ min });
      this.view.filter(min);
    });
    this.switches = switches(settings, (change) => this.#set(change));
    this.rule = ruleForm(settings.rule, (rule) => {
      this.watcher.change(rule);
      this.#set({ rule });
    });
    const mode = modeChoice(settings, (change) => this.#pace(change));
    const picker = modelPicker((model) => this.#use(model));
    const way = (name, href, text) => h("a", { class: "button", href }, icon(name), text);
    const ways = h("nav", { class: "result-actions", "aria-label": t("camera.ways") }, way("eye", "/watches", t("watches.title")), way("bell", "/rules", t("rules.title")));
    root.append(
      h("header", { class: "result-head" }, h("div", { class: "result-title" }, h("h1", { tabindex: "-1" }, t("camera.title")), this.sentence), ways),
      this.trouble,
      h(
        "div",
        { class: "result-body" },
        h("div", { class: "result-stage" }, this.view.element, h("div", { class: "camera-bar" }, this.startButton, mode, this.takeButton, this.flipButton), h("div", { class: "camera-lines" }, this.status, this.sent), this.strip.element),
        h("div", { class: "panel camera-panel" }, this.devices, picker, this.score, this.switches, name, this.rule.element),
      ),
    );
  }

  #listen() {
    const { signal } = this;
    document.addEventListener("visibilitychange", () => this.#visible(), { signal });
    navigator.mediaDevices?.addEventListener?.("devicechange", () => this.#showDevices(), { signal });
    signal.addEventListener("abort", () => {
      this.#halt();
      this.source.stop();
      this.view.close();
      this.strip.clear();
    });
    const rows = [[["s"], "key.camera.start"], [["t"], "key.camera.take"]];
    bindKeys("keys.camera", { s: () => this.#toggle(), t: () => !this.takeButton.disabled && this.#take() }, rows, signal);
  }

  #set(change) {
    Object.assign(this.settings, change);
    saveSettings(this.settings);
    this.#saySent();
  }

  #use(model) {
    this.model = model;
    this.score.set(this.min);
    getModel(model.name, this.signal).then(
      (full) => this.rule.labels(full.label_names, titleOf(model)),
      () => undefined,
    );
  }

  /** Off: what the place is for, or at once why no camera can be had here. */
  #rest() {
    const kind = diagnose(facts());
    this.#button(false);
    this.#saySent();
    this.sentence.textContent = t(kind ? `doctor.${kind}` : "camera.idle");
    this.status.textContent = "\u00a0";
    this.startButton.disabled = Boolean(kind);
    if (kind) this.view.say(doctorBox(kind));
    else this.view.say(h("div", { class: "camera-idle" }, icon("camera"), h("p", {}, t("camera.idle.text"))));
  }

  #button(on) {
    this.startButton.replaceChildren(icon(on ? "stop" : "play"), h("span", {}, t(on ? "camera.stop" : "camera.start")));
    this.startButton.classList.toggle("main-action", !on);
    this.takeButton.disabled = !on;
    this.flipButton.hidden = !on || !this.devices.several;
  }

  #toggle() {
    if (this.startButton.disabled) return;
    if (this.source.on) this.#stop();
    else this.#start();
  }

  async #start() {
    unlockSound();
    this.trouble.replaceChildren();
    this.startButton.disabled = true;
    this.view.say(h("div", { class: "camera-idle", role: "status" }, icon("camera"), h("p", {}, t("camera.asking"))));
    try {
      await this.source.start(this.settings);
    } catch (error) {
      this.#failed(error);
      return;
    }
    if (this.signal.aborted) {
      this.source.stop();
      return;
    }
    this.startButton.disabled = false;
    await this.#showDevices();
    this.#button(true);
    this.view.film();
    this.sentence.textContent = "\u00a0";
    if (this.settings.awake) this.awake.want(true);
    this.#visible();
  }

  #stop() {
    this.#halt();
    this.source.stop();
    this.view.still();
    this.#rest();
    this.startButton.focus({ preventScroll: true });
  }

  #halt() {
    this.every.stop();
    this.live.stop();
    clearInterval(this.clock);
    this.awake.want(false);
  }

  #failed(error) {
    if (this.signal.aborted) return;
    this.#halt();
    this.source.stop();
    this.#rest();
    this.startButton.disabled = false;
    const kind = diagnose(facts(error)) ?? "other";
    this.view.say(doctorBox(kind, { error, again: () => this.#start() }));
    this.sentence.textContent = t(`doctor.${kind}`, { name: error.name });
  }

  /** Runs while the page can be seen, and only then. */
  #visible() {
    if (!this.source.on) return;
    const seen = document.visibilityState === "visible";
    if (seen) this.runner.start();
    else {
      this.every.stop();
      this.live.stop();
      clearInterval(this.clock);
      this.status.textContent = t("camera.paused");
    }
  }

  #pace(change) {
    const mode = this.settings.mode;
    this.#set(change);
    this.switches.show(this.settings.mode);
    if (!this.source.on) return;
    if (mode !== this.settings.mode) {
      (mode === "live" ? this.live : this.every).stop();
      clearInterval(this.clock);
      this.status.textContent = "\u00a0";
      this.view.corner(true);
      this.runner.start();
    } else if (mode === "every") this.every.start();
  }

  async #switch(change) {
    this.#set(change);
    if (!this.source.on) return;
    this.every.stop();
    this.live.stop();
    await this.#start();
  }

  async #flip() {
    const current = this.source.settings;
    const all = await this.source.devices();
    const next = all[(all.findIndex((device) => device.deviceId === current.deviceId) + 1) % all.length];
    // Phones name a side; where they do, it says more than the order of a list.
    const facing = current.facingMode === "user" ? "environment" : "user";
    await this.#switch(current.facingMode ? { deviceId: "", facing } : { deviceId: next.deviceId });
  }

  async #showDevices() {
    const devices = await this.source.devices().catch(() => []);
    this.devices.show(devices, this.source.settings.deviceId);
    this.flipButton.hidden = !this.source.on || !this.devices.several;
  }

  /** One capture, from the clock: in live from what is on screen at this moment. */
  async #take() {
    if (this.settings.mode === "every") {
      this.every.take();
      return;
    }
    const { model, size, min } = this.terms();
    const at = new Date();
    const picture = await this.source.grab();
    if (!picture) return;
    const capture = { ...picture, at, model, size, min, name: captureName(at) };
    try {
      const json = await predict(picture.blob, { name: capture.name, model, size, min, store: true, signal: this.signal });
      this.#toStrip({ ...capture, json, id: json.id });
      announce(t("captures.keep.said"));
    } catch (problem) {
      if (problem.name !== "AbortError") this.#trouble(problem);
    }
  }

  #captured(capture) {
    if (this.signal.aborted || !this.source.on) return;
    if (capture.problem) {
      this.#trouble(capture.problem);
      return;
    }
    this.trouble.replaceChildren();
    const { result, shown } = this.#read(capture);
    const live = this.settings.mode === "live";
    this.view.draw(result, this.min, capture);
    this.#say(wordsOf(result, shown), live);
    const fired = this.settings.rule.on && this.watcher.see(result.predictions, Date.now());
    if (fired) this.#fire(fired);
    for (const alert of capture.alerts ?? []) if (alert.browser) this.#fire({ label: alert.what, score: alert.score, shown: alertChoice() });
    this.rule.tell(this.watcher, Date.now());
    if (!live || fired) this.#toStrip({ ...capture, bitmap: undefined, byRule: Boolean(fired) });
  }

  #read(capture) {
    const result = toResult(capture.json);
    const shown = visible(result.predictions, { min: result.task === "classify" ? 0 : capture.min, hidden: NOBODY });
    return { result, shown };
  }

  #toStrip(capture) {
    const { result, shown } = this.#read(capture);
    this.strip.add(capture, wordsOf(result, shown), shown, [result.width, result.height]);
  }

  /** On screen always; aloud when it is news, in live at most every five seconds, and not over what a rule just told. */
  #say(words, live) {
    if (this.sentence.textContent !== words) {
      this.sentence.textContent = words;
      this.view.element.setAttribute("aria-label", t("camera.seen.stage", { found: words }));
    }
    const now = performance.now();
    if (words === this.said.words || ((live || this.said.rule) && now < this.said.at + SAY_MS)) return;
    this.said = { words, at: now, rule: false };
    announce(words);
  }

  /** `shown`: the notifications of this browser tell it too, so that this page need not. */
  #fire({ label, score, shown = null }) {
    const words = t("rule.fired", { label, score: percent(score) });
    if (this.settings.rule.sound && !shown?.sound) playSound();
    if (shown) return;
    if (this.settings.rule.notify) notify(words);
    this.said = { words, at: performance.now(), rule: true };
    announce(words);
  }

  /** An older capture, large; the camera goes on behind it. */
  #look(capture) {
    const { result } = this.#read(capture);
    this.view.hold(result, capture.min, capture.blob);
    this.view.element.scrollIntoView({ block: "nearest" });
    this.view.element.focus({ preventScroll: true });
  }

  #trouble(problem) {
    const box = this.trouble.querySelector("strong");
    if (box?.textContent === problem.message) return; // said already: not again with each picture
    this.trouble.replaceChildren(problemBox(problem));
  }

  #tellEvery({ due, looking, skipped }) {
    clearInterval(this.clock);
    if (skipped) this.skipWords = t("camera.skipped", { n: skipped });
    else if (looking) this.skipWords = "";
    if (looking) this.status.textContent = t("camera.looking");
    if (due === undefined) return;
    const tell = () => {
      const left = Math.max(0, (due - performance.now()) / 1000);
      const next = t("camera.next", { s: left < 10 ? left.toFixed(1) : String(Math.ceil(left)) });
      this.status.textContent = [next, this.skipWords].filter(Boolean).join(". ");
    };
    tell();
    this.clock = setInterval(tell, 100);
  }

  #tellLive({ lost, fps, delay }) {
    const known = typeof fps === "number" && typeof delay === "number";
    if (lost) this.status.textContent = t("camera.lost");
    else if (!known) this.status.textContent = t("camera.rate.wait");
    else this.status.textContent = t("camera.rate", { fps: fps.toFixed(fps < 10 ? 1 : 0), delay: Math.round(delay) });
    if (known && (delay < 200 || delay > 300)) this.view.corner(delay > 300);
  }

  #saySent() {
    const here = ["localhost", "127.0.0.1", "[::1]"].includes(location.hostname);
    const way = here ? "camera.sent.here" : location.protocol === "https:" ? "camera.sent" : "camera.sent.plain";
    const kept = this.settings.keep && this.settings.mode === "every" ? "camera.sent.keep" : "camera.sent.drop";
    this.sent.replaceChildren(icon("shield"), h("span", {}, `${t(way, { host: location.host })} ${t(kept)}`));
  }
}
