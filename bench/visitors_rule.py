"""How the numbers of the rule in ``visitors`` were chosen: ``python -m bench.visitors_rule FOLDER``.

FOLDER is the train part of the set `visitors` (folders none, person and rider), with ``files.csv`` above it.
Printed are the areas under the curve of the first stage and of single signs, and the weights of the logistic
regression, which are never negative. Nothing is written.
"""

import argparse
import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sightline.manifest.pipeline import Sign
from sightline.serving.road import Road
from sightline.settings import load_settings
from sightline.types import Ask, Detections, Segments
from sightline.vision import signs

LEAST = 0.4
"""A person from this score on goes on to the rule."""
LOW, UPPER = (-0.8, 0.25, 1.8, 1.6), (-0.4, -0.15, 1.4, 0.75)
BAGS = ("backpack", "handbag", "suitcase")
SINGLE = (*BAGS, "bicycle", "motorcycle", "car", "cell phone", "tie")
BAG_SETTINGS = ((0.05, 0.0), (0.2, 0.05), (0.1, 0.1), (0.1, 0.2))
"""Least score and least area of a bag that were tried."""
FOLDS, PENALTY, STEPS = 5, 4 / 30_000, 1500


@dataclass(frozen=True)
class Look:
    """What the detector saw in one picture, its class, and its group of near-duplicates."""

    kind: str
    group: int
    found: Detections


def look(folder: Path, size: int) -> tuple[list[Look], tuple[str, ...]]:
    """Every picture through the served road."""
    groups = {
        Path(row["file"]).name: int(row["near_duplicate_group"])
        for row in csv.DictReader((folder.parent / "files.csv").open())
    }
    looks = []
    with Road.open(load_settings({"engine": "onnxruntime"})) as road:
        labels = road.load("everyday").labels
        ask = Ask(min_score=0.03, max_results=300, size=size)
        for kind in ("none", "person", "rider"):
            for file in sorted((folder / kind).iterdir()):
                seen = road.predict(file.read_bytes(), model="everyday", ask=ask, deadline_s=300).prediction
                assert isinstance(seen, Segments)
                looks.append(Look(kind, groups[file.name], seen.detections))
    return looks, labels


def area(positive: Sequence[float], negative: Sequence[float]) -> float:
    """Area under the ROC curve; ties count half."""
    one, other = np.asarray(positive)[:, None], np.asarray(negative)[None]
    return float((one > other).mean() + 0.5 * (one == other).mean())


def split_area(values: Sequence[float], truth: np.ndarray) -> float:
    """The same, of riders against the others."""
    scores = np.asarray(values)
    return area(scores[truth == 1].tolist(), scores[truth == 0].tolist())


def features(item: Look, labels: tuple[str, ...], wanted: Sequence[Sign]) -> np.ndarray:
    """(people, signs) strengths."""
    person = labels.index("person")
    rows = [int(row) for row in np.flatnonzero((item.found.label == person) & (item.found.score >= LEAST))]
    columns = [signs.strengths(item.found, rows, labels, sign) for sign in wanted]
    return np.stack(columns, axis=1) if rows else np.zeros((0, len(wanted)))


def fit(tables: list[np.ndarray], truth: np.ndarray) -> np.ndarray:
    """Bias and weights by Adam with weights of at least 0; each picture counts with its strongest person."""
    weights = np.array([0.0, *[5.0] * tables[0].shape[1]])
    for _ in range(6):
        rows = np.array([table[np.argmax(table @ weights[1:])] for table in tables])
        mean, square = np.zeros_like(weights), np.zeros_like(weights)
        for step in range(1, STEPS):
            error = 1 / (1 + np.exp(-(weights[0] + rows @ weights[1:]))) - truth
            slope = np.r_[error.mean(), (error[:, None] * rows).mean(0) + PENALTY * weights[1:]]
            mean, square = 0.9 * mean + 0.1 * slope, 0.999 * square + 0.001 * slope**2
            pace = np.sqrt(square / (1 - 0.999**step)) + 1e-9
            weights = weights - 0.05 * mean / (1 - 0.9**step) / pace
            weights[1:] = np.maximum(weights[1:], 0)
    return weights


def likely(table: np.ndarray, weights: np.ndarray) -> float:
    """The rule's score of a picture: of its strongest person."""
    return float(1 / (1 + np.exp(-(weights[0] + (table @ weights[1:]).max()))))


def main() -> None:
    """Print what the study says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", type=int, default=416)
    given = parser.parse_args()
    looks, labels = look(given.folder, given.size)
    person = labels.index("person")
    best = [max(item.found.score[item.found.label == person].tolist(), default=0.0) for item in looks]
    there = [item.kind != "none" for item in looks]
    pairs = list(zip(best, there, strict=True))
    curve = area(
        [score for score, is_there in pairs if is_there], [s for s, is_there in pairs if not is_there]
    )
    print(f"Somebody or nobody, size {given.size}: area {curve:.3f}")
    people = [item for item, score in zip(looks, best, strict=True) if item.kind != "none" and score >= LEAST]
    truth = np.array([item.kind == "rider" for item in people], np.float64)
    for name in SINGLE:
        for zone_name, zone in (("low", LOW), ("upper", UPPER)):
            sign = Sign(labels=(name,), zone=zone, weight=1)
            values = [float(features(item, labels, [sign]).max()) for item in people]
            print(f"  {name} {zone_name}: area {split_area(values, truth):.2f}")
    for least_score, least_area in BAG_SETTINGS:
        wanted = [
            Sign(labels=("motorcycle",), zone=LOW, weight=1),
            Sign(labels=("bicycle",), zone=LOW, weight=1),
            Sign(labels=BAGS, zone=UPPER, weight=1, min_score=least_score, least=least_area),
        ]
        tables = [features(item, labels, wanted) for item in people]
        weights = fit(tables, truth)
        held = np.zeros(len(people))
        folds = np.array([item.group * 7919 % FOLDS for item in people])
        for fold in range(FOLDS):
            inside = np.flatnonzero(folds != fold)
            part = fit([tables[i] for i in inside], truth[inside])
            for i in np.flatnonzero(folds == fold):
                held[i] = likely(tables[i], part)
        told = f"bias, motorcycle, bicycle, bags {weights.round(2)}"
        told += f"; folds {split_area(held.tolist(), truth):.2f}"
        print(f"Bags from {least_score} and {least_area}: {told}")


if __name__ == "__main__":
    main()
