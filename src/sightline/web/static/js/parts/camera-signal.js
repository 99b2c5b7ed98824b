/** How the page makes itself felt: a sound, a notification, a screen that stays awake. Each says whether it can. */

let sounds = null;

/** Browsers let a page sound only after a click: call this in one. */
export function unlockSound() {
  sounds ??= globalThis.AudioContext ? new AudioContext() : null;
  sounds?.resume?.().catch(() => undefined);
}

/** Two short tones, the second one higher. */
export function playSound() {
  if (!sounds) return;
  [[0, 660], [0.16, 880]].forEach(([at, hertz]) => {
    const [tone, volume] = [sounds.createOscillator(), sounds.createGain()];
    const begin = sounds.currentTime + at;
    tone.frequency.value = hertz;
    volume.gain.setValueAtTime(0.0001, begin);
    volume.gain.exponentialRampToValueAtTime(0.25, begin + 0.02);
    volume.gain.exponentialRampToValueAtTime(0.0001, begin + 0.15);
    tone.connect(volume).connect(sounds.destination);
    tone.start(begin);
    tone.stop(begin + 0.16);
  });
}

export const canNotify = () => isSecureContext && "Notification" in globalThis;

/** @returns {Promise<boolean>} whether notifications may be shown now */
export async function askToNotify() {
  if (!canNotify()) return false;
  return (Notification.permission === "default" ? await Notification.requestPermission() : Notification.permission) === "granted";
}

/**
 * @param {string} title
 * @param {{body?: string, tag?: string, onclick?: () => void}} [more] one of the same tag takes the place of the last one
 * @returns {boolean} whether it was shown; phones' browsers show none from a page alone
 */
export function notify(title, { body = "", tag = "sightline-camera", onclick = null } = {}) {
  try {
    new Notification(title, { body, icon: "/static/icon.svg", tag, renotify: true }).onclick = onclick;
    return true;
  } catch {
    return false;
  }
}

export const canStayAwake = () => "wakeLock" in navigator;

/** Keeps the screen on while wanted; the lock is lost with each hiding of the page and taken again after it. */
export class Awake {
  constructor(signal) {
    this.lock = null;
    this.wanted = false;
    document.addEventListener("visibilitychange", () => this.#apply(), { signal });
    signal.addEventListener("abort", () => this.want(false));
  }

  want(wanted) {
    this.wanted = wanted;
    return this.#apply();
  }

  async #apply() {
    if (!canStayAwake()) return;
    const hold = this.wanted && document.visibilityState === "visible";
    if (!hold) {
      this.lock?.release().catch(() => undefined);
      this.lock = null;
    } else if (!this.lock || this.lock.released) {
      this.lock = await navigator.wakeLock.request("screen").catch(() => null); // a low battery refuses: no harm
      if (!this.wanted) this.#apply();
    }
  }
}
