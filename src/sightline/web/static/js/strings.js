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
  "place.camera": "Camera",
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

  "camera.title": "Camera",
  "camera.start": "Start the camera",
  "camera.stop": "Stop",
  "camera.take": "Take one now",
  "camera.flip": "Use the other camera",
  "camera.idle": "Your camera, every few seconds or live.",
  "camera.idle.text": "It starts when you say so, and your browser asks first.",
  "camera.asking": "Your browser asks whether this page may use the camera. Choose Allow.",
  "camera.sent": "Captures are sent to {host} and nowhere else.",
  "camera.sent.plain": "Captures are sent to {host} over this network without encryption, and nowhere else.",
  "camera.sent.here": "Captures are sent to the Sightline on this machine and nowhere else.",
  "camera.sent.keep": "Every one is stored there.",
  "camera.sent.drop": "They are looked at and forgotten; only what you keep is stored.",
  "camera.mode": "How often",
  "camera.mode.every": "Every",
  "camera.mode.live": "Live",
  "camera.seconds": "Seconds between captures",
  "camera.seconds.unit": "s",
  "camera.seconds.bad": "Between 0.5 and 3600 seconds.",
  "camera.device": "Camera",
  "camera.device.number": "Camera {n}",
  "camera.device.any": "The browser’s choice",
  "camera.device.front": "Front",
  "camera.device.back": "Back",
  "camera.min": "Minimum score",
  "camera.keep": "Keep every capture",
  "camera.keep.note": "In the history, until its time is over.",
  "camera.keep.live": "Live keeps only what you take.",
  "camera.skip": "Skip pictures in which nothing changed",
  "camera.skip.note": "They are compared here and not sent.",
  "camera.awake": "Keep the screen awake",
  "camera.awake.no": "This browser cannot do that.",
  "camera.paused": "Paused while this page is hidden.",
  "camera.next": "Next capture in {s} s",
  "camera.looking": "Looking…",
  "camera.skipped": { one: "Nothing changed: {n} picture was not sent", other: "Nothing changed: {n} pictures were not sent" },
  "camera.rate": "{fps} pictures a second, {delay} ms behind",
  "camera.rate.wait": "Measuring…",
  "camera.lost": "The connection was lost; trying again…",
  "camera.blocked": "A WebSocket could not be opened.",
  "camera.blocked.next": "Something between this browser and the server, often a proxy, does not pass WebSockets on. “Every” works without them.",
  "camera.seen.stage": "Camera with {found}",
  "camera.back": "Back to the camera",

  "captures.title": "Captures",
  "captures.none": "What you or the clock take appears here.",
  "captures.clear": "Clear",
  "captures.count": { one: "{n} capture", other: "{n} captures" },
  "captures.limit": "The newest {n} stay on this page.",
  "captures.show": "Show the capture of {time}: {found}",
  "captures.keep": "Keep the capture of {time}",
  "captures.kept": "Kept: open the result of {time}",
  "captures.keep.said": "Kept in the history",
  "captures.download": "Download the capture of {time} with its drawing",
  "captures.delete": "Delete the capture of {time}",
  "captures.by.rule": "Your rule came true",

  "rule.title": "Tell me when…",
  "rule.on": "Tell me when something is seen",
  "rule.label": "What",
  "rule.label.any": "anything",
  "rule.label.hint": "A label, such as person",
  "rule.score": "Scoring at least",
  "rule.hits": "In captures",
  "rule.of": "Of the last",
  "rule.quiet": "Then quiet for",
  "rule.quiet.unit": "min",
  "rule.sound": "Play a sound",
  "rule.notify": "Show a notification",
  "rule.notify.no": "This browser shows no notifications here.",
  "rule.notify.denied": "Notifications are blocked for this page in the browser’s settings.",
  "rule.unknown": "{model} has no label “{label}”, so this never comes true.",
  "rule.words": "When {label} scores {score} or more in {hits} of the last {of} captures. Then quiet for {quiet} min.",
  "rule.now": "{count} of the last {of}",
  "rule.quiet.until": "Quiet until {time}",
  "rule.fired": "{label} was seen ({score})",

  "doctor.again": "Try again",
  "doctor.insecure": "Browsers give no camera to an address that is not encrypted.",
  "doctor.insecure.why": "This page came from {origin}. A camera is handed out over https, or on the server’s own machine at localhost.",
  "doctor.insecure.1": "Start the server with sightline serve --host 0.0.0.0 --tls, and open the https link that it prints. On a phone, scan its QR code.",
  "doctor.insecure.2": "If the camera is on the server’s own machine, open {local} there.",
  "doctor.denied": "This page may not use the camera.",
  "doctor.denied.why": "The browser was told no, now or earlier, and remembers it.",
  "doctor.denied.1": "Click the sign beside the address, set Camera to Allow, then try again.",
  "doctor.denied.2": "On a phone, also allow the camera for the browser in the phone’s settings.",
  "doctor.dismissed": "The browser asked, and got no answer.",
  "doctor.dismissed.why": "The question was closed, so the camera stayed off.",
  "doctor.dismissed.1": "Try again and choose Allow.",
  "doctor.system": "The operating system keeps the camera from this browser.",
  "doctor.system.why": "The page may use it, but the browser itself may not.",
  "doctor.system.1": "Allow the camera for this browser in the system’s privacy settings, then start the browser again.",
  "doctor.none": "No camera was found.",
  "doctor.none.why": "The browser sees no camera on this device.",
  "doctor.none.1": "Plug one in, or switch it on: some laptops have a key or a slide for it.",
  "doctor.none.2": "Pictures of other cameras can be looked at too: save one and choose it under Look.",
  "doctor.busy": "The camera is there but does not start.",
  "doctor.busy.why": "Another program or another tab is most likely using it.",
  "doctor.busy.1": "Close video calls and other pages that use the camera, then try again.",
  "doctor.busy.2": "If that does not help, unplug the camera and plug it in again.",
  "doctor.policy": "The camera is blocked for this page.",
  "doctor.policy.why": "A rule forbids it: the page is shown inside another one, a proxy sends its own Permissions-Policy, or whoever manages this device does not allow it.",
  "doctor.policy.1": "Open the page in a tab of its own.",
  "doctor.policy.2": "If a proxy stands before Sightline, let it pass the header Permissions-Policy on unchanged.",
  "doctor.unsupported": "This browser has no way to a camera.",
  "doctor.unsupported.why": "It lacks getUserMedia, which every current browser has.",
  "doctor.unsupported.1": "Open this page in a current Chrome, Edge, Firefox or Safari, not inside another app.",
  "doctor.lost": "The camera stopped.",
  "doctor.lost.why": "It was unplugged, or another program or the system took it.",
  "doctor.lost.1": "Plug it in again or close the other program, then try again.",
  "doctor.other": "The camera did not start ({name}).",
  "doctor.other.why": "The browser gave no reason that this page knows: {message}",
  "doctor.other.1": "Try again, or start the browser again.",

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
  "key.camera": "Camera",
  "key.camera.start": "Start or stop the camera",
  "key.camera.take": "Take a capture now",
  "keys.camera": "At the camera",
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
const CLOCK = new Intl.DateTimeFormat(LOCALE, { timeStyle: "medium" });
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
