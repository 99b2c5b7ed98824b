"""Pascal VOC XML: one file per picture; whole pixels, counted from 1, the maximum inside the box.

No scores and no masks: the format has none.
"""

import math
import xml.etree.ElementTree as ET

import numpy as np

from sightline.errors import BadOption
from sightline.formats.dataset import Dataset, Picture, Row, boxed, file_name, picture
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


def load(files: dict[str, str], labels: tuple[str, ...] = ()) -> Dataset:
    """File name -> XML of all files -> a data set.

    ``labels``: the order to use; without it, the names that occur, sorted. A file set in which any
    coordinate is 0 is taken as counted from 0, else from 1. BadOption names a bad file.
    """
    trees = {name: _parse(name, text) for name, text in files.items()}
    names = labels or tuple(
        sorted({_text(item, "name") for tree in trees.values() for item in tree.iter("object")})
    )
    boxes = [item for tree in trees.values() for item in tree.iter("bndbox")]
    first = 0 if any(float(_text(box, side)) == 0 for box in boxes for side in _SIDES) else 1
    return Dataset(names, tuple(_picture(name, tree, names, first) for name, tree in trees.items()))


def _picture(name: str, tree: ET.Element, labels: tuple[str, ...], first: int) -> Picture:
    rows: list[Row] = []
    for item in tree.iter("object"):
        label = _text(item, "name")
        if label not in labels:
            msg = f"'{name}' has an object '{label}', which is not one of the labels."
            raise BadOption(msg)
        x1, y1, x2, y2 = (float(_text(item, f"bndbox/{side}")) for side in _SIDES)
        xyxy = [x1 - first, y1 - first, x2 - first + 1, y2 - first + 1]
        rows.append((xyxy, 1.0, labels.index(label), item.findtext("difficult", "0").strip() == "1", None))
    size = (int(float(_text(tree, "size/width"))), int(float(_text(tree, "size/height"))))
    return picture(tree.findtext("filename") or name, size, rows)


def _parse(name: str, text: str) -> ET.Element:
    if "<!DOCTYPE" in text.upper() or "<!ENTITY" in text.upper():
        msg = f"'{name}' has a document type or entities, which annotations do not need."
        raise BadOption(msg, next_step="Remove the DOCTYPE and try again.")
    try:
        tree = ET.fromstring(text)  # noqa: S314 - no DTD, so no entities to expand
        numbers = [float(_text(box, side)) for box in tree.iter("bndbox") for side in _SIDES]
        numbers += [float(_text(tree, f"size/{side}")) for side in ("width", "height")]
    except (ET.ParseError, ValueError) as error:
        msg = f"'{name}' is not a Pascal VOC annotation: {error}."
        raise BadOption(msg) from error
    if not np.isfinite(numbers).all():
        msg = f"'{name}' holds a number that is not finite."
        raise BadOption(msg)
    return tree


def _text(item: ET.Element, path: str) -> str:
    text = item.findtext(path)
    if text is None:
        msg = f"<{item.tag}> has no <{path}>"
        raise BadOption(f"This is not a Pascal VOC annotation: {msg}.")
    return text.strip()


def _add(parent: ET.Element, tag: str, text: str) -> None:
    ET.SubElement(parent, tag).text = "".join(letter if letter.isprintable() else " " for letter in text)


def _sizes(parent: ET.Element, values: dict[str, int], tag: str) -> None:
    group = ET.SubElement(parent, tag)
    for name, value in values.items():
        _add(group, name, str(value))
