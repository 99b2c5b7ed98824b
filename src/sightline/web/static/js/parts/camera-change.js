/** Whether two pictures of a camera differ: pure functions over a small grey copy of each, tested by themselves. */

/** The grey copy is this wide and high. */
export const CELLS = [32, 24];
const STEP = 14;
const SHARE = 0.015;

/** RGBA bytes -> one grey value per cell (ITU-R BT.601 weights). */
export function grey(rgba) {
  const cells = new Float32Array(rgba.length / 4);
  for (let at = 0; at < cells.length; at += 1) {
    cells[at] = 0.299 * rgba[4 * at] + 0.587 * rgba[4 * at + 1] + 0.114 * rgba[4 * at + 2];
  }
  return cells;
}

/**
 * Whether something moved or came: more than 1.5 % of the cells changed by more than 14 of 255 levels, after the change
 * that all of them share is taken out, so that a cloud before the sun, or the camera's own exposure, is no news.
 */
export function changed(before, after) {
  if (!before || before.length !== after.length) return true;
  const steps = after.map((value, at) => value - before[at]);
  const shared = [...steps].sort((a, b) => a - b)[steps.length >> 1];
  const moved = steps.reduce((count, step) => count + (Math.abs(step - shared) > STEP), 0);
  return moved > SHARE * steps.length;
}
