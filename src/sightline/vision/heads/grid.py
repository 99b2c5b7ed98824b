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
    bound = np.float32(max(need.min_score, 1e-6))
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


def decode_yolox(rows: Float32, picked: Index, fit: Fit, options: GridOptions) -> Float32:
    """The canvas boxes of those rows."""
    table = cells(fit.canvas_width, fit.canvas_height, options.strides)
    if len(table) != len(rows):
        size = f"{fit.canvas_width} x {fit.canvas_height}"
        msg = f"Strides {options.strides} make {len(table)} cells on {size}, but the output has {len(rows)}."
        raise ModelFailed(msg, next_step="Check input.width, input.height and head.options.strides.")
    cell, raw = table[picked], rows[picked, :4]
    stride = cell[:, 2:]
    centre = (raw[:, :2] + cell[:, :2]) * stride
    return boxes.from_centre(np.concatenate([centre, exp_size(raw[:, 2:]) * stride], 1))
