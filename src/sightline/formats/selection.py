"""Narrow an answer as a request's options would have it: by score, label and count."""

from dataclasses import replace
from typing import Any

import numpy as np

from sightline.formats import native
from sightline.types import Ask, Bool, Classification, Detections, Prediction, Result, Segments, Staged


def select(body: dict[str, Any], ask: Ask) -> dict[str, Any]:
    """The same JSON with only the predictions that ``ask`` wants; strongest first stays so."""
    rows = body["predictions"]
    return body | {"predictions": [rows[place] for place in _places(rows, ask)]}


def narrowed(result: Result, ask: Ask) -> Result:
    """The same answer with only the rows that ``ask`` wants: those that `select` leaves in its JSON."""
    rows = native.plain(result)
    kept = np.zeros(len(rows), np.bool_)
    kept[_places(rows, ask)] = True
    return taken(result, kept)


def taken(result: Result, kept: Bool) -> Result:
    """The same answer with only the rows where ``kept``, (n,) bool in the order of the JSON, is true.

    Of a pipeline these are the rows of its first stage; what it says about the picture stays.
    """
    return replace(result, prediction=_taken(result.prediction, kept))


def _places(rows: list[dict[str, Any]], ask: Ask) -> list[int]:
    wanted = [
        place
        for place, row in enumerate(rows)
        if (ask.min_score is None or row["score"] >= ask.min_score)
        and (ask.labels is None or row["label"] in ask.labels or row.get("verdict") in ask.labels)
    ]
    return wanted[: ask.max_results]


def _taken(found: Prediction, kept: Bool) -> Prediction:
    places = np.flatnonzero(kept).tolist()
    match found:
        case Classification() | Detections():
            return found.take(kept)
        case Segments():
            return Segments(found.detections.take(kept), tuple(found.masks[place] for place in places))
        case Staged():
            then = tuple(found.then[place] for place in places)
            verdicts = tuple(found.verdicts[place] for place in places)
            return replace(found, first=found.first.take(kept), then=then, verdicts=verdicts)
