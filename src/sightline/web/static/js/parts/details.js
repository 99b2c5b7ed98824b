/** How a result was made: model, engine, and where the time went, as one bar. */

import { h } from "../dom.js";
import { ago, fullTime, milliseconds, t } from "../strings.js";

const PARTS = ["decode", "queue", "preprocess", "infer", "postprocess"];

export function details(result) {
  const total = result.timing.total ?? 0;
  const rows = [
    [t("result.model"), h("a", { href: `/models#${result.model.name}` }, [result.model.name, result.model.version].filter(Boolean).join(" · "))],
    result.engine && [t("result.engine"), result.engine],
    [t("result.size"), t("result.size.value", { width: result.width, height: result.height })],
    result.seenAt && [t("result.at"), t("result.size.value", { width: result.seenAt, height: result.seenAt })],
    [t("result.seen"), h("time", { datetime: result.created.toISOString(), title: fullTime(result.created) }, ago(result.created))],
    result.expires && [t("result.expires"), h("time", { datetime: result.expires.toISOString() }, fullTime(result.expires))],
    total > 0 && [t("result.time"), [milliseconds(total), timeBar(result.timing)]],
    result.model.digest && [t("result.digest"), h("span", { class: "code", title: result.model.digest }, result.model.digest.replace("sha256:", "").slice(0, 12))],
    [t("result.id"), h("span", { class: "code" }, result.id)],
  ].filter(Boolean);
  return h(
    "details",
    { class: "details" },
    h("summary", {}, t("result.details")),
    h("dl", { class: "facts" }, rows.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", { class: "numbers" }, value)))),
  );
}

function timeBar(timing) {
  const parts = PARTS.filter((name) => timing[name] > 0);
  const sum = parts.reduce((all, name) => all + timing[name], 0) || 1;
  const bar = h("span", { class: "time-bar", "aria-hidden": "true" }, parts.map((name) => {
    const piece = h("span", { class: `time-${name}` });
    piece.style.width = `${(100 * timing[name]) / sum}%`;
    return piece;
  }));
  const words = parts.map((name) => `${t(`time.${name}`)} ${milliseconds(timing[name])}`).join(", ");
  return [bar, h("span", { class: "small soft time-words" }, words)];
}
