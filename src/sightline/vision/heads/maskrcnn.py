"""Mask R-CNN (arXiv:1703.06870) in its two published ONNX forms."""

from collections.abc import Callable

import numpy as np
from pydantic import Field

from sightline.types import Detections, Fit, Mask, Seen, Segments
from sightline.vision import boxes, masks
from sightline.vision.heads.reading import (
    Need,
    Options,
    Outputs,
    expect,
    label_ids,
    passes,
    pick,
    place,
)

PIXELS_MAX = 1 << 27
"""Most mask pixels of one answer: 100 objects that fill a 64-megapixel picture would be 6 GB."""


class MaskRcnnOptions(Options):
    """Options of both Mask R-CNN forms: class 0 is the background in both."""

    first_label: int = 1
    threshold: float = Field(default=0.5, gt=0, lt=1, description="A pixel belongs to the object above this.")


def read_torchvision(outputs: Outputs, fit: Fit, need: Need, options: MaskRcnnOptions) -> Seen:
    """As torchvision exports it: boxes (n, 4), labels (n,), scores (n,), masks (n, 1, H, W).

    Boxes are pixels of the canvas. Masks are probabilities, already pasted into the canvas (H and W
    are its size), or still one small square per box when the export left the pasting out.
    Labels are COCO's sparse numbers 1..90: set ``raw_ids``.
    """
    return _instances(outputs, fit, need, options)


def read_zoo(outputs: Outputs, fit: Fit, need: Need, options: MaskRcnnOptions) -> Seen:
    """As in the ONNX Model Zoo (MaskRCNN-12): boxes (n, 4), labels (n,), scores (n,), masks (n, 1, 28, 28).

    Boxes are pixels of the canvas, labels 1..80 without gaps, and the outputs have numbers for
    names, so they are taken in this order. Masks are probabilities over each box.
    """
    return _instances(outputs, fit, need, options)


def _instances(outputs: Outputs, fit: Fit, need: Need, options: MaskRcnnOptions) -> Seen:
    xyxy = expect(pick(outputs, options, "boxes"), (None, 4), "boxes")
    label = label_ids(expect(pick(outputs, options, "labels", 1), (len(xyxy),), "labels"), need, options)
    score = np.asarray(expect(pick(outputs, options, "scores", 2), (len(xyxy),), "scores"), np.float32)
    rows = passes(score, label, need)
    rows = rows[boxes.strongest(score[rows], need.max_results)]
    found, rows = place(xyxy[rows], score[rows], label[rows], fit, rows)
    if not need.masks:
        return found
    stack = pick(outputs, options, "masks", 3)
    if stack.ndim == 5:
        stack = stack[0]
    stack = stack[:, 0] if stack.ndim == 4 else stack
    expect(stack, (len(xyxy), None, None), "masks")
    pasted = stack.shape[1:] == (fit.canvas_height, fit.canvas_width)

    def cut(position: int, region: masks.Region) -> Mask:
        field, row = np.asarray(stack[rows[position]], np.float32), rows[position]
        if pasted:
            return masks.paste(field, canvas_extent(fit), region, options.threshold, outside=None)
        extent = original_extent(fit, xyxy[row].tolist())
        return masks.paste(field, extent, region, options.threshold, outside=0.0)

    return Segments(found, cut_all(found, fit, cut))


def cut_all(found: Detections, fit: Fit, cut: Callable[[int, masks.Region], Mask]) -> masks.LaterMasks:
    """One trimmed mask per object, strongest first, until PIXELS_MAX is spent; the rest get EMPTY."""
    spent, regions = 0, []
    for x1, y1, x2, y2 in found.xyxy.tolist():
        region = masks.region_of((x1, y1, x2, y2), fit.width, fit.height)
        spent += (region[2] - region[0]) * (region[3] - region[1])
        if spent <= PIXELS_MAX:
            regions.append(region)

    def draw(position: int) -> Mask:
        if position >= len(regions):
            return masks.EMPTY
        return masks.trim(cut(position, regions[position]))

    return masks.LaterMasks(len(found), draw)


def canvas_extent(fit: Fit) -> masks.Extent:
    """Where the whole canvas lies, in continuous pixels of the original (it may reach beyond it)."""
    return original_extent(fit, [0, 0, fit.canvas_width, fit.canvas_height])


def original_extent(fit: Fit, xyxy: list[float]) -> masks.Extent:
    """A canvas box in pixels of the original, not clipped, and never without an area."""
    x1, x2 = ((x - fit.left) / fit.scale_x for x in xyxy[::2])
    y1, y2 = ((y - fit.top) / fit.scale_y for y in xyxy[1::2])
    return x1, y1, max(x2, x1 + 1e-3), max(y2, y1 + 1e-3)
