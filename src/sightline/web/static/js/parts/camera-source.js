/** The visitor's own camera: asked for, switched, read, given back. Nothing here speaks to the server. */

import { h } from "../dom.js";
import { CELLS, grey } from "./camera-change.js";

const WISH = { width: { ideal: 1280 }, height: { ideal: 720 } };

export class Source {
  /** @param {{onlost: () => void}} handlers `onlost`: the camera ended by itself */
  constructor({ onlost }) {
    this.video = h("video", { class: "camera-video", playsinline: true, "aria-hidden": "true" });
    this.video.muted = true;
    this.onlost = onlost;
    this.stream = null;
    this.canvas = document.createElement("canvas");
    this.small = Object.assign(document.createElement("canvas"), { width: CELLS[0], height: CELLS[1] });
  }

  get on() {
    return this.stream !== null;
  }

  /** What the camera calls itself: {deviceId, facingMode, width, height}. */
  get settings() {
    return this.stream?.getVideoTracks()[0]?.getSettings() ?? {};
  }

  /**
   * Starts it, or starts another one instead.
   *
   * @param {{deviceId?: string, facing?: "user" | "environment"}} wish a device that is gone is no trouble: any will do
   */
  async start({ deviceId, facing }) {
    this.stop(); // phones give out one camera at a time
    const video = { ...WISH };
    if (deviceId) video.deviceId = { exact: deviceId };
    else if (facing) video.facingMode = { ideal: facing };
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video, audio: false });
    } catch (error) {
      if (!["OverconstrainedError", "ConstraintNotSatisfiedError"].includes(error.name) || !deviceId) throw error;
      stream = await navigator.mediaDevices.getUserMedia({ video: WISH, audio: false });
    }
    this.stop();
    this.stream = stream;
    stream.getVideoTracks()[0].addEventListener("ended", () => {
      if (this.stream !== stream) return;
      this.stop();
      this.onlost();
    });
    this.video.srcObject = stream;
    await this.video.play();
  }

  stop() {
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    this.stream = null;
    this.video.srcObject = null;
  }

  /** The cameras that there are; they have names only once one was allowed. */
  async devices() {
    const all = (await navigator.mediaDevices?.enumerateDevices?.()) ?? [];
    return all.filter((device) => device.kind === "videoinput");
  }

  /**
   * The picture of this moment as JPEG, upright and as wide as the camera gives it or `longest` allows.
   *
   * @returns {Promise<{blob: Blob, width: number, height: number, bitmap?: ImageBitmap} | null>} null before the first
   *   picture; the bitmap, to show at once what was sent, only where it is asked for
   */
  async grab({ longest = Infinity, quality = 0.9, bitmap = false } = {}) {
    const { videoWidth, videoHeight } = this.video;
    if (!videoWidth || !this.on) return null;
    const scale = Math.min(1, longest / Math.max(videoWidth, videoHeight));
    const [width, height] = [Math.round(videoWidth * scale), Math.round(videoHeight * scale)];
    if (this.canvas.width !== width || this.canvas.height !== height) Object.assign(this.canvas, { width, height });
    this.canvas.getContext("2d", { alpha: false }).drawImage(this.video, 0, 0, width, height);
    const copy = bitmap ? await createImageBitmap(this.canvas) : undefined;
    const blob = await new Promise((resolve) => this.canvas.toBlob(resolve, "image/jpeg", quality));
    return blob && { blob, width, height, bitmap: copy };
  }

  /** A tiny grey copy of this moment, to see whether anything changed. */
  glance() {
    const context = this.small.getContext("2d", { alpha: false, willReadFrequently: true });
    context.drawImage(this.video, 0, 0, ...CELLS);
    return grey(context.getImageData(0, 0, ...CELLS).data);
  }

  /** Calls back at the next new picture of the camera. */
  onpicture(listener) {
    if (this.video.requestVideoFrameCallback) this.video.requestVideoFrameCallback(listener);
    else requestAnimationFrame(listener);
  }
}
