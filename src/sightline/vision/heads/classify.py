"""Classifiers: one row of numbers -> classes, strongest first."""

import numpy as np
from pydantic import Field

from sightline.types import Classification, Decision, Fit, Float32
from sightline.vision import boxes
from sightline.vision.heads.reading import (
    Need,
    Options,
    Outputs,
    label_columns,
    passes,
    pick,
    sigmoid,
    softmax,
)


class ClassOptions(Options):
    """Options of the classifiers."""

    accept: float | None = Field(
        default=None, ge=0, le=1, description="The decision is 'accepted' when the best score reaches this."
    )
    reject: float = Field(
        default=0, ge=0, le=1, description="The decision is 'unknown' when the best score stays under this."
    )
    temperature: float = Field(default=1, gt=0, description="Logits are divided by it (calibration).")


def read_softmax(outputs: Outputs, _fit: Fit, need: Need, options: ClassOptions) -> Classification:
    """Probabilities that went through softmax inside the graph: (classes,)."""
    return _classes(_row(outputs, options), need, options)


def read_logits(outputs: Outputs, _fit: Fit, need: Need, options: ClassOptions) -> Classification:
    """Raw logits: (classes,); softmax is applied here, over the background too where there is one."""
    return _classes(softmax(_row(outputs, options) / np.float32(options.temperature)), need, options)


def read_sigmoid(outputs: Outputs, _fit: Fit, need: Need, options: ClassOptions) -> Classification:
    """Raw logits of independent labels: (classes,); several may be true at once."""
    return _classes(sigmoid(_row(outputs, options) / np.float32(options.temperature)), need, options)


def _row(outputs: Outputs, options: ClassOptions) -> Float32:
    return np.asarray(pick(outputs, options, "scores"), np.float32).reshape(-1)


def _classes(probability: Float32, need: Need, options: ClassOptions) -> Classification:
    score = label_columns(probability, need, options, "scores")
    best = float(score.max(initial=0))
    if np.isnan(best):
        score = np.where(np.isnan(score), np.float32(-1), score)
        best = float(score.max(initial=0))
    label = np.arange(len(score), dtype=np.int64) if need.wanted is None else need.wanted
    wanted = score if need.wanted is None else score[label]
    first = boxes.strongest(wanted, need.max_results)  # the rest concerns few numbers
    label, kept = label[first], wanted[first]
    rows = passes(kept, label, need)
    return Classification(
        label[rows], np.asarray(np.minimum(kept[rows], 1), np.float32), _decide(best, options)
    )


def _decide(best: float, options: ClassOptions) -> Decision | None:
    if options.accept is None:
        return None
    if best >= options.accept:
        return "accepted"
    return "unknown" if best < options.reject else "uncertain"
