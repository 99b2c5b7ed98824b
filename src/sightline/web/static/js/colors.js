/** The palette comes from the server, so the page and the downloaded picture use the same colours. */

import { getPalette } from "./api.js";

/** Until the palette is there: one neutral, so that nothing changes hue under the eyes. */
let palette = [[128, 128, 128]];

export async function loadPalette() {
  const colors = await getPalette();
  if (colors.length) palette = colors.map((hex) => [1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16)));
}

/** The colour of a label, [r, g, b]; the same label always has the same one. */
export const rgbOf = (labelId) => palette[((labelId % palette.length) + palette.length) % palette.length];

export const cssOf = (labelId) => `rgb(${rgbOf(labelId).join(" ")})`;

/** Black or white, whichever reads better on `rgb` (WCAG relative luminance). */
export function inkOn(rgb) {
  const [r, g, b] = rgb.map((v) => {
    const c = v / 255;
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? "#000" : "#fff";
}
