"""Boxes ``xyxy`` in continuous pixels: overlap and the choice of the strongest (numpy only)."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from sightline.types import Bool, Float32, Int64

Index: TypeAlias = NDArray[np.intp]

CANDIDATES = 1000
"""Most boxes that compete in one picture; the weakest beyond it are not looked at."""
_BLOCK = 128
"""Boxes compared at once: a block of overlaps then stays in the processor's cache (measured)."""


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
    boxes = np.ascontiguousarray(xyxy[order])
    group = np.zeros(len(order), np.int32) if label is None else label[order].astype(np.int32)
    kept = np.zeros(0, np.intp)
    for start in range(0, len(order), _BLOCK):
        block = np.arange(start, min(start + _BLOCK, len(order)))
        if len(kept):
            block = block[~_rivals(boxes, group, kept, block, limit).any(0)]
        kept = np.concatenate([kept, block[_survivors(_rivals(boxes, group, block, block, limit))]])
        if len(kept) >= most:
            break
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


def _rivals(boxes: Float32, group: NDArray[np.int32], a: Index, b: Index, limit: float) -> Bool:
    """(len(a), len(b)): same group, and intersection over union above the limit (without dividing)."""
    first, second = boxes[a], boxes[b]
    shared = _shared(first, second)
    # shared / (both - shared) > limit  <=>  shared > both * limit / (1 + limit)
    part = limit / (1 + limit)
    both = np.add.outer(area(first) * np.float32(part), area(second) * np.float32(part))
    return np.asarray((shared > both) & (group[a][:, None] == group[b]), np.bool_)


def _survivors(rival: Bool) -> Index:
    """Strongest first, each drops its rivals: the rows that are left."""
    alive = np.ones(len(rival), np.bool_)
    for row in np.flatnonzero(np.triu(rival, 1).any(1)):
        if alive[row]:
            alive[row + 1 :] &= ~rival[row, row + 1 :]
    return np.flatnonzero(alive)
