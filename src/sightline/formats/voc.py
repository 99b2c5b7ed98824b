"""Pascal VOC XML: one file per picture; whole pixels, counted from 1, the maximum inside the box.

No scores and no masks: the format has none.
"""

import math
import xml.etree.ElementTree as ET

from sightline.formats.content import boxed, file_name
from sightline.types import Result

_SIDES = ("xmin", "ymin", "xmax", "ymax")


def write(result: Result) -> str:
    """The XML of one picture. Minima are rounded down and maxima up, so the object stays inside."""
    found = boxed(result, "Pascal VOC")
    root = ET.Element("annotation")
    _add(root, "folder", "")
    _add(root, "filename", file_name(result))
    _sizes(root, {"width": result.width, "height": result.height, "depth": 3}, "size")
    _add(root, "segmented", "0")
    limits = (result.width, result.height) * 2
    for xyxy, label in zip(found.xyxy.tolist(), found.label.tolist(), strict=True):
        item = ET.SubElement(root, "object")
        for tag, text in (("name", result.labels[label]), ("pose", "Unspecified")):
            _add(item, tag, text)
        for tag in ("truncated", "difficult"):
            _add(item, tag, "0")
        pixel = (math.floor(xyxy[0]) + 1, math.floor(xyxy[1]) + 1, math.ceil(xyxy[2]), math.ceil(xyxy[3]))
        inside = [min(max(value, 1), limit) for value, limit in zip(pixel, limits, strict=True)]
        _sizes(item, dict(zip(_SIDES, inside, strict=True)), "bndbox")
    ET.indent(root)
    return ET.tostring(root, encoding="unicode") + "\n"


def _add(parent: ET.Element, tag: str, text: str) -> None:
    ET.SubElement(parent, tag).text = "".join(letter if letter.isprintable() else " " for letter in text)


def _sizes(parent: ET.Element, values: dict[str, int], tag: str) -> None:
    group = ET.SubElement(parent, tag)
    for name, value in values.items():
        _add(group, name, str(value))
