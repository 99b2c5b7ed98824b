"""What all heads share: what is wanted of an answer, finding an output by its role, finishing boxes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from sightline.errors import ModelFailed
from sightline.types import Detections, Fit, Float32, Int64, Seen, Task
from sightline.vision import boxes
from sightline.vision.boxes import Index

Outputs: TypeAlias = Mapping[str, npt.NDArray[Any]]


class Options(BaseModel):
    """Options of every head. ``outputs`` names the graph's outputs by role; without it names are guessed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    outputs: dict[str, str] = Field(default_factory=dict, description="Role -> name of the graph output.")
    first_label: int = Field(
        default=0,
        ge=0,
        description="Class number that the model gives the first label: 1 where class 0 is a background "
        "that the list of labels does not hold.",
    )
    raw_ids: tuple[int, ...] = Field(
        default=(),
        description="The model's class number of each label, where the numbers have gaps; "
        "it replaces first_label.",
    )


class BoxOptions(Options):
    """Options of every head that chooses among overlapping boxes."""

    class_agnostic: bool = Field(
        default=False, description="Boxes of different labels suppress each other too."
    )


@dataclass(frozen=True, slots=True, eq=False)
class Need:
    """What is wanted of one answer: the manifest's defaults with the caller's wishes over them."""

    labels: int
    """How many labels the model has."""
    min_score: float
    max_results: int
    iou: float
    wanted: Int64 | None = None
    """Only these label ids."""
    masks: bool = True
    """False: the caller wants boxes only, so no mask need be computed."""

    @property
    def least(self) -> float:
        """The lowest score that is *shown* as ``min_score``: answers have four decimals.

        Otherwise 0.34996, shown as 0.35, would be in a stored answer that is filtered by what it shows and
        not in a fresh one.
        """
        return self.min_score - 0.5e-4


@dataclass(frozen=True, slots=True)
class Reader:
    """One head: its function, its options and the richest task it can answer."""

    read: Callable[[Outputs, Fit, Need, Any], Seen]
    options: type[Options]
    task: Task


def pick(outputs: Outputs, options: Options, role: str, position: int = 0) -> npt.NDArray[Any]:
    """The output that plays ``role``: as the options name it, else of that name, else by position."""
    name = options.outputs.get(role, role)
    if name in outputs:
        return outputs[name]
    if role in options.outputs or position >= len(outputs):
        has = ", ".join(outputs) or "none"
        msg = f"The head needs an output '{name}' ({role}), but the model's outputs are: {has}."
        raise ModelFailed(msg, next_step="Name the outputs in head.options.outputs of model.json.")
    return list(outputs.values())[position]


def expect(array: npt.NDArray[Any], shape: tuple[int | None, ...], role: str) -> npt.NDArray[Any]:
    """Drop a leading batch axis of 1 and check the rest; ``None`` in ``shape`` is any length."""
    if array.ndim == len(shape) + 1 and array.shape[0] == 1:
        array = array[0]
    fits = array.ndim == len(shape)
    if not fits or any(w is not None and w != g for w, g in zip(shape, array.shape, strict=True)):
        wanted = " x ".join("any" if side is None else str(side) for side in shape)
        got = " x ".join(map(str, array.shape))
        msg = f"The output '{role}' must be {wanted} for this head and list of labels, got {got}."
        raise ModelFailed(msg, next_step="Check head, labels and first_label in model.json.")
    return array


def label_columns(scores: Float32, need: Need, options: Options, role: str) -> Float32:
    """(n, raw classes) -> (n, labels): columns in the order of the labels, backgrounds dropped."""
    classes = scores.shape[-1]
    if options.raw_ids:
        ids = np.array(options.raw_ids, np.intp)
        if len(ids) == need.labels and ids.max() < classes:
            return np.asarray(scores[..., ids], np.float32)
    elif classes == need.labels + options.first_label:
        return scores[..., options.first_label :]
    msg = (
        f"The output '{role}' has {classes} classes, but the manifest has {need.labels} labels "
        f"and starts at class {options.first_label}."
    )
    raise ModelFailed(msg, next_step="Give as many labels as classes, or set first_label or raw_ids.")


def label_ids(raw: npt.NDArray[Any], need: Need, options: Options) -> Int64:
    """(n,) class numbers of the model -> label ids; -1 for those without a label."""
    number = np.asarray(raw, np.int64)
    if not options.raw_ids:
        label = number - options.first_label
        return np.where((label >= 0) & (label < need.labels), label, -1)
    table = np.full(max(options.raw_ids) + 1, -1, np.int64)
    table[np.array(options.raw_ids, np.intp)] = np.arange(len(options.raw_ids))
    inside = (number >= 0) & (number < len(table))
    return np.asarray(np.where(inside, table[np.where(inside, number, 0)], -1), np.int64)


def sigmoid(x: Float32) -> Float32:
    """Logistic function without overflow."""
    return np.asarray(0.5 * (np.tanh(0.5 * np.asarray(x, np.float32)) + 1), np.float32)


def softmax(x: Float32) -> Float32:
    """Over the last axis, without overflow."""
    shifted = np.exp(np.asarray(x, np.float32) - x.max(-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(-1, keepdims=True), np.float32)


def exp_size(x: Float32) -> Float32:
    """``exp`` for sizes; held at exp(20) so that a wild number gives a large box, not an overflow."""
    return np.asarray(np.exp(np.minimum(x, 20)), np.float32)


def passes(score: Float32, label: Int64, need: Need) -> Index:
    """Rows that are strong enough and wanted (NaN never is)."""
    good = (score >= need.least) & (score > 0) & (label >= 0)
    if need.wanted is not None:
        good &= np.isin(label, need.wanted)
    return np.flatnonzero(good)


def finish(
    xyxy: Float32, score: Float32, label: Int64, fit: Fit, need: Need, *, agnostic: bool = False
) -> tuple[Detections, Index]:
    """Canvas boxes -> detections of the original, overlapping ones suppressed; and the rows they came from.

    Boxes are clipped to the picture before they compete, so what is kept obeys the limit as the
    caller sees it.
    """
    rows = boxes.strongest(score, boxes.CANDIDATES)
    found, rows = place(xyxy[rows], score[rows], label[rows], fit, rows)
    kept = boxes.nms(found.xyxy, found.score, None if agnostic else found.label, need.iou, need.max_results)
    return found.take(kept), rows[kept]


def place(xyxy: Float32, score: Float32, label: Int64, fit: Fit, rows: Index) -> tuple[Detections, Index]:
    """Canvas boxes -> boxes of the original, in the same order.

    Those without an area are left out, and those with a side at infinity: clipping would make it the
    picture's edge, and a mask over an endless box has no place.
    """
    xyxy = np.asarray(xyxy, np.float32)
    original = fit.to_original(xyxy)
    real = boxes.is_real(original) & np.isfinite(xyxy).all(1)
    score = np.minimum(score, 1)
    if real.all():
        return Detections(original, np.asarray(score, np.float32), label), rows
    return Detections(original[real], np.asarray(score[real], np.float32), label[real]), rows[real]
