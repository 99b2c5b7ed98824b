"""Pieces of pictures: marked objects with some surroundings, whole pictures, windows anywhere.

Files are read when a piece is wanted, so that tens of thousands of pieces need no memory.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from sightline.training.annotations import read_table, told, wanted
from sightline.training.missing import missing

_Box = tuple[float, float, float, float]
WHOLE: _Box = (0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True, slots=True)
class Crop:
    """A piece of a picture file: ``box`` (x1, y1, x2, y2) in shares of its sides; ``label`` may be empty."""

    path: Path
    box: _Box = WHOLE
    label: str = ""

    def read(self) -> Image.Image:
        """The piece, upright, RGB.

        Raises:
            BadOption: The file is no picture any more.
        """
        with told(self.path.name, "the picture"), Image.open(self.path) as opened:
            picture = ImageOps.exif_transpose(opened).convert("RGB")
        if self.box == WHOLE:
            return picture
        x1, y1, x2, y2 = self.box
        left, top = int(x1 * picture.width), int(y1 * picture.height)
        right = max(left + 1, round(x2 * picture.width))
        return picture.crop((left, top, right, max(top + 1, round(y2 * picture.height))))


@dataclass(frozen=True, slots=True)
class Marked:
    """A picture file and its marks: ``boxes`` are shares of its sides."""

    path: Path
    width: int
    height: int
    """As the annotations count pixels."""
    boxes: tuple[_Box, ...]
    labels: tuple[str, ...]


def read_marked(
    annotations: Path,
    pictures: Path,
    *,
    file_key: str = "file_name",
    only_url: str = "",
    except_url: Sequence[str] = (),
) -> list[Marked]:
    """The pictures of a COCO file that are in the folder ``pictures``; regions of crowds are left out.

    Raises:
        BadOption: There is no such file or folder, or an entry has another form; it says which.
    """
    if not pictures.exists():
        raise missing(pictures)
    table = read_table(annotations)
    marks: dict[int, list[dict[str, Any]]] = {}
    with told(annotations.name, "an entry"):
        names = {item["id"]: item["name"] for item in table["categories"]}
        for mark in table["annotations"]:
            if not mark.get("iscrowd"):
                marks.setdefault(mark["image_id"], []).append(mark)
        images = [
            item
            for item in table["images"]
            if wanted(item, only_url, except_url) and (pictures / item[file_key]).is_file()
        ]
    found = []
    for item in images:
        with told(annotations.name, f"the image {item[file_key]!r}"):
            own, width, height = marks.get(item["id"], []), item["width"], item["height"]
            boxes = tuple(_shares(mark["bbox"], width, height) for mark in own)
            labels = tuple(names[mark["category_id"]] for mark in own)
            found.append(Marked(pictures / item[file_key], width, height, boxes, labels))
    return found


def objects(picture: Marked, *, margin: float, smallest: float, most: int = 0) -> list[Crop]:
    """The marked objects, largest first, with ``margin`` of their sides around them.

    Those whose shorter side is under ``smallest`` pixels are left out; ``most`` 0: all.
    """
    kept = []
    for (x1, y1, x2, y2), label in zip(picture.boxes, picture.labels, strict=True):
        wide, high = x2 - x1, y2 - y1
        if min(wide * picture.width, high * picture.height) >= smallest:
            around = (x1 - margin * wide, y1 - margin * high, x2 + margin * wide, y2 + margin * high)
            box = tuple(float(np.clip(value, 0, 1)) for value in around)
            kept.append((wide * high, Crop(picture.path, (box[0], box[1], box[2], box[3]), label)))
    kept.sort(key=lambda pair: -pair[0])
    return [crop for _, crop in kept][: most or None]


def windows(picture: Marked, count: int, draw: np.random.Generator) -> Iterator[Crop]:
    """Square windows anywhere, a third to the whole of the shorter side."""
    short = min(picture.width, picture.height)
    for _ in range(count):
        side = short * draw.uniform(1 / 3, 1)
        wide, high = side / picture.width, side / picture.height
        x, y = draw.uniform(0, 1 - wide), draw.uniform(0, 1 - high)
        yield Crop(picture.path, (x, y, x + wide, y + high))


def known(crops: Sequence[Crop]) -> tuple[str, ...]:
    """The labels that occur, in the order of the alphabet."""
    return tuple(sorted({crop.label for crop in crops if crop.label}))


def _shares(bbox: Sequence[float], width: float, height: float) -> _Box:
    x, y, w, h = bbox
    return (x / width, y / height, (x + w) / width, (y + h) / height)
