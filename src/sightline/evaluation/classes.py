"""Figures of classifiers: how often the first answer, or one of the first five, is right."""

from collections.abc import Sequence

import numpy as np

from sightline.evaluation.report import ClassRow, Figure
from sightline.types import Int64


def accuracy(truth: Int64, ranked: Sequence[Int64], *, rounds: int, seed: int) -> dict[str, Figure]:
    """Top-1 and top-5 with 95 % bootstrap intervals over pictures.

    ``truth`` (n,) class positions, ``ranked`` n arrays of class positions, strongest first.
    """
    figures = {}
    draw = np.random.default_rng(seed)
    drawn = draw.integers(0, len(truth), (rounds, len(truth))) if rounds else None
    for name, depth in (("top1", 1), ("top5", 5)):
        right = np.array([t in r[:depth] for t, r in zip(truth, ranked, strict=True)], np.float64)
        low, high = np.percentile(right[drawn].mean(1), [2.5, 97.5]) if drawn is not None else (None, None)
        figures[name] = Figure(
            float(right.mean()), None if low is None else float(low), None if high is None else float(high)
        )
    return figures


def confusion(truth: Int64, first: Int64, classes: int) -> Int64:
    """(classes, classes + 1): rows truth, columns the first answer; last: something else or nothing."""
    table = np.zeros((classes, classes + 1), np.int64)
    np.add.at(table, (truth, np.where((first < 0) | (first >= classes), classes, first)), 1)
    return table


def rows(names: Sequence[str], table: Int64) -> tuple[ClassRow, ...]:
    """Recall and precision of each class."""
    return tuple(
        ClassRow(
            name,
            int(table[i].sum()),
            {
                "recall": _share(table[i, i], table[i].sum()),
                "precision": _share(table[i, i], table[:, i].sum()),
            },
        )
        for i, name in enumerate(names)
    )


def _share(part: int, whole: int) -> float:
    return float(part / whole) if whole else 0.0
