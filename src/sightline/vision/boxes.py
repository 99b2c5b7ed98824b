"""Boxes ``xyxy`` in continuous pixels: overlap and the choice of the strongest (numpy only)."""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from sightline.types import Bool, Float32, Int64

Index: TypeAlias = npt.NDArray[np.intp]

CANDIDATES = 1000
"""Most boxes that compete in one picture; the weakest beyond it are not looked at."""
_DENSE = 64
"""Up to here one matrix of overlaps is faster than one row of it per kept box (measured)."""


def area(xyxy: Float32) -> Float32:
    """(n, 4) -> (n,) square pixels; an inside-out box has none."""
    side = np.maximum(xyxy[:, 2:] - xyxy[:, :2], 0)
    return np.asarray(side[:, 0] * side[:, 1], np.float32)


def from_centre(cxcywh: Float32) -> Float32:
    """(n, 4) centre x, centre y, width, height -> xyxy."""
    half = cxcywh[:, 2:] / 2
    return np.concatenate([cxcywh[:, :2] - half, cxcywh[:, :2] + half], 1, dtype=np.float32)


def iou(a: Float32, b: Float32) -> Float32:
    """(n, 4), (m, 4) -> (n, m): intersection over union in 0..1; two empty boxes share nothing."""
    shared = _shared(a, b)
    union = area(a)[:, None] + area(b)[None, :] - shared
    ratio = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return np.asarray(ratio, np.float32)


def nms(xyxy: Float32, score: Float32, label: Int64 | None, limit: float, most: int = CANDIDATES) -> Index:
    """Greedy non-maximum suppression: rows to keep, strongest first, at most ``most``.

    A box falls when a stronger one of its label (of any label when ``label`` is None) overlaps it by
    more than ``limit``. Equal scores keep their order. Only the ``CANDIDATES`` strongest take part.
    """
    order = strongest(score, CANDIDATES)
    boxes = xyxy[order]
    group = np.zeros(len(order), np.int64) if label is None else label[order]
    kept = _dense(boxes, group, limit) if len(order) <= _DENSE else _sparse(boxes, group, limit, most)
    return order[kept[:most]]


def strongest(score: Float32, most: int) -> Index:
    """Indices of the ``most`` highest scores, in falling order; equal ones keep their order."""
    if len(score) > 4 * most:  # a partial choice first: sorting thousands costs more than it says
        floor = np.partition(score, len(score) - most)[len(score) - most]
        pool = np.flatnonzero(score >= floor)
        return pool[np.argsort(-score[pool], kind="stable")[:most]]
    return np.argsort(-score, kind="stable")[:most]


def is_real(xyxy: Float32) -> Bool:
    """(n, 4) -> (n,): finite and with an area."""
    with np.errstate(invalid="ignore"):
        good = (xyxy[:, 2] > xyxy[:, 0]) & (xyxy[:, 3] > xyxy[:, 1])
    return np.asarray(good & np.isfinite(xyxy).all(1), np.bool_)


def _shared(a: Float32, b: Float32) -> Float32:
    width = np.minimum(a[:, None, 2], b[None, :, 2]) - np.maximum(a[:, None, 0], b[None, :, 0])
    height = np.minimum(a[:, None, 3], b[None, :, 3]) - np.maximum(a[:, None, 1], b[None, :, 1])
    np.maximum(width, 0, out=width)
    np.maximum(height, 0, out=height)
    return np.asarray(np.multiply(width, height, out=width), np.float32)


def _dense(boxes: Float32, group: Int64, limit: float) -> Index:
    """One (n, n) matrix, then one row operation per kept box."""
    rival = (iou(boxes, boxes) > limit) & (group[:, None] == group[None, :])
    alive = np.ones(len(boxes), np.bool_)
    kept = []
    for row in range(len(boxes)):
        if alive[row]:
            kept.append(row)
            alive &= ~rival[row]
    return np.array(kept, np.intp)


def _sparse(boxes: Float32, group: Int64, limit: float, most: int) -> Index:
    """Take the strongest that is left, drop its rivals, repeat: only the survivors are compared again."""
    left = np.arange(len(boxes), dtype=np.intp)
    kept: list[int] = []
    while len(left) and len(kept) < most:
        first = int(left[0])
        kept.append(first)
        left = left[1:]
        rival = (iou(boxes[first : first + 1], boxes[left])[0] > limit) & (group[left] == group[first])
        left = left[~rival]
    return np.array(kept, np.intp)
