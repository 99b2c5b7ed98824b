"""Semantic segmentation: every pixel has a class; one segment per class, or per connected region."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from pydantic import Field

from sightline.types import Bool, Detections, Fit, Float32, Int64, Mask, Seen, Segments
from sightline.vision import boxes, masks
from sightline.vision.heads.maskrcnn import PIXELS_MAX, original_extent
from sightline.vision.heads.reading import Need, Options, Outputs, expect, label_ids, passes, pick, sigmoid


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


def read_deeplab(outputs: Outputs, fit: Fit, need: Need, options: DeepLabOptions) -> Seen:
    """DeepLab (arXiv:1802.02611) and its kin: logits (h, w, classes) or (classes, h, w) that tile the canvas.

    A pixel belongs to its strongest class (the first of equals). Between cells the lead over the
    runner-up is interpolated, so outlines are smooth. Score: the mean probability over the segment.
    """
    planes, extent = _inside(_planes(outputs, need, options), fit)
    top = planes.max(0)
    owner = np.full(top.shape, -1, np.int64)
    for raw, label in enumerate(label_ids(np.arange(len(planes)), need, options).tolist()):
        where = (planes[raw] == top) & (owner == -1)
        owner[where] = raw if raw != options.background and label >= 0 else _NOBODY
    parts = _parts(owner, extent, options)
    lead, probability = _certainty(planes, top, np.where(parts.number >= 0, owner, -1))

    def field(window: _Window, where: Bool, raw: int) -> Float32:
        plane, best = planes[raw][window], top[window]
        signed = np.where(where, lead[window], -np.abs(plane - best))
        np.copyto(signed, -lead[window], where=(plane == best) & ~where)  # another region of this class
        return signed

    labels = label_ids(parts.owner, need, options)
    return _segments(parts, parts.mean(probability), labels, field, fit, need)


def _planes(outputs: Outputs, need: Need, options: DeepLabOptions) -> Float32:
    """(classes, h, w), one plane after the other in memory."""
    logits = np.asarray(expect(pick(outputs, options, "logits"), (None, None, None), "logits"), np.float32)
    fewest = max(options.raw_ids, default=need.labels + options.first_label - 1) + 1
    last = options.layout == "NHWC" or (options.layout == "auto" and logits.shape[0] != fewest)
    planes = np.ascontiguousarray(np.moveaxis(logits, -1, 0) if last else logits)
    gaps = len(options.raw_ids) > 0 and len(planes) >= fewest
    expect(planes, (None if gaps else fewest, None, None), "logits (classes, rows, columns)")
    return planes


def _certainty(planes: Float32, top: Float32, owners: Int64) -> tuple[Float32, Float32]:
    """(h, w) lead of the best class over the runner-up and its probability, where there are owners."""
    owner = owners.reshape(-1)
    cells = np.flatnonzero(owner >= 0)
    logits = np.take(planes.reshape(len(planes), -1), cells, axis=1)
    logits -= top.reshape(-1)[cells]
    lead, probability = np.zeros(top.size, np.float32), np.zeros(top.size, np.float32)
    probability[cells] = 1 / np.exp(logits).sum(0)
    logits[owner[cells], np.arange(len(cells))] = -np.inf
    lead[cells] = -logits.max(0, initial=-1e4)
    return lead.reshape(top.shape), probability.reshape(top.shape)


def read_bodypix(outputs: Outputs, fit: Fit, need: Need, options: BodyPixOptions) -> Seen:
    """BodyPix (github.com/tensorflow/tfjs-models): segments (h, w, 1), logits of 'person'; one label.

    Cell (i, j) speaks of canvas pixel (i * stride, j * stride): the canvas has 16 k + 1 pixels a side.
    """
    field = np.asarray(
        expect(pick(outputs, options, "segments"), (None, None, 1), "segments")[..., 0], np.float32
    )
    half = options.stride / 2
    edges = [0.5 - half, 0.5 - half, field.shape[1] * options.stride, field.shape[0] * options.stride]
    extent = original_extent(fit, [edges[0], edges[1], edges[0] + edges[2], edges[1] + edges[3]])
    parts = _parts(np.where(field > 0, 0, -1), extent, options)

    def signed(window: _Window, where: Bool, _raw: int) -> Float32:
        return np.asarray(np.where(where, field[window], -np.abs(field[window])), np.float32)

    score = parts.mean(np.where(field > 0, sigmoid(field), np.float32(0)))
    return _segments(parts, score, parts.owner, signed, fit, need)


_NOBODY = -2
_MARGIN = 2
"""Cells around a part that its outline is interpolated from."""
_Window: TypeAlias = tuple[slice, slice]
_Field: TypeAlias = Callable[[_Window, Bool, int], Float32]
"""Window of cells, those of the part in it, its owner -> a field that is above 0 where the part is."""


@dataclass(frozen=True, slots=True, eq=False)
class _Parts:
    """The parts that count, as numbers: a map of noise has tens of thousands, too many for a map each."""

    number: Int64
    """(h, w) index of the part that a cell belongs to; -1: of none that counts."""
    owner: Int64
    """(n,) whose cells they are."""
    sides: Int64
    """(n, 4) x1, y1, x2, y2 in cells; x2 and y2 are outside."""
    extent: masks.Extent
    """Where the map lies in the original."""

    def mean(self, value: Float32) -> Float32:
        """(h, w) -> (n,) mean over the cells of each part."""
        cells = self.number >= 0
        total = np.bincount(self.number[cells], value[cells], minlength=len(self.owner))
        size = np.bincount(self.number[cells], minlength=len(self.owner))
        return np.asarray(total / size, np.float32)


def _parts(owner: Int64, extent: masks.Extent, options: SemanticOptions) -> _Parts:
    """Each owner's cells (numbers from 0; others own nothing) as a whole or by region, without tiny ones."""
    number = np.full(owner.shape, -1, np.int64)
    owners: list[int] = []
    for one in np.unique(owner[owner >= 0]).tolist():
        region, count = (
            masks.regions(owner == one) if options.regions else ((owner == one).astype(np.int64), 1)
        )
        np.copyto(number, region + (len(owners) - 1), where=region > 0)
        owners += [one] * count
    size = np.bincount(number[number >= 0], minlength=len(owners))
    kept = np.flatnonzero(size > options.min_area * owner.size)
    rank = np.full(len(owners) + 1, -1, np.int64)  # the last place is for number -1
    rank[kept] = np.arange(len(kept))
    number = rank[number]
    return _Parts(number, np.array(owners, np.int64)[kept], _sides(number, len(kept)), extent)


def _sides(number: Int64, count: int) -> Int64:
    """(count, 4) boxes around the cells of each number."""
    rows, columns = np.nonzero(number >= 0)
    which = number[rows, columns]
    sides = np.empty((count, 4), np.int64)
    sides[:, :2], sides[:, 2:] = number.size, 0
    for side, value in ((0, columns), (1, rows)):
        np.minimum.at(sides[:, side], which, value)
        np.maximum.at(sides[:, side + 2], which, value + 1)
    return sides


def _segments(parts: _Parts, score: Float32, label: Int64, field: _Field, fit: Fit, need: Need) -> Seen:
    """The strongest parts -> segments of the original, until there are enough or PIXELS_MAX is spent."""
    found: list[tuple[int, Mask]] = []
    spent = 0
    rows = passes(score, label, need)
    for row in rows[boxes.strongest(score[rows], boxes.CANDIDATES)].tolist():
        x1, y1, x2, y2 = parts.sides[row].tolist()
        region = _region((x1, y1, x2, y2), parts.number.shape, parts.extent, fit)
        spent += max(0, region[2] - region[0]) * max(0, region[3] - region[1])
        if len(found) == need.max_results or spent > PIXELS_MAX:
            break
        window = (
            slice(max(y1 - _MARGIN, 0), y2 + _MARGIN),
            slice(max(x1 - _MARGIN, 0), x2 + _MARGIN),
        )
        where = parts.number[window] == row
        signed = field(window, where, int(parts.owner[row]))
        mask = masks.trim(masks.paste(signed, _extent(window, where, parts), region, 0.0, outside=None))
        if mask.bits.size:
            found.append((row, mask))
    kept = np.array([row for row, _ in found], np.intp)
    sides = [(m.left, m.top, m.left + m.bits.shape[1], m.top + m.bits.shape[0]) for _, m in found]
    detections = Detections(
        np.array(sides, np.float32).reshape(-1, 4), np.minimum(score[kept], np.float32(1)), label[kept]
    )
    return Segments(detections, tuple(mask for _, mask in found)) if need.masks else detections


def _extent(window: _Window, where: Bool, parts: _Parts) -> masks.Extent:
    """Where a window of cells lies in the original."""
    step_x, step_y = _steps(parts.number.shape, parts.extent)
    left = parts.extent[0] + window[1].start * step_x
    top = parts.extent[1] + window[0].start * step_y
    return left, top, left + where.shape[1] * step_x, top + where.shape[0] * step_y


def _steps(shape: tuple[int, ...], extent: masks.Extent) -> tuple[float, float]:
    """Width and height of a cell in pixels of the original."""
    return (extent[2] - extent[0]) / shape[1], (extent[3] - extent[1]) / shape[0]


def _region(
    sides: tuple[int, int, int, int], shape: tuple[int, ...], extent: masks.Extent, fit: Fit
) -> masks.Region:
    """The pixels of the original that a part can touch: its cells and one more on each side."""
    step_x, step_y = _steps(shape, extent)
    touched = (
        extent[0] + (sides[0] - 1) * step_x,
        extent[1] + (sides[1] - 1) * step_y,
        extent[0] + (sides[2] + 1) * step_x,
        extent[1] + (sides[3] + 1) * step_y,
    )
    return masks.region_of(touched, fit.width, fit.height)


def _inside(planes: Float32, fit: Fit) -> tuple[Float32, masks.Extent]:
    """The cells that see the picture, without padding, and where they lie in the original."""
    height, width = planes.shape[1:]
    step_x, step_y = fit.canvas_width / width, fit.canvas_height / height
    x1, y1 = max(0, int(fit.left / step_x)), max(0, int(fit.top / step_y))
    x2 = min(width, int(np.ceil((fit.left + fit.width * fit.scale_x) / step_x - 1e-6)))
    y2 = min(height, int(np.ceil((fit.top + fit.height * fit.scale_y) / step_y - 1e-6)))
    canvas = [x1 * step_x, y1 * step_y, x2 * step_x, y2 * step_y]
    return planes[:, y1:y2, x1:x2], original_extent(fit, canvas)
