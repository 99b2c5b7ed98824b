"""Data sets to judge models on: COCO annotations, folders of classes, packed arrays."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from sightline.errors import BadOption, NotFound
from sightline.vision import codec

PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif")


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A picture whose bytes are read when they are wanted, and what is true of it.

    ``truth`` is COCO's image id, or the position of the class.
    """

    name: str
    read: Callable[[], bytes]
    truth: int


@dataclass(frozen=True, slots=True, eq=False)
class BoxSet:
    """Pictures with marked objects, in COCO's own words."""

    name: str
    pictures: tuple[Picture, ...]
    dataset: dict[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class ClassSet:
    """Pictures of one class each."""

    name: str
    pictures: tuple[Picture, ...]
    classes: tuple[str, ...]


def open_dataset(
    path: Path, *, pictures: Path | None = None, first: int = 0, strange: bool = False
) -> BoxSet | ClassSet:
    """Open a data set without reading its pictures.

    A ``.json`` file is COCO; its pictures lie in ``pictures``, or beside it, or in ``../images/<split>``
    for ``annotations/<anything>_<split>.json``. An ``.npz`` file is CIFAR-like: JPEG files packed as
    ``header``, ``data``, ``offsets``, ``labels``, or arrays ``x`` (n, h, w, 3) uint8 and ``y``; the names
    of its classes are in ``classes.json`` beside it. A folder has one folder per class. ``first`` keeps
    only so many pictures, evenly over the set. ``strange``: somebody else sent it, so the names in it must
    not lead out of it.

    Raises:
        BadOption: It is none of these.
    """
    if path.suffix == ".json" and path.is_file():
        return _coco(path, pictures, first, strange=strange)
    if path.suffix == ".npz" and path.is_file():
        return _packed(path, first)
    if path.is_dir():
        return _folder(path, first)
    raise BadOption(
        f"{path} is no data set.",
        next_step="Give a COCO .json file, a folder with one folder per class, or an .npz file.",
    )


def _coco(path: Path, pictures: Path | None, first: int, *, strange: bool) -> BoxSet:
    try:
        dataset = json.loads(path.read_text("utf-8"))
        if strange:
            _stay_inside([str(item["file_name"]) for item in dataset["images"]])
        images = _spread(sorted(dataset["images"], key=lambda item: item["id"]), first)
        ids = {item["id"] for item in images}
        folder = pictures or _beside(path, images[0]["file_name"])
        marks = [
            mark | {"iscrowd": mark.get("iscrowd", 0), "area": mark.get("area", _area(mark["bbox"]))}
            for mark in dataset["annotations"]
            if mark["image_id"] in ids
        ]
        categories = dataset["categories"]
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise BadOption(f"{path.name} is no COCO annotation file: {type(error).__name__} {error}.") from error
    found = tuple(
        Picture(item["file_name"], partial(_bytes_of, folder / item["file_name"]), item["id"])
        for item in images
    )
    kept = {"images": images, "annotations": marks, "categories": categories}
    home = path.parent.parent.name if path.parent.name == "annotations" else ""
    return BoxSet(f"{home}/{path.stem}".lstrip("/"), found, kept)


def _stay_inside(names: list[str]) -> None:
    for name in names:
        place = PurePosixPath(name.replace("\\", "/"))
        if place.is_absolute() or ".." in place.parts or "\0" in name:
            raise BadOption(
                f"The data set names the picture {name[:100]!r}, which lies outside of it.",
                next_step="Give file_name relative to the folder of the pictures, without `..`.",
            )


def _area(box: list[float]) -> float:
    return float(box[2] * box[3])


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise NotFound(
            f"The data set names {path.name}, which cannot be read: {error.strerror}.",
            next_step="Say where the pictures are with --pictures.",
        ) from error


def _beside(path: Path, name: str) -> Path:
    split = path.stem.rpartition("_")[2]
    for folder in (
        path.parent,
        path.parent / "images",
        path.parent.parent / "images" / split,
        path.parent.parent / split,
    ):
        if (folder / name).is_file():
            return folder
    raise BadOption(
        f"The pictures of {path.name} are not beside it.", next_step="Give their folder with --pictures."
    )


def _folder(path: Path, first: int) -> ClassSet:
    classes = sorted(item for item in path.iterdir() if item.is_dir())
    found = [
        Picture(f"{folder.name}/{file.name}", file.read_bytes, position)
        for position, folder in enumerate(classes)
        for file in sorted(folder.iterdir())
        if file.suffix.lower() in PICTURES
    ]
    if not found:
        raise BadOption(f"{path} holds no folders with pictures.", next_step="Make one folder per class.")
    return ClassSet(path.name, tuple(_spread(found, first)), tuple(folder.name for folder in classes))


def _packed(path: Path, first: int) -> ClassSet:
    names = path.with_name("classes.json")
    if not names.is_file():
        raise BadOption(f"{names} is missing: it must list the names of the classes.")
    classes = tuple(json.loads(names.read_text("utf-8")))
    with np.load(path, allow_pickle=False) as arrays:
        table = {key: arrays[key] for key in arrays.files}
    if {"header", "data", "offsets", "labels"} <= table.keys():
        read, labels = _packed_jpeg(table), table["labels"]
    elif {"x", "y"} <= table.keys():
        read, labels = _packed_pixels(table), table["y"]
    else:
        raise BadOption(
            f"{path.name} has the arrays {', '.join(table)}; wanted header, data, offsets, labels or x, y."
        )
    found = [Picture(f"{path.stem}[{i}]", read(i), int(label)) for i, label in enumerate(labels)]
    return ClassSet(path.stem, tuple(_spread(found, first)), classes)


def _packed_jpeg(table: dict[str, Any]) -> Callable[[int], Callable[[], bytes]]:
    header, data, offsets = table["header"].tobytes(), table["data"], table["offsets"]
    return lambda i: lambda: header + data[offsets[i] : offsets[i + 1]].tobytes()


def _packed_pixels(table: dict[str, Any]) -> Callable[[int], Callable[[], bytes]]:
    return lambda i: lambda: codec.encode(table["x"][i], "image/png")


def _spread(items: list[Any], first: int) -> list[Any]:
    """``first`` items, evenly over the list; 0: all of them."""
    if not 0 < first < len(items):
        return items
    return [items[i] for i in np.linspace(0, len(items) - 1, first).round().astype(int)]
