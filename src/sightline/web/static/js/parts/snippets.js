/** The same question from a terminal and from Python, as text to copy. */

import { filterQuery } from "../filter.js";

const isLocal = () => ["localhost", "127.0.0.1", "[::1]"].includes(location.hostname);

function address(result, state) {
  const query = filterQuery(result, state);
  query.set("model", result.model.name);
  if (result.seenAt) query.set("size", result.seenAt);
  return `${location.origin}/api/v1/predict?${query}`;
}

/** A name that is safe between single quotes in a shell, and in a Python string. */
export const safeName = (source) => (/^https?:/.test(source) ? "picture.jpg" : source.replace(/[^\p{L}\p{N}._ -]/gu, "_") || "picture.jpg");

export function curlFor(result, state) {
  const key = isLocal() ? "" : ` \\\n  -H 'Authorization: Bearer YOUR_KEY'`;
  return `curl '${address(result, state)}'${key} \\\n  -F 'image=@${safeName(result.source)}'`;
}

export function pythonFor(result, state) {
  const key = isLocal() ? "" : `, "Authorization": "Bearer YOUR_KEY"`;
  return `import json
import urllib.request
from pathlib import Path

picture = Path(${JSON.stringify(safeName(result.source))}).read_bytes()
request = urllib.request.Request(
    ${JSON.stringify(address(result, state))},
    data=picture,
    headers={"Content-Type": "image/jpeg"${key}},
)
with urllib.request.urlopen(request) as answer:
    result = json.load(answer)
for found in result["predictions"]:
    print(found["label"], found["score"], found.get("box"))
`;
}
