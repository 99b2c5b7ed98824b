"""Detectors that answer once per cell of one or more grids, without NMS inside.

Weak cells are thrown away by score before any box is decoded: of thousands of cells a few dozen count.
"""

from functools import lru_cache

import numpy as np
from pydantic import Field

from sightline.errors import ModelFailed
from sightline.types import Detections, Fit, Float32, Int64
from sightline.vision import boxes
from sightline.vision.boxes import Index
from sightline.vision.heads.reading import (
    BoxOptions,
    Need,
    Outputs,
    exp_size,
    expect,
    finish,
    label_columns,
    passes,
    pick,
    sigmoid,
    softmax,
)


class GridOptions(BoxOptions):
    """Options of grid detectors."""

    strides: tuple[int, ...] = Field(default=(8, 16, 32), description="Canvas pixels per cell, one per grid.")


@lru_cache(maxsize=64)
def cells(width: int, height: int, strides: tuple[int, ...]) -> Float32:
    """(n, 3): cell x, cell y, stride, row by row, one grid after the other."""
    parts = []
    for stride in strides:
        y, x = np.mgrid[: -(-height // stride), : -(-width // stride)]
        parts.append(np.stack([x.ravel(), y.ravel(), np.full(x.size, stride)], 1))
    table = np.concatenate(parts).astype(np.float32)
    table.setflags(write=False)
    return table


def read_yolox(outputs: Outputs, fit: Fit, need: Need, options: GridOptions) -> Detections:
    """YOLOX (arXiv:2107.08430): (cells, 5 + classes) = x, y, w, h, objectness, class scores.

    Both scores are already sigmoid. centre = (xy + cell) * stride, size = exp(wh) * stride;
    score = objectness * class score.
    """
    rows = expect(pick(outputs, options, "rows"), (None, None), "rows")
    picked, score, label = choose_yolox(rows, need, options)
    xyxy = decode_yolox(rows, picked, fit, options)
    return finish(xyxy, score, label, fit, need, agnostic=options.class_agnostic)[0]


def choose_yolox(rows: Float32, need: Need, options: GridOptions) -> tuple[Index, Float32, Int64]:
    """The rows worth decoding, with the score and label of each."""
    if rows.shape[1] != 5 + need.labels + options.first_label and not options.raw_ids:
        msg = f"YOLOX rows for {need.labels} labels have {5 + need.labels} numbers, got {rows.shape[1]}."
        raise ModelFailed(msg, next_step="Check the list of labels in model.json.")
    bound = np.float32(max(need.least, 1e-6))
    hopeful = np.flatnonzero(rows[:, 4] >= bound)  # class scores are at most 1
    strong = rows[hopeful]
    columns = label_columns(strong[:, 5:], need, options, "rows")
    return top_class(columns, strong[:, 4], hopeful, need)


def top_class(columns: Float32, factor: Float32, row_of: Index, need: Need) -> tuple[Index, Float32, Int64]:
    """The best class of each row times its factor -> (rows, score, label) of at most CANDIDATES rows."""
    label = columns.argmax(1).astype(np.int64)
    score = np.asarray(columns[np.arange(len(columns)), label] * factor, np.float32)
    good = passes(score, label, need)
    good = good[boxes.strongest(score[good], boxes.CANDIDATES)]
    return row_of[good], score[good], label[good]


def all_classes(columns: Float32, need: Need) -> tuple[Index, Float32, Int64]:
    """All pairs of row and label that pass -> (rows, score, label), at most CANDIDATES, strongest first."""
    row, label = np.nonzero(columns >= max(need.least, 1e-6))
    score = np.asarray(columns[row, label], np.float32)
    good = passes(score, label, need)
    good = good[boxes.strongest(score[good], boxes.CANDIDATES)]
    return row[good], score[good], label[good].astype(np.int64)


def decode_yolox(rows: Float32, picked: Index, fit: Fit, options: GridOptions) -> Float32:
    """The canvas boxes of those rows."""
    cell, raw = cells_of(rows, picked, fit, options.strides), rows[picked, :4]
    stride = cell[:, 2:]
    centre = (raw[:, :2] + cell[:, :2]) * stride
    return boxes.from_centre(np.concatenate([centre, exp_size(raw[:, 2:]) * stride], 1))


def cells_of(rows: Float32, picked: Index, fit: Fit, strides: tuple[int, ...]) -> Float32:
    """(n, 3) cell x, cell y, stride of the picked rows, after checking that the grids fit the canvas."""
    table = cells(fit.canvas_width, fit.canvas_height, strides)
    if len(table) != len(rows):
        size = f"{fit.canvas_width} x {fit.canvas_height}"
        msg = f"Strides {strides} make {len(table)} cells on {size}, but the output has {len(rows)}."
        raise ModelFailed(msg, next_step="Check input.width, input.height and head.options.strides.")
    return np.asarray(table[picked], np.float32)


class FastestDetOptions(BoxOptions):
    """Options of FastestDet."""

    power: float = Field(default=0.6, gt=0, lt=1, description="score = objectness^power * class^(1 - power)")


def read_fastestdet(outputs: Outputs, fit: Fit, need: Need, options: FastestDetOptions) -> Detections:
    """FastestDet (github.com/dog-qiuqiu/FastestDet): (5 + classes, grid height, grid width), one box a cell.

    Channels: objectness, centre offset in cells (tanh is applied here), size as a fraction of the
    canvas (sigmoid is applied here), class scores. Objectness and class scores are already in 0..1.
    """
    planes = expect(pick(outputs, options, "planes"), (None, None, None), "planes")
    height, width = planes.shape[1:]
    rows = planes.reshape(planes.shape[0], -1)
    power = np.float32(options.power)
    hopeful = np.flatnonzero(rows[0] >= max(need.least, 1e-6) ** (1 / options.power))
    strong = np.ascontiguousarray(rows[:, hopeful].T)
    columns = label_columns(np.maximum(strong[:, 5:], 0), need, options, "planes")
    factor = np.maximum(strong[:, 0], 0) ** power
    place = np.arange(len(hopeful), dtype=np.intp)
    picked, score, label = top_class(columns ** (1 - power), factor, place, need)
    raw, cell = strong[picked], hopeful[picked]
    canvas = np.array([fit.canvas_width, fit.canvas_height], np.float32)
    centre = np.stack([cell % width, cell // width], 1) + np.tanh(raw[:, 1:3])
    centre = centre / np.array([width, height]) * canvas
    cxcywh = np.concatenate([centre, sigmoid(raw[:, 3:5]) * canvas], 1, dtype=np.float32)
    xyxy = boxes.from_centre(cxcywh)
    return finish(xyxy, score, label, fit, need, agnostic=options.class_agnostic)[0]


def read_yunet(outputs: Outputs, fit: Fit, need: Need, options: GridOptions) -> Detections:
    """YuNet faces (doi:10.1007/s11633-023-1423-y): cls_S, obj_S, bbox_S for each stride S; one label.

    score = sqrt(cls * obj), both already sigmoid; centre = (cell + bbox[0:2]) * S,
    size = exp(bbox[2:4]) * S. The five points of a face (kps_S) are not read.
    """
    scores, raws = [], []
    for stride in options.strides:
        parts = [
            expect(pick(outputs, options, f"{k}_{stride}", 99), (None, 1), k)[:, 0] for k in ("cls", "obj")
        ]
        scores.append(np.sqrt(np.clip(parts[0], 0, 1) * np.clip(parts[1], 0, 1)))
        raws.append(expect(pick(outputs, options, f"bbox_{stride}", 99), (len(scores[-1]), 4), "bbox"))
    score = np.concatenate(scores, dtype=np.float32)
    label = np.zeros(len(score), np.int64)
    picked = passes(score, label, need)
    picked = picked[boxes.strongest(score[picked], boxes.CANDIDATES)]
    xyxy = decode_yolox(np.concatenate(raws, dtype=np.float32), picked, fit, options)
    return finish(xyxy, score[picked], label[picked], fit, need)[0]


class NanoDetOptions(GridOptions):
    """Options of NanoDet-Plus."""

    strides: tuple[int, ...] = (8, 16, 32, 64)
    bins: int = Field(
        default=8, gt=0, le=64, description="Bins of each of the four distances; 1: the distances themselves."
    )
    offset: float = Field(
        default=0.0, ge=0, le=1, description="Where in its cell a point lies; 0 is the corner."
    )
    logits: bool = Field(default=False, description="The class scores are raw; sigmoid is applied here.")
    several_labels: bool = Field(
        default=False,
        description="A cell may answer with several labels, not only with its best.",
    )


def read_nanodet(outputs: Outputs, fit: Fit, need: Need, options: NanoDetOptions) -> Detections:
    """NanoDet-Plus (github.com/RangiLyu/nanodet): (cells, classes + 4 * bins).

    Distances are distributions over bins (Generalized Focal Loss, arXiv:2006.04388): left, top,
    right, bottom = softmax expectation * stride, from the point (cell + offset) * stride.
    """
    rows = expect(pick(outputs, options, "rows"), (None, None), "rows")
    picked, score, label = choose_nanodet(rows, need, options)
    xyxy = decode_nanodet(rows, picked, fit, options)
    return finish(xyxy, score, label, fit, need, agnostic=options.class_agnostic)[0]


def choose_nanodet(rows: Float32, need: Need, options: NanoDetOptions) -> tuple[Index, Float32, Int64]:
    """The rows worth decoding, with the score and label of each; a row may come with several labels."""
    columns = label_columns(rows[:, : rows.shape[1] - 4 * options.bins], need, options, "rows")
    if options.logits:
        columns = sigmoid(columns)
    if options.several_labels:
        return all_classes(columns, need)
    everything = np.arange(len(rows), dtype=np.intp)
    return top_class(columns, np.ones(len(rows), np.float32), everything, need)


def decode_nanodet(rows: Float32, picked: Index, fit: Fit, options: NanoDetOptions) -> Float32:
    """The canvas boxes of those rows."""
    cell = cells_of(rows, picked, fit, options.strides)
    distance = rows[picked, rows.shape[1] - 4 * options.bins :]
    if options.bins > 1:
        spread = softmax(distance.reshape(-1, 4, options.bins))
        distance = (spread * np.arange(options.bins, dtype=np.float32)).sum(-1)
    distance = distance * cell[:, 2:]
    point = (cell[:, :2] + np.float32(options.offset)) * cell[:, 2:]
    return np.concatenate([point - distance[:, :2], point + distance[:, 2:]], 1, dtype=np.float32)
