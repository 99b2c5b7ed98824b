/** Copies and says so, also where the clipboard of secure pages does not exist (plain HTTP in a home network). */

import { announce, h } from "../dom.js";
import { t } from "../strings.js";

export async function copyText(text) {
  try {
    if (navigator.clipboard) await navigator.clipboard.writeText(text);
    else oldWay(text);
    announce(t("copied"));
    return true;
  } catch {
    announce(t("copied.not"));
    return false;
  }
}

function oldWay(text) {
  const area = h("textarea", { class: "unseen", "aria-hidden": "true" });
  area.value = text;
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  if (!done) throw new Error("not allowed");
}

/** Whether this browser lets a page put pictures on the clipboard. */
export const canCopyPictures = () => Boolean(navigator.clipboard?.write && globalThis.ClipboardItem);

/** Copies the picture behind an address; the clipboard takes PNG only. */
export async function copyPicture(path) {
  const png = fetch(path).then((response) => response.blob()).then(toPng);
  try {
    await navigator.clipboard.write([new ClipboardItem({ "image/png": png })]);
    announce(t("copied"));
    return true;
  } catch {
    announce(t("copied.not"));
    return false;
  }
}

async function toPng(blob) {
  const bitmap = await createImageBitmap(blob);
  const canvas = h("canvas", { width: bitmap.width, height: bitmap.height });
  canvas.getContext("2d").drawImage(bitmap, 0, 0);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}
