"""Figures of pipelines: how often the verdict is right, how often it is "not sure", what stage one missed.

A picture that stage one found nothing in never reaches stage two, so its misses are told apart: no second
stage can mend them.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from sightline.errors import BadOption
from sightline.evaluation.report import ClassRow, Figure
from sightline.types import Int64, Staged

_Z = 1.959964
"""Of a 95 % interval."""


def share(part: int, whole: int) -> Figure:
    """A share with its 95 % interval; of nothing there is none."""
    return Figure(part / whole, *wilson(part, whole)) if whole else Figure(0.0)


def wilson(part: int, whole: int) -> tuple[float, float]:
    """The 95 % score interval of a share (E. B. Wilson, 1927), which holds for small counts too."""
    if not whole:
        return 0.0, 1.0
    value, grown = part / whole, _Z**2 / whole
    centre = (value + grown / 2) / (1 + grown)
    half = _Z * math.sqrt(value * (1 - value) / whole + grown / (4 * whole)) / (1 + grown)
    return max(0.0, centre - half), min(1.0, centre + half)


def columns(classes: Sequence[str], names: Sequence[str], called: Mapping[str, str]) -> tuple[str, ...]:
    """The verdict of each class of the data, then the other verdicts.

    ``called``: verdict -> what the data calls it, where that is another name.

    Raises:
        BadOption: A class is no verdict.
    """
    verdict_of = {called.get(name, name): name for name in names}
    strangers = [name for name in classes if name not in verdict_of]
    if strangers:
        raise BadOption(
            f"The data has the class {strangers[0]!r}, which is no verdict: {', '.join(verdict_of)}.",
            next_step="Name the folders as the verdicts, or map them in the pipeline's verdicts.folders.",
        )
    own = [verdict_of[name] for name in classes]
    return (*own, *(name for name in names if name not in own))


def confusion(truth: Int64, answers: Sequence[Staged], heads: tuple[str, ...], classes: int) -> Int64:
    """(classes, len(heads)): rows truth, columns verdicts."""
    table = np.zeros((classes, len(heads)), np.int64)
    for row, staged in zip(truth.tolist(), answers, strict=True):
        table[row, heads.index(staged.verdict)] += 1
    return table


def figures(
    truth: Int64, answers: Sequence[Staged], heads: tuple[str, ...], none: str, classes: Sequence[str]
) -> dict[str, Figure]:
    """Right among all and among the decided, how many are decided, what stage one missed, and each recall.

    ``heads`` as of `columns`; the last is the verdict "not sure". ``none`` is the one of empty pictures.
    """
    told = np.array([heads.index(staged.verdict) for staged in answers], np.int64)
    decided, right = told != len(heads) - 1, told == truth
    there = truth != heads.index(none)
    missed = np.array([staged.scores[1] is None for staged in answers]) & there
    return {
        "right": share(int(right.sum()), len(truth)),
        "decided": share(int(decided.sum()), len(truth)),
        "right_of_decided": share(int((right & decided).sum()), int(decided.sum())),
        "missed_by_stage_one": share(int(missed.sum()), int(there.sum())),
    } | {
        f"recall of {name}": share(int((right & (truth == place)).sum()), int((truth == place).sum()))
        for place, name in enumerate(classes)
    }


def rows(
    classes: Sequence[str], truth: Int64, answers: Sequence[Staged], table: Int64
) -> tuple[ClassRow, ...]:
    """Recall and precision of each class, how many of it are "not sure", and how many stage one let pass."""
    let_pass = np.array([staged.scores[1] is None for staged in answers])
    found = []
    for place, name in enumerate(classes):
        count = int(table[place].sum())
        here = {
            "recall": share(int(table[place, place]), count).value,
            "precision": share(int(table[place, place]), int(table[:, place].sum())).value,
            "not_sure": share(int(table[place, -1]), count).value,
            "nothing_in_stage_one": share(int((let_pass & (truth == place)).sum()), count).value,
        }
        found.append(ClassRow(name, count, here))
    return tuple(found)
