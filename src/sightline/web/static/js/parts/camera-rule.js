/** "Tell me when person scores at least 60 % in 3 of 5 captures, then quiet for 10 minutes": pure, tested by itself. */

export const DEFAULT_RULE = { on: false, label: "", score: 0.5, hits: 2, of: 3, quiet: 5, sound: true, notify: false };

/** A rule as somebody typed it, put into its bounds. */
export function soundRule(rule) {
  const whole = (value, least, most) => Math.min(most, Math.max(least, Math.round(Number(value)) || least));
  const of = whole(rule.of, 1, 100);
  return {
    ...DEFAULT_RULE,
    ...rule,
    label: String(rule.label ?? "").trim(),
    score: Math.min(1, Math.max(0, Number(rule.score) || 0)),
    of,
    hits: Math.min(of, whole(rule.hits, 1, 100)),
    quiet: Math.min(1440, Math.max(0, Number(rule.quiet) || 0)),
  };
}

/** Remembers the last captures and says when the rule comes true. */
export class Watcher {
  constructor(rule) {
    this.rule = soundRule(rule);
    this.seen = [];
    this.quietUntil = 0;
  }

  /** The same memory under other terms; what was seen under another label or score no longer counts. */
  change(rule) {
    const before = this.rule;
    this.rule = soundRule(rule);
    if (before.label !== this.rule.label || before.score !== this.rule.score) this.seen = [];
    this.seen = this.seen.slice(-this.rule.of);
  }

  /** How many of the remembered captures fit. */
  get count() {
    return this.seen.filter(Boolean).length;
  }

  /**
   * One capture more, at `now` milliseconds.
   *
   * @param {{label: string, score: number}[]} predictions
   * @returns {{label: string, score: number} | null} the strongest that fits if the rule came true just now
   */
  see(predictions, now) {
    const { label, score, hits, of, quiet } = this.rule;
    const wanted = label.toLowerCase();
    const fits = predictions.filter((item) => item.score >= score - 1e-9 && (!wanted || item.label.toLowerCase() === wanted));
    this.seen = [...this.seen, fits.length > 0].slice(-of);
    if (!fits.length || this.count < hits || now < this.quietUntil) return null;
    this.quietUntil = now + quiet * 60_000;
    this.seen = [];
    return fits.reduce((best, item) => (item.score > best.score ? item : best));
  }
}
