"""YOLO text: one file per picture, one row per object, fractions of the picture, six decimals.

``class cx cy w h`` for boxes, ``class x1 y1 x2 y2 …`` for outlines. The length of a row decides how
readers take it, so rows carry no score (a sixth value would make a polygon) and no outline has
four points (nine values would make a turned box). No objects: an empty file.
"""

import numpy as np

from sightline.formats.content import boxed, masks_of
from sightline.types import Mask, Result
from sightline.vision import polygons

_Ring = list[tuple[float, float]]


def write(result: Result) -> str:
    """The text of one picture's file; class numbers are the model's label ids."""
    found = boxed(result, "YOLO")
    lines = []
    for (x1, y1, x2, y2), label, mask in zip(
        found.xyxy.tolist(), found.label.tolist(), masks_of(result), strict=True
    ):
        ring = _outline(mask) if mask is not None else []
        if len(ring) >= 3:
            values = [value for x, y in ring for value in (x / result.width, y / result.height)]
        else:
            size = (x2 - x1, y2 - y1)
            centre = (x1 + size[0] / 2, y1 + size[1] / 2)
            values = [
                v / side
                for pair in (centre, size)
                for v, side in zip(pair, (result.width, result.height), strict=True)
            ]
        lines.append(f"{label} " + " ".join(f"{min(max(value, 0), 1):.6f}" for value in values))
    return "".join(line + "\n" for line in lines)


def classes(labels: tuple[str, ...]) -> str:
    """``classes.txt``: one label a line, in the order of the class numbers."""
    return "".join(" ".join(label.split()) + "\n" for label in labels)


def _outline(mask: Mask) -> _Ring:
    """All parts of an object as one ring: each further part is joined by a bridge there and back."""
    parts = [list(zip(flat[::2], flat[1::2], strict=True)) for flat in polygons.from_mask(mask)]
    if not parts:
        return []
    ring: _Ring = parts[0]
    for part in parts[1:]:
        ring = _joined(ring, part)
    if len(ring) == 4:
        (x1, y1), (x2, y2) = ring[0], ring[1]
        ring.insert(1, ((x1 + x2) / 2, (y1 + y2) / 2))
    return ring


def _joined(ring: _Ring, part: _Ring) -> _Ring:
    a, b = np.array(ring), np.array(part)
    distance = ((a[:, None] - b[None]) ** 2).sum(-1)
    here, there = divmod(int(distance.argmin()), len(part))
    return [*ring[: here + 1], *part[there:], *part[: there + 1], *ring[here:]]
