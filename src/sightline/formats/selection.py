"""Filter a result's JSON as a request's options would have: by score, label and count."""

from typing import Any

from sightline.types import Ask


def select(body: dict[str, Any], ask: Ask) -> dict[str, Any]:
    """The same result with only the predictions that ``ask`` wants; strongest first stays so."""
    wanted = [
        found
        for found in body["predictions"]
        if (ask.min_score is None or found["score"] >= ask.min_score)
        and (ask.labels is None or found["label"] in ask.labels or found.get("verdict") in ask.labels)
    ]
    return body | {"predictions": wanted if ask.max_results is None else wanted[: ask.max_results]}
