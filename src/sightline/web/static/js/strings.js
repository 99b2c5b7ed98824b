/** Every word of the page. A translation replaces this file; `{name}` is filled in, `{n}` picks the plural form. */

const TEXT = {
  "app.name": "Sightline",
  "app.skip": "Skip to the content",
  "app.places": "Places",
  "app.api": "API",
  "app.keys": "Keys",
  "offline": "The server does not answer. What is on this page still works; trying again…",
  "online": "The server answers again.",

  "place.look": "Look",
  "place.history": "History",
  "place.models": "Models",
  "place.result": "Result",
  "lost.title": "There is nothing at this address",
  "lost.text": "The link may be old, or a letter may be missing.",
  "lost.action": "Look at a picture",

  "look.title": "What is in your picture?",
  "look.drop": "Drop pictures here",
  "look.ways": "or paste one from anywhere. JPEG, PNG, WebP, GIF, BMP, TIFF or AVIF.",
  "look.choose": "Choose pictures",
  "look.address": "Address of a picture",
  "look.address.placeholder": "https://… address of a picture",
  "look.go": "Look",
  "look.address.bad": "This is not a web address. It should begin with https:// or http://.",
  "look.release": "Let go to look",
  "look.samples": "Or start with one of these",
  "look.samples.note": "Seen just now by {model} on this machine.",
  "look.samples.failed": "The sample pictures could not be loaded.",
  "look.credit": "Picture credits",
  "look.batch": { one: "{n} picture", other: "{n} pictures" },
  "look.batch.clear": "Clear this list",
  "look.batch.with": "All looked at with {model}. Another choice is for the next pictures.",
  "look.private": "Pictures stay on this machine. They are kept for the history until you delete them or their time is over.",
  "look.open.sample": "Look at: {title}. {found}",

  "work.sending": "Sending, {percent}",
  "work.looking": "Looking with {model}…",
  "work.fetching": "Fetching the picture from {host}…",
  "work.waiting": "Waiting its turn",
  "work.slow": "Still looking. The first picture after a start takes longer, because the model is loaded for it.",
  "work.stop": "Stop",
  "work.again": "Try again",
  "work.other": "Choose another picture",
  "work.nopreview": "Your browser cannot show this kind of file. Sightline can still read it.",

  "model.with": "Looks with",
  "model.pick": "Model",
  "model.change": "Change the model",
  "model.labels": { one: "{n} label", other: "{n} labels" },
  "model.classify": "Says what the whole picture shows",
  "model.detect": "Finds objects and where they are",
  "model.segment": "Finds objects and their outlines",
  "model.task.classify": "Classifies",
  "model.task.detect": "Detects",
  "model.task.segment": "Outlines",
  "model.default": "Used unless you choose",
  "model.unknown.licence": "licence unknown",
  "model.size": "Sees at",
  "model.size.hint": "Small is faster; large finds smaller things.",
  "model.size.fast": "Fast {size}",
  "model.size.normal": "Normal {size}",
  "model.size.fine": "Fine {size}",

  "result.nothing": "Nothing found",
  "result.nothing.best": "Nothing scores {min} or more. The best guess is {label}, at {score}.",
  "result.nothing.show": "Show down to {score}",
  "result.nothing.none": "This model sees none of its {n} labels here, not even faintly.",
  "result.nothing.filtered": "All labels are switched off.",
  "result.all": "Show all labels",
  "result.min": "Minimum score",
  "result.min.reset": "Back to {min}",
  "result.min.value": "at least {min}",
  "result.labels": "Labels",
  "result.objects": "Objects",
  "result.classes": "Classes",
  "result.classes.all": "Show all {n}",
  "result.classes.fewer": "Show fewer",
  "result.unsure": "Not sure",
  "result.unsure.text": "No class is strong enough to be trusted. The strongest guesses are below.",
  "result.unknown": "None of its classes",
  "result.unknown.text": "The picture does not look like anything this model was taught.",
  "result.toggle.label": "Show or hide {label}",
  "result.row": "{label}, {score}, {where}",
  "result.drawing": "Drawing",
  "result.show.labels": "Names",
  "result.show.masks": "Masks",
  "result.show.all": "Drawing",
  "result.opacity": "Mask opacity",
  "result.zoom.in": "Zoom in",
  "result.zoom.out": "Zoom out",
  "result.zoom.fit": "Fit the picture",
  "result.stage": "Picture with {found}",
  "result.previous": "Previous result",
  "result.next": "Next result",
  "result.download": "Download",
  "result.download.annotated": "Picture with drawing",
  "result.download.annotated.note": "as on screen, from {min}",
  "result.download.image": "Picture alone",
  "result.download.json": "JSON",
  "result.download.csv": "CSV table",
  "result.download.coco": "COCO",
  "result.download.yolo": "YOLO",
  "result.download.voc": "Pascal VOC",
  "result.copy": "Copy",
  "result.copy.link": "Link to this page",
  "result.copy.json": "JSON",
  "result.copy.curl": "curl command",
  "result.copy.python": "Python",
  "result.copy.image": "Picture with drawing",
  "copied": "Copied",
  "copied.not": "Your browser does not let this page copy.",
  "result.delete": "Delete",
  "result.delete.sure": "Delete for good?",
  "result.keep": "Keep",
  "result.deleted": "Deleted",
  "result.details": "How this was done",
  "result.model": "Model",
  "result.engine": "Engine",
  "result.size": "Picture",
  "result.size.value": "{width} × {height} pixels",
  "result.at": "Seen at",
  "result.seen": "Seen",
  "result.expires": "Kept until",
  "result.time": "Time",
  "result.time.value": "{ms} ms",
  "result.id": "Id",
  "result.digest": "Weights",
  "result.again": "Look again with",
  "result.again.choose": "another model",
  "result.again.either": "another model or size",
  "result.again.size": "{model}, {size}",
  "result.gone.title": "This result is no longer here",
  "result.gone.text": "It was deleted, or kept longer than the server keeps results.",
  "result.picture.gone": "The picture is no longer stored. The numbers are.",
  "time.decode": "decode",
  "time.queue": "wait",
  "time.preprocess": "prepare",
  "time.infer": "compute",
  "time.postprocess": "read",

  "where.top": "top",
  "where.middle": "middle",
  "where.bottom": "bottom",
  "where.left": "left",
  "where.center": "centre",
  "where.right": "right",
  "where.whole": "most of the picture",

  "history.title": "History",
  "history.search": "Search by label or file name",
  "history.placeholder": "dog, person, cup…",
  "history.empty": "Nothing seen yet",
  "history.empty.text": "Every picture you look at is kept here until you delete it or its time is over.",
  "history.none": "Nothing found for “{label}”",
  "history.none.text": "Search for a whole label, such as dog, or a part of a file’s name.",
  "history.clear": "Show everything",
  "history.more": "Show older results",
  "history.count": { one: "{n} result shown", other: "{n} results shown" },
  "history.delete": "Delete {name}",
  "day.today": "Today",
  "day.yesterday": "Yesterday",

  "models.title": "Models",
  "models.text": "What can look at your pictures here. More come in with `sightline models import` and `sightline models pull`.",
  "models.use": "Look with this",
  "models.used": "In use",
  "models.labels": "Labels",
  "models.labels.find": "Find a label",
  "models.labels.none": "This model has no such label.",
  "models.licence": "Licence",
  "models.size": "Size",
  "models.accuracy": "Accuracy",
  "models.accuracy.none": "not measured",
  "models.accuracy.on": { one: "on {n} picture", other: "on {n} pictures" },
  "models.engine": "Engine here",
  "models.engine.none": "chosen at first use",
  "models.speed": "Speed here",
  "models.speed.none": "measured at first use",
  "models.speed.value": "{ms} ms a picture",
  "models.why": "Why this engine",
  "models.origin": "Origin",
  "models.start": "Started from",
  "models.input": "Sees at",
  "models.input.value": "{sizes} pixels",
  "models.min": "Default minimum score",
  "models.bundled": "Ships with Sightline",
  "models.more": "All about it",
  "models.empty": "No model is installed",
  "models.empty.text": "Bring one in with `sightline models import FILE.onnx`, then reload this page.",

  "keys.title": "Keys",
  "keys.close": "Close",
  "keys.everywhere": "Everywhere",
  "keys.here": "On a result",
  "keys.single": "Use single-letter keys",
  "key.upload": "Choose pictures",
  "key.search": "Search the history",
  "key.look": "Look",
  "key.history": "History",
  "key.models": "Models",
  "key.help": "Show or hide this list",
  "key.previous": "Previous, next result",
  "key.object": "Previous, next object",
  "key.threshold": "Lower, raise the minimum score",
  "key.labels": "Names on or off",
  "key.masks": "Masks on or off",
  "key.drawing": "Whole drawing on or off",
  "key.zoom": "Zoom in, out",
  "key.fit": "Fit the picture",

  "problem.network": "The server does not answer.",
  "problem.network.next": "Check that Sightline is still running, then try again.",
  "problem.strange": "The server answered in a way this page does not understand ({status}).",
  "problem.strange.next": "Reload the page. If it happens again, report the id.",
  "problem.id": "Id for a report: {id}",
  "problem.key": "This server wants its key. Open the link that it printed when it started.",
};

const LOCALE = document.documentElement.lang || "en";
const RULES = new Intl.PluralRules(LOCALE);
const PERCENT = new Intl.NumberFormat(LOCALE, { style: "percent", maximumFractionDigits: 0 });
const NUMBER = new Intl.NumberFormat(LOCALE);
const LIST = new Intl.ListFormat(LOCALE, { type: "unit", style: "long" });
const AGO = new Intl.RelativeTimeFormat(LOCALE, { numeric: "auto" });
const FULL = new Intl.DateTimeFormat(LOCALE, { dateStyle: "full", timeStyle: "medium" });
const DAY = new Intl.DateTimeFormat(LOCALE, { weekday: "long", day: "numeric", month: "long", year: "numeric" });

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

/** "2 minutes ago". */
export function ago(date, now = Date.now()) {
  const seconds = (date.getTime() - now) / 1000;
  for (const [unit, size] of [["year", 31_557_600], ["month", 2_629_800], ["day", 86_400], ["hour", 3600], ["minute", 60]]) {
    if (Math.abs(seconds) >= size) return AGO.format(Math.trunc(seconds / size), unit);
  }
  return AGO.format(Math.trunc(Math.min(seconds, 0) / 10) * 10, "second");
}

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
