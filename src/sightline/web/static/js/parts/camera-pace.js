/** How fast live really is, and how many pictures may be on their way: pure functions of times, tested by themselves. */

const WINDOW_MS = 4000;

/** Watches answers go by. All times are milliseconds of one clock. */
export class Pace {
  constructor() {
    this.seen = [];
  }

  /** An answer came at `now` to a picture that was taken at `taken`; the server spent `work` on it. */
  answered(taken, now, work) {
    this.seen.push({ now, delay: now - taken, work });
    while (this.seen.length && this.seen[0].now < now - WINDOW_MS) this.seen.shift();
  }

  forget() {
    this.seen = [];
  }

  /** Answers a second over the last four seconds; null before there are two. */
  fps(now) {
    const recent = this.seen.filter((one) => one.now >= now - WINDOW_MS);
    if (recent.length < 2) return null;
    const span = recent.at(-1).now - recent[0].now;
    const period = span / (recent.length - 1);
    // A stall counts as time too: what was fast a moment ago is not fast now.
    const stalled = Math.max(0, now - recent.at(-1).now - period);
    return span ? (1000 * (recent.length - 1)) / (span + stalled) : null;
  }

  /** Milliseconds from the picture to its answer, the middle one of the last four seconds; null before the first. */
  delay() {
    return middle(this.seen.map((one) => one.delay));
  }

  /**
   * Pictures that may be on their way at once. One keeps the delay lowest. A second one keeps the server busy
   * where the way to it (encoding included) takes longer than half of its work; a third would only be replaced.
   */
  depth() {
    const work = middle(this.seen.map((one) => one.work));
    if (work === null) return 1;
    const way = middle(this.seen.map((one) => Math.max(0, one.delay - one.work)));
    return way > work / 2 ? 2 : 1;
  }
}

function middle(values) {
  if (!values.length) return null;
  return [...values].sort((a, b) => a - b)[values.length >> 1];
}

/**
 * When the next capture is due, on the clock of `now` in milliseconds: one interval after the last one was due, or at
 * once where that has passed, so that slow answers delay captures and do not pile them up.
 */
export function nextDue(last, every, now) {
  return last === null ? now : Math.max(now, last + every);
}
