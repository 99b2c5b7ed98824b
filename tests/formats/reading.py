"""What other programs make of our files: plain readers, to prove that what is written can be read back."""

import json
from dataclasses import dataclass
from xml.etree import ElementTree as ET

import numpy as np

from sightline.types import Mask
from sightline.vision import masks, polygons


@dataclass(frozen=True)
class Thing:
    """One object of a picture: its label (a name, or YOLO's number), its corners in pixels, its mask."""

    label: str | int
    xyxy: tuple[float, float, float, float]
    mask: Mask | None = None


def coco(text: str) -> dict[str, list[Thing]]:
    """File name -> what is in it."""
    body = json.loads(text)
    names = {one["id"]: one["name"] for one in body["categories"]}
    found: dict[int, list[Thing]] = {one["id"]: [] for one in body["images"]}
    for row in body["annotations"]:
        x, y, width, height = row["bbox"]
        mask = masks.from_rle(row["segmentation"]) if "segmentation" in row else None
        found[row["image_id"]].append(Thing(names[row["category_id"]], (x, y, x + width, y + height), mask))
    return {one["file_name"]: found[one["id"]] for one in body["images"]}


def yolo(text: str, width: int, height: int) -> list[Thing]:
    """Rows of four numbers are boxes by their centres, longer ones outlines."""
    found = []
    for line in text.splitlines():
        label, *words = line.split()
        values = np.array([float(word) for word in words]).reshape(-1, 2) * (width, height)
        if len(values) == 2:
            corners = [*(values[0] - values[1] / 2), *(values[0] + values[1] / 2)]
            mask = None
        else:
            corners = [*values.min(0), *values.max(0)]
            mask = polygons.to_mask([values.ravel().tolist()], width, height)
        x1, y1, x2, y2 = map(float, corners)
        found.append(Thing(int(label), (x1, y1, x2, y2), mask))
    return found


def voc(text: str) -> tuple[str, tuple[int, int], list[Thing]]:
    """File name, width and height, and what is in it; whole pixels from 1, both ends within."""
    root = ET.fromstring(text)

    def number(place: ET.Element, path: str) -> int:
        return int(place.findtext(path, ""))

    things = [
        Thing(
            item.findtext("name", ""),
            (
                number(item, "bndbox/xmin") - 1,
                number(item, "bndbox/ymin") - 1,
                number(item, "bndbox/xmax"),
                number(item, "bndbox/ymax"),
            ),
        )
        for item in root.iter("object")
    ]
    return root.findtext("filename", ""), (number(root, "size/width"), number(root, "size/height")), things
