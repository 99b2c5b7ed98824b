"""Masks from prototypes, as in YOLACT (arXiv:1904.02689): each object weighs a bank of maps of the canvas.

Several cells see the same object and each has an opinion of how to weigh the bank. Their mean, weighted by
score, draws a better outline than the strongest cell alone (as box voting does for boxes: Gidaris and
Komodakis, arXiv:1505.01749, section 5).
"""

from dataclasses import replace
from typing import TypeAlias

import numpy as np
from pydantic import Field

from sightline.types import Detections, Fit, Float32, Int64, Mask, Seen, Segments
from sightline.vision import boxes, masks
from sightline.vision.boxes import Index
from sightline.vision.heads.grid import (
    GridOptions,
    NanoDetOptions,
    choose_nanodet,
    choose_yolox,
    decode_nanodet,
    decode_yolox,
)
from sightline.vision.heads.maskrcnn import cut_all, original_extent
from sightline.vision.heads.reading import Need, Outputs, expect, finish, passes, pick

VOICE = 0.05
"""Cells below this score have no say in the outline of another; the same whatever the caller's threshold, so
that an object has one outline."""


class PrototypeOptions(GridOptions):
    """Options of prototype masks."""

    coefficients: int = Field(
        default=32, gt=0, le=256, description="Mask coefficients at the end of each row."
    )
    vote: float = Field(
        default=0.7,
        gt=0,
        le=1,
        description="A mask is drawn by all boxes of its label that overlap its own by more; 1: by its own.",
    )


class NanoPrototypeOptions(NanoDetOptions):
    """Options of NanoDet-Plus with prototype masks."""

    coefficients: int = Field(
        default=32, gt=0, le=256, description="Mask coefficients at the end of each row."
    )
    vote: float = Field(
        default=0.7,
        gt=0,
        le=1,
        description="A mask is drawn by all boxes of its label that overlap its own by more; 1: by its own.",
    )


AnyOptions: TypeAlias = PrototypeOptions | NanoPrototypeOptions
Chosen: TypeAlias = tuple[Index, Float32, Int64]


def read_prototypes(outputs: Outputs, fit: Fit, need: Need, options: PrototypeOptions) -> Seen:
    """YOLACT-like: rows (cells, 5 + classes + k) and prototypes (k, h, w).

    The first columns are those of the head ``yolox``. The mask's logit at a cell of the prototypes,
    which tile the canvas, is the sum of prototypes weighted by the row's coefficients; a mask is
    where it is above 0, inside the box.
    """
    rows, plain = _split(outputs, options)
    chosen = choose_yolox(plain, _loose(need, options), options)
    return _seen(outputs, rows, chosen, decode_yolox(plain, chosen[0], fit, options), fit, need, options)


def read_nanodet_prototypes(outputs: Outputs, fit: Fit, need: Need, options: NanoPrototypeOptions) -> Seen:
    """As ``prototypes``, the first columns being those of the head ``nanodet``."""
    rows, plain = _split(outputs, options)
    chosen = choose_nanodet(plain, _loose(need, options), options)
    return _seen(outputs, rows, chosen, decode_nanodet(plain, chosen[0], fit, options), fit, need, options)


def _split(outputs: Outputs, options: AnyOptions) -> tuple[Float32, Float32]:
    """The rows, and the same without the mask coefficients at their end."""
    rows = expect(pick(outputs, options, "rows"), (None, None), "rows")
    return rows, rows[:, : -options.coefficients]


def _loose(need: Need, options: AnyOptions) -> Need:
    """The need with all those in it that have a voice."""
    if not need.masks or options.vote >= 1:
        return need
    return replace(need, min_score=min(need.min_score, VOICE))


def _seen(  # noqa: PLR0913, PLR0917 - one picture's numbers on their way, each step named
    outputs: Outputs,
    rows: Float32,
    chosen: Chosen,
    xyxy: Float32,
    fit: Fit,
    need: Need,
    options: AnyOptions,
) -> Seen:
    """What is asked for of the chosen rows, with masks if they are wanted."""
    picked, score, label = chosen
    asked = passes(score, label, need)
    found, kept = finish(xyxy[asked], score[asked], label[asked], fit, need, agnostic=options.class_agnostic)
    if not need.masks:
        return found
    opinions = np.asarray(rows[picked, -options.coefficients :], np.float32)
    weights = _agreed(opinions, xyxy, score, label, asked[kept], options.vote)
    return _masked(outputs, weights, found, fit, options)


def _agreed(
    opinions: Float32, xyxy: Float32, score: Float32, label: Int64, kept: Index, least: float
) -> Float32:
    """(rows, k) opinions -> (kept, k): for each kept row the mean of those that see the same object."""
    if least >= 1 or not len(kept):
        return opinions[kept]
    alike = boxes.iou(xyxy[kept], xyxy) > least
    voice = np.where(score >= VOICE, score, 0) * (alike & (label[kept][:, None] == label))
    voice[np.arange(len(kept)), kept] = score[kept]  # its own counts, however weak
    return np.asarray(voice @ opinions / voice.sum(1, keepdims=True), np.float32)


def _masked(outputs: Outputs, weights: Float32, found: Detections, fit: Fit, options: AnyOptions) -> Segments:
    """``found`` with the masks that the weights (n, k) make of the prototypes."""
    bank = expect(pick(outputs, options, "prototypes", 1), (options.coefficients, None, None), "prototypes")
    bank = np.asarray(bank, np.float32)
    cell = np.array([fit.canvas_width / bank.shape[2], fit.canvas_height / bank.shape[1]] * 2)
    reach = np.array([bank.shape[2], bank.shape[1]] * 2)
    # One cell more on each side: pixels at the edge look there.
    windows = fit.to_canvas(found.xyxy) / cell + (-1, -1, 1, 1)
    windows[:, :2], windows[:, 2:] = np.floor(windows[:, :2]), np.ceil(windows[:, 2:])
    window = np.clip(windows, 0, reach).astype(np.intp)

    def cut(position: int, region: masks.Region) -> Mask:
        x1, y1, x2, y2 = window[position].tolist()
        part = bank[:, y1:y2, x1:x2]
        field = (weights[position] @ part.reshape(len(bank), -1)).reshape(part.shape[1:])
        extent = original_extent(fit, (window[position] * cell).tolist())
        return masks.paste(field, extent, region, 0.0, outside=None)

    return Segments(found, cut_all(found, fit, cut))
