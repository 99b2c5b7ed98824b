/** What is shown: pure functions over one result. Nothing here asks the server. */

/** The result as the page uses it, from the API's JSON. */
export function toResult(json) {
  const predictions = (json.predictions ?? []).map((item, index) => ({
    index,
    label: item.label,
    /** What is drawn and listed: a pipeline's row says what it was judged to be. */
    name: item.verdict ? `${item.label} · ${item.verdict}` : item.label,
    verdict: item.verdict ?? null,
    then: item.then ?? [],
    labelId: item.label_id,
    score: item.score,
    box: item.box ? [item.box.x1, item.box.y1, item.box.x2, item.box.y2] : null,
    mask: item.mask ?? null,
    polygons: item.polygons ?? [],
  }));
  return {
    id: json.id,
    source: json.source || json.id,
    model: json.model ?? {},
    task: json.task,
    width: json.image.width,
    height: json.image.height,
    predictions,
    minScore: json.min_score ?? 0.35,
    decision: json.decision ?? null,
    verdict: json.verdict ? { name: json.verdict, title: json.verdict_title || json.verdict, first: json.scores?.first ?? null, second: json.scores?.second ?? null, byRule: (json.stages ?? []).some((stage) => stage.name === "rule:signs") } : null,
    engine: json.engine ?? "",
    seenAt: json.size ?? null,
    timing: json.timing_ms ?? {},
    expires: json.expires ? new Date(json.expires) : null,
    created: json.created ? new Date(json.created) : new Date(),
  };
}

/** The predictions on screen. `hidden` is a set of labels. Scores are compared as they are shown, in whole percent
 * or finer, so a 35 % row stays at a 35 % threshold. */
export function visible(predictions, { min, hidden }) {
  return predictions.filter((item) => item.score >= min - 1e-9 && !hidden.has(item.label));
}

/** Labels with their counts at this threshold, most frequent first, also those that are switched off. */
export function countLabels(predictions, min) {
  const counts = new Map();
  for (const item of predictions) {
    if (item.score < min - 1e-9) continue;
    const entry = counts.get(item.label) ?? { label: item.label, labelId: item.labelId, count: 0 };
    entry.count += 1;
    counts.set(item.label, entry);
  }
  return [...counts.values()].sort((a, b) => b.count - a.count);
}

/** The strongest prediction that the threshold hides, if any. */
export function bestBelow(predictions, { min, hidden }) {
  return predictions.find((item) => item.score < min - 1e-9 && !hidden.has(item.label)) ?? null;
}

/** Where a box lies, as two words a listener can use: ["bottom", "left"]; ["whole"] for most of the picture. */
export function whereIs([x1, y1, x2, y2], width, height) {
  if ((x2 - x1) * (y2 - y1) > 0.6 * width * height) return ["whole"];
  const third = (value, size, names) => names[Math.min(2, Math.max(0, Math.floor((3 * value) / size)))];
  return [
    third((y1 + y2) / 2, height, ["top", "middle", "bottom"]),
    third((x1 + x2) / 2, width, ["left", "center", "right"]),
  ];
}

/** The query that makes the server's downloads match the screen. */
export function filterQuery(result, { min, hidden }) {
  const query = new URLSearchParams();
  query.set("min_score", String(Math.floor(min * 10000 + 1e-6) / 10000));
  if (hidden.size) {
    const shown = new Set(result.predictions.map((item) => item.label).filter((label) => !hidden.has(label)));
    // The server reads no labels as all of them; nothing at all is a threshold that next to nothing reaches.
    if (shown.size) query.set("labels", [...shown].map(encodeURIComponent).join(","));
    else query.set("min_score", "1");
  }
  return query;
}
