/** Where the name of each box goes: a pure function, tested by itself. All values are screen pixels. */

const overlap = (a, b) => a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;

/** Places to try for a chip of (w x h) at a box: above first (never over a face that fits under it), inside last. */
function spots([x1, y1, x2, y2], w, h) {
  return [
    [x1, y1 - h],
    [x2 - w, y1 - h],
    [x1, y2],
    [x2 - w, y2],
    [x1, y2 - h],
    [x2 - w, y2 - h],
    [x1, y1],
    [x2 - w, y1],
  ];
}

/**
 * Lays out chips that stay in view and off each other.
 *
 * @param {{box: number[], full: number, short: number, keep?: boolean}[]} items boxes, strongest first, with the widths of
 *   their name and of their number; `keep` asks for the name also where it is crowded
 * @param {{width: number, height: number}} view
 * @param {number} h height of a chip
 * @returns {({x: number, y: number, w: number, h: number, short: boolean} | null)[]} null: no room, the list has the name
 */
export function layOut(items, view, h) {
  const placed = [];
  const numbersOnly = crowded(items, view, h);
  return items.map(({ box, full: name, short, keep }) => {
    const full = numbersOnly && !keep ? short : name;
    if (box[2] < 0 || box[3] < 0 || box[0] > view.width || box[1] > view.height) return null;
    const spot = place(box, full, h, view, placed) ?? place(box, short, h, view, placed);
    if (spot) {
      spot.short = spot.w === short && short !== name;
      placed.push(spot);
    }
    return spot;
  });
}

/** Whether names would hide too much of the picture: then boxes carry numbers and the list has the names. */
function crowded(items, view, h) {
  const share = items.reduce((all, item) => all + item.full * h, 0) / (view.width * view.height);
  return share > 0.16 || (items.length > 12 && share > 0.05);
}

function place(box, w, h, view, placed) {
  for (const [left, top] of spots(box, w, h)) {
    const x = Math.min(Math.max(left, 0), view.width - w);
    const y = Math.min(Math.max(top, 0), view.height - h);
    // Pushed in from the edge is fine; pushed away from its own box is not.
    if (Math.abs(y - top) > h || Math.abs(x - left) > w) continue;
    const spot = { x, y, w, h };
    if (!placed.some((other) => overlap(spot, other))) return spot;
  }
  return null;
}
