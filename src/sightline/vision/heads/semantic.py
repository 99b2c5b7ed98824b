"""Semantic segmentation: every pixel has a class; one segment per class, or per connected region."""

from collections.abc import Iterator
from typing import Literal

import numpy as np
from pydantic import Field

from sightline.types import Bool, Detections, Fit, Float32, Mask, Prediction, Segments
from sightline.vision import masks
from sightline.vision.heads.maskrcnn import PIXELS_MAX, original_extent
from sightline.vision.heads.reading import Need, Options, Outputs, expect, label_ids, pick, sigmoid


class SemanticOptions(Options):
    """Options of semantic heads."""

    regions: bool = Field(default=False, description="One segment per connected region, not per class.")
    min_area: float = Field(
        default=0.001,
        ge=0,
        le=1,
        description="Segments that cover less of the canvas than this are left out.",
    )


class DeepLabOptions(SemanticOptions):
    """Options of models with one logit per class and pixel."""

    background: int = Field(default=0, ge=-1, description="The class that is nothing; -1: there is none.")
    layout: Literal["auto", "NHWC", "NCHW"] = Field(
        default="auto", description="Order of the output's axes; auto: the classes are where their number is."
    )


class BodyPixOptions(SemanticOptions):
    """Options of BodyPix."""

    stride: int = Field(default=16, gt=0, description="Canvas pixels from one cell's centre to the next.")


def read_deeplab(outputs: Outputs, fit: Fit, need: Need, options: DeepLabOptions) -> Prediction:
    """DeepLab (arXiv:1802.02611) and its kin: logits (h, w, classes) or (classes, h, w) that tile the canvas.

    A pixel belongs to its strongest class (the first of equals). Between cells the lead over the
    runner-up is interpolated, so outlines are smooth. Score: the mean probability over the segment.
    """
    planes, extent = _inside(_planes(outputs, need, options), fit)
    top = planes.max(0)
    free = np.ones(top.shape, np.bool_)
    owners: list[tuple[int, int, Bool]] = []
    for raw, label in enumerate(label_ids(np.arange(len(planes)), need, options).tolist()):
        where = (planes[raw] == top) & free
        free &= ~where
        if raw != options.background and label >= 0:
            owners += [(raw, label, part) for part in _parts(where, options, top.size)]
    lead, probability = _certainty(planes, top, owners)
    parts = []
    for raw, label, where in owners:
        field = np.where(where, lead, -np.abs(planes[raw] - top))
        np.copyto(field, -lead, where=(planes[raw] == top) & ~where)  # another region of this class
        parts.append((float(probability[where].mean()), label, field, where))
    return _segments(parts, extent, fit, need)


def _planes(outputs: Outputs, need: Need, options: DeepLabOptions) -> Float32:
    """(classes, h, w), one plane after the other in memory."""
    logits = np.asarray(expect(pick(outputs, options, "logits"), (None, None, None), "logits"), np.float32)
    fewest = max(options.raw_ids, default=need.labels + options.first_label - 1) + 1
    last = options.layout == "NHWC" or (options.layout == "auto" and logits.shape[0] != fewest)
    planes = np.ascontiguousarray(np.moveaxis(logits, -1, 0) if last else logits)
    gaps = len(options.raw_ids) > 0 and len(planes) >= fewest
    expect(planes, (None if gaps else fewest, None, None), "logits (classes, rows, columns)")
    return planes


def _certainty(planes: Float32, top: Float32, owners: list[tuple[int, int, Bool]]) -> tuple[Float32, Float32]:
    """(h, w) lead of the best class over the runner-up and its probability; computed where parts are."""
    owner = np.full(top.size, -1, np.int64)
    for raw, _, where in owners:
        owner[where.reshape(-1)] = raw
    cells = np.flatnonzero(owner >= 0)
    logits = np.take(planes.reshape(len(planes), -1), cells, axis=1)
    logits -= top.reshape(-1)[cells]
    lead, probability = np.zeros(top.size, np.float32), np.zeros(top.size, np.float32)
    probability[cells] = 1 / np.exp(logits).sum(0)
    logits[owner[cells], np.arange(len(cells))] = -np.inf
    lead[cells] = -logits.max(0, initial=-1e4)
    return lead.reshape(top.shape), probability.reshape(top.shape)


def read_bodypix(outputs: Outputs, fit: Fit, need: Need, options: BodyPixOptions) -> Prediction:
    """BodyPix (github.com/tensorflow/tfjs-models): segments (h, w, 1), logits of 'person'; one label.

    Cell (i, j) speaks of canvas pixel (i * stride, j * stride): the canvas has 16 k + 1 pixels a side.
    """
    field = np.asarray(
        expect(pick(outputs, options, "segments"), (None, None, 1), "segments")[..., 0], np.float32
    )
    half = options.stride / 2
    edges = [0.5 - half, 0.5 - half, field.shape[1] * options.stride, field.shape[0] * options.stride]
    extent = original_extent(fit, [edges[0], edges[1], edges[0] + edges[2], edges[1] + edges[3]])
    parts = [
        (float(sigmoid(field[where]).mean()), 0, np.asarray(np.where(where, field, -np.abs(field))), where)
        for where in _parts(field > 0, options, field.size)
    ]
    return _segments(parts, extent, fit, need)


_Part = tuple[float, int, Float32, Bool]


def _segments(parts: list[_Part], extent: masks.Extent, fit: Fit, need: Need) -> Prediction:
    """Score, label and field of each part -> segments of the original, strongest first."""
    found: list[tuple[float, int, Mask]] = []
    spent = 0
    for score, label, field, where in sorted(parts, key=lambda part: -part[0]):
        wanted = need.wanted is None or label in need.wanted
        if not score >= need.least or not wanted or len(found) == need.max_results:  # NaN is no score
            continue
        region = _region(where, extent, fit)
        spent += (region[2] - region[0]) * (region[3] - region[1])
        mask = masks.trim(masks.paste(field, extent, region, 0.0, outside=None))
        if mask.bits.size and spent <= PIXELS_MAX:
            found.append((min(score, 1.0), label, mask))
    sides = [(m.left, m.top, m.left + m.bits.shape[1], m.top + m.bits.shape[0]) for _, _, m in found]
    detections = Detections(
        np.array(sides, np.float32).reshape(-1, 4),
        np.array([score for score, _, _ in found], np.float32),
        np.array([label for _, label, _ in found], np.int64),
    )
    return Segments(detections, tuple(mask for _, _, mask in found)) if need.masks else detections


def _region(where: Bool, extent: masks.Extent, fit: Fit) -> masks.Region:
    """The pixels of the original that a part can touch: its cells and one more on each side."""
    rows, columns = np.flatnonzero(where.any(1)), np.flatnonzero(where.any(0))
    step_x, step_y = (extent[2] - extent[0]) / where.shape[1], (extent[3] - extent[1]) / where.shape[0]
    touched = (
        extent[0] + (columns[0] - 1) * step_x,
        extent[1] + (rows[0] - 1) * step_y,
        extent[0] + (columns[-1] + 2) * step_x,
        extent[1] + (rows[-1] + 2) * step_y,
    )
    return masks.region_of(touched, fit.width, fit.height)


def _parts(where: Bool, options: SemanticOptions, cells: int) -> Iterator[Bool]:
    """The class as a whole or its connected regions, without the tiny ones."""
    if not options.regions:
        whole = [where]
    else:
        number, count = masks.regions(where)
        whole = [number == one for one in range(1, count + 1)]
    return (part for part in whole if np.count_nonzero(part) > options.min_area * cells)


def _inside(planes: Float32, fit: Fit) -> tuple[Float32, masks.Extent]:
    """The cells that see the picture, without padding, and where they lie in the original."""
    height, width = planes.shape[1:]
    step_x, step_y = fit.canvas_width / width, fit.canvas_height / height
    x1, y1 = max(0, int(fit.left / step_x)), max(0, int(fit.top / step_y))
    x2 = min(width, int(np.ceil((fit.left + fit.width * fit.scale_x) / step_x - 1e-6)))
    y2 = min(height, int(np.ceil((fit.top + fit.height * fit.scale_y) / step_y - 1e-6)))
    canvas = [x1 * step_x, y1 * step_y, x2 * step_x, y2 * step_y]
    return planes[:, y1:y2, x1:x2], original_extent(fit, canvas)
