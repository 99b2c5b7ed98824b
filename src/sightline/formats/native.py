"""Sightline's own JSON: one shape on the command line, over HTTP and in files.

``docs/reference/result.schema.json`` is its JSON Schema. Coordinates are pixels of the upright
original; scores have four decimals, coordinates and milliseconds two.
"""

from collections.abc import Iterable
from dataclasses import fields
from typing import Any

import numpy as np

from sightline.errors import BadOption
from sightline.types import (
    Classification,
    Decision,
    Detections,
    Mask,
    ModelRef,
    Prediction,
    Result,
    Segments,
    Staged,
    Timing,
)
from sightline.vision import masks, polygons

_MODEL = tuple(item.name for item in fields(ModelRef))
_TIMING = tuple(item.name for item in fields(Timing))


def to_json(result: Result) -> dict[str, Any]:
    """The result as plain numbers, strings, lists and dicts; strongest prediction first."""
    body: dict[str, Any] = {
        "id": result.id,
        "source": result.source,
        "model": {name: getattr(result.model, name) for name in _MODEL},
        "task": result.task,
        "image": {"width": result.width, "height": result.height},
        "predictions": predictions(result),
        "timing_ms": {name: round(getattr(result.timing, name), 2) for name in _TIMING},
        "engine": result.engine,
    }
    if result.size is not None:
        body["size"] = result.size
    match result.prediction:
        case Classification(decision=str(decision)):
            body["decision"] = decision
        case Staged() as staged:
            body |= _verdict(staged)
    return body


def _verdict(staged: Staged) -> dict[str, Any]:
    """What a pipeline says about the picture as a whole."""
    first, second = (None if score is None else round(score, 4) for score in staged.scores)
    stages = [{name: getattr(stage, name) for name in _MODEL} for stage in staged.stages]
    return {
        "verdict": staged.verdict,
        "verdict_title": staged.title or staged.verdict,
        "scores": {"first": first, "second": second},
        "stages": stages,
        "stage_labels": list(staged.labels),
    }


def predictions(result: Result) -> list[dict[str, Any]]:
    """The list of predictions alone."""
    rows = plain(result)
    if not isinstance(result.prediction, Segments):
        return rows
    outlines = [_masked(mask, result.width, result.height) for mask in result.prediction.masks]
    return [row | outline for row, outline in zip(rows, outlines, strict=True)]


def plain(result: Result) -> list[dict[str, Any]]:
    """The predictions without masks."""
    match result.prediction:
        case Classification() as classes:
            return _scored(result, classes.label.tolist(), classes.score.tolist())
        case Detections() as found:
            return _boxed(result, found)
        case Segments() as segments:
            return _boxed(result, segments.detections)
        case Staged() as staged:
            return _staged(result, staged)


def _staged(result: Result, staged: Staged) -> list[dict[str, Any]]:
    """Rows of the first stage; where the second was asked, its answer and the row's verdict."""
    first = staged.first
    if isinstance(first, Detections):
        rows = _boxed(result, first)
    else:
        rows = _scored(result, first.label.tolist(), first.score.tolist())
    for row, then, verdict in zip(rows, staged.then, staged.verdicts, strict=True):
        if verdict and then is not None:
            row["verdict"] = verdict
            row["then"] = _named(staged.labels, then)
    return rows


def _named(labels: tuple[str, ...], said: Classification) -> list[dict[str, Any]]:
    return [
        {"label": labels[label], "label_id": label, "score": round(score, 4)}
        for label, score in zip(said.label.tolist(), said.score.tolist(), strict=True)
    ]


def _scored(result: Result, labels: Iterable[int], scores: Iterable[float]) -> list[dict[str, Any]]:
    return [
        {"label": result.labels[label], "label_id": label, "score": round(score, 4)}
        for label, score in zip(labels, scores, strict=True)
    ]


def _boxed(result: Result, found: Detections) -> list[dict[str, Any]]:
    rows = _scored(result, found.label.tolist(), found.score.tolist())
    for row, (x1, y1, x2, y2) in zip(rows, found.xyxy.tolist(), strict=True):
        row["box"] = {"x1": round(x1, 2), "y1": round(y1, 2), "x2": round(x2, 2), "y2": round(y2, 2)}
    return rows


def _masked(mask: Mask, width: int, height: int) -> dict[str, Any]:
    lines = [[round(value, 2) for value in line] for line in polygons.from_mask(mask)]
    return {"mask": {"format": "coco_rle"} | masks.to_rle(mask, width, height), "polygons": lines}


def from_json(body: dict[str, Any], labels: tuple[str, ...] = ()) -> Result:
    """The inverse: a Result equal to the one that was written, up to rounding.

    ``labels``: all labels of the model; without them, those that occur are put at their ids and the
    others are named ``class 7``. Raises BadOption when a field is missing or of the wrong kind.
    """
    try:
        rows = body["predictions"]
        return Result(
            id=str(body["id"]),
            source=str(body["source"]),
            model=ModelRef(**body["model"]),
            task=body["task"],
            width=int(body["image"]["width"]),
            height=int(body["image"]["height"]),
            labels=labels or _labels_of(rows),
            prediction=_prediction(body, rows),
            timing=Timing(**body.get("timing_ms", {})),
            engine=str(body.get("engine", "")),
            size=None if body.get("size") is None else int(body["size"]),
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        msg = f"This is not a Sightline result: {type(error).__name__} at {error}."
        raise BadOption(msg, next_step="docs/reference/result.schema.json describes the shape.") from error


def _prediction(body: dict[str, Any], rows: list[dict[str, Any]]) -> Prediction:
    match body["task"]:
        case "classify":
            return _classes(rows, body.get("decision"))
        case "detect":
            return _boxes(rows)
        case "segment":
            return Segments(_boxes(rows), tuple(masks.from_rle(row["mask"]) for row in rows))
        case "pipeline":
            return _from_stages(body, rows)
    msg = f"task must be classify, detect, segment or pipeline, got {body['task']!r}"
    raise ValueError(msg)


def _classes(rows: list[dict[str, Any]], decision: Decision | None = None) -> Classification:
    label = np.array([row["label_id"] for row in rows], np.int64)
    return Classification(label, np.array([row["score"] for row in rows], np.float32), decision)


def _boxes(rows: list[dict[str, Any]]) -> Detections:
    sides = [[row["box"][side] for side in ("x1", "y1", "x2", "y2")] for row in rows]
    named = _classes(rows)
    return Detections(np.array(sides, np.float32).reshape(-1, 4), named.score, named.label)


def _from_stages(body: dict[str, Any], rows: list[dict[str, Any]]) -> Staged:
    boxed = all("box" in row for row in rows)
    return Staged(
        first=_boxes(rows) if boxed else _classes(rows),
        then=tuple(_classes(row["then"]) if "then" in row else None for row in rows),
        verdicts=tuple(str(row.get("verdict", "")) for row in rows),
        labels=tuple(map(str, body["stage_labels"])),
        verdict=str(body["verdict"]),
        title=str(body["verdict_title"]),
        scores=(body["scores"]["first"], body["scores"]["second"]),
        stages=tuple(ModelRef(**stage) for stage in body["stages"]),
    )


def _labels_of(rows: list[dict[str, Any]]) -> tuple[str, ...]:
    named = {int(row["label_id"]): str(row["label"]) for row in rows}
    if named and (min(named) < 0 or max(named) >= 100_000):
        msg = "label_id must lie between 0 and 99999"
        raise ValueError(msg)
    return tuple(named.get(number, f"class {number}") for number in range(max(named, default=-1) + 1))
