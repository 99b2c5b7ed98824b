/** How the page speaks: numbers, times and sentences as the language writes them. The words themselves are in `words/`. */

import common from "./words/common.js";

const TEXT = { ...common };

const LOCALE = document.documentElement.lang || "en";
const RULES = new Intl.PluralRules(LOCALE);
const PERCENT = new Intl.NumberFormat(LOCALE, { style: "percent", maximumFractionDigits: 0 });
const NUMBER = new Intl.NumberFormat(LOCALE);
const LIST = new Intl.ListFormat(LOCALE, { type: "unit", style: "long" });
const AGO = new Intl.RelativeTimeFormat(LOCALE, { numeric: "auto" });
const FULL = new Intl.DateTimeFormat(LOCALE, { dateStyle: "full", timeStyle: "medium" });
const CLOCK = new Intl.DateTimeFormat(LOCALE, { timeStyle: "medium" });
const DAY = new Intl.DateTimeFormat(LOCALE, { weekday: "long", day: "numeric", month: "long", year: "numeric" });

/** Makes the words of a place known: each place that has some brings them along when it is loaded. */
export const add = (words) => Object.assign(TEXT, words);

/** The text named `key` with its holes filled. */
export function t(key, values = {}) {
  let text = TEXT[key] ?? key;
  if (typeof text === "object") text = text[RULES.select(values.n)] ?? text.other;
  return text.replace(/\{(\w+)\}/g, (_, name) => (typeof values[name] === "number" ? NUMBER.format(values[name]) : values[name] ?? ""));
}

/** 0.934 -> "93 %", as the language writes it. */
export const percent = (value) => PERCENT.format(value);

/** Bytes as people say them. */
export function bytes(count) {
  const [unit, size] = count >= 1e6 ? ["megabyte", count / 1e6] : ["kilobyte", count / 1e3];
  return new Intl.NumberFormat(LOCALE, { style: "unit", unit, maximumFractionDigits: size < 10 ? 1 : 0 }).format(size);
}

export const milliseconds = (value) => t("result.time.value", { ms: value < 10 ? Math.round(value * 10) / 10 : Math.round(value) });

/** "14", "0.3": speeds need no more digits. */
export const rate = (value) => new Intl.NumberFormat(LOCALE, { maximumSignificantDigits: 2 }).format(value);

/** A length of time as people say it: "12 seconds", "3 minutes", "2 hours". */
export function duration(seconds) {
  const [unit, size] = seconds < 90 ? ["second", 1] : seconds < 5400 ? ["minute", 60] : ["hour", 3600];
  const value = seconds / size;
  return new Intl.NumberFormat(LOCALE, { style: "unit", unit, unitDisplay: "long", maximumFractionDigits: value < 10 && unit === "hour" ? 1 : 0 }).format(Math.max(1, value));
}

/** "2 minutes ago". */
export function ago(date, now = Date.now()) {
  const seconds = (date.getTime() - now) / 1000;
  for (const [unit, size] of [["year", 31_557_600], ["month", 2_629_800], ["day", 86_400], ["hour", 3600], ["minute", 60]]) {
    if (Math.abs(seconds) >= size) return AGO.format(Math.trunc(seconds / size), unit);
  }
  return AGO.format(Math.trunc(Math.min(seconds, 0) / 10) * 10, "second");
}

/** "14:05:09". */
export const clockTime = (date) => CLOCK.format(date);

export const fullTime = (date) => FULL.format(date);

/** "Today", "Yesterday" or the full day. */
export function dayName(date, now = new Date()) {
  const days = Math.round((new Date(now).setHours(0, 0, 0, 0) - new Date(date).setHours(0, 0, 0, 0)) / 86_400_000);
  return days === 0 ? t("day.today") : days === 1 ? t("day.yesterday") : DAY.format(date);
}

const PLURALS = { person: "people", mouse: "mice", knife: "knives", sheep: "sheep", scissors: "scissors", skis: "skis",
  broccoli: "broccoli", "wine glass": "wine glasses", foot: "feet", child: "children", man: "men", woman: "women", deer: "deer" };

/** "2 people", "dog", "3 buses": English only, so it lives beside the English text. */
export function counted(label, count) {
  if (count === 1) return label;
  return `${NUMBER.format(count)} ${PLURALS[label] ?? regularPlural(label)}`;
}

function regularPlural(label) {
  if (/(s|x|z|ch|sh)$/.test(label)) return `${label}es`;
  if (/[^aeiou]y$/.test(label)) return `${label.slice(0, -1)}ies`;
  return `${label}s`;
}

/** A short sentence about counts, strongest group first: "2 people, dog, +3 more labels". */
export function describe(counts, limit = 4) {
  if (!counts.length) return t("result.nothing");
  const parts = counts.slice(0, limit).map(({ label, count }) => counted(label, count));
  if (counts.length > limit) parts.push(`+${counts.length - limit}`);
  return LIST.format(parts);
}
