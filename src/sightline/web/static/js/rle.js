/**
 * COCO run-length masks: column-major runs, zeros first, in the compressed text of pycocotools
 * (six bits a character from "0" up, bit 5 says that more follows, from the third run on the
 * difference to the run before the last).
 */

/** The compressed text -> run lengths. */
export function decodeCounts(text) {
  const runs = [];
  let at = 0;
  while (at < text.length) {
    let value = 0;
    let shift = 0;
    let more = true;
    while (more) {
      const code = text.charCodeAt(at++) - 48;
      if (Number.isNaN(code)) throw new Error("The mask's text ends in the middle of a number.");
      value |= (code & 31) << shift;
      shift += 5;
      more = (code & 32) !== 0;
      if (!more && code & 16) value |= -1 << shift;
    }
    if (runs.length > 2) value += runs[runs.length - 2];
    runs.push(value);
  }
  return runs;
}

/**
 * Paints a mask into a pixel buffer of (width x height) that shows every `step`-th pixel of the picture.
 *
 * @param {Uint32Array} pixels row-major, one 32-bit colour each
 * @param {{size: [number, number], counts: string}} mask size is [height, width] of the whole picture
 */
export function paint(pixels, width, height, step, mask, color) {
  const rows = mask.size[0];
  let position = 0;
  let on = false;
  for (const run of decodeCounts(mask.counts)) {
    if (on) paintRun(pixels, width, height, step, rows, position, position + run, color);
    position += run;
    on = !on;
  }
}

function paintRun(pixels, width, height, step, rows, start, stop, color) {
  let position = start;
  while (position < stop) {
    const column = Math.floor(position / rows);
    const end = Math.min(stop, (column + 1) * rows);
    if (column % step === 0 && column / step < width) {
      const last = Math.min(height, Math.ceil((end - column * rows) / step));
      for (let y = Math.ceil((position - column * rows) / step); y < last; y++) pixels[y * width + column / step] = color;
    }
    position = end;
  }
}
