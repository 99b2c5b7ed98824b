"""Data sets to judge models on: COCO annotations, folders of classes, packed arrays."""

import json
import lzma
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from sightline.errors import BadOption, NotFound, presentable
from sightline.storage.archive import Archive
from sightline.vision import codec

PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif")
_NAMES = 'It is a list of names in the order of the labels: ["cat", "dog"].'
_JPEG = ("header", "data", "offsets", "labels")
_PIXELS = ("x", "y")
_BROKEN = (
    ValueError,
    OSError,
    EOFError,
    TypeError,
    AttributeError,
    RuntimeError,
    MemoryError,
    NotImplementedError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
)
"""What numpy and the libraries below it raise at a file that is none of theirs."""


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
    not lead out of it, and an ``.npz`` is held to the limits of archives before anything is unpacked.

    Raises:
        BadOption: It is none of these.
    """
    if path.suffix == ".json" and path.is_file():
        return _coco(path, pictures, first, strange=strange)
    if path.suffix == ".npz" and path.is_file():
        return _packed(path, first, strange=strange)
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
        first_of: dict[str, Any] = {}  # categories of one name are one: the first of them
        same = {
            item["id"]: first_of.setdefault(str(item["name"]), item["id"]) for item in dataset["categories"]
        }
        folder = pictures or _beside(path, images[0]["file_name"])
        marks = [
            mark
            | {
                "category_id": same.get(mark["category_id"], mark["category_id"]),
                "iscrowd": mark.get("iscrowd", 0),
                "area": mark.get("area", _area(mark["bbox"])),
            }
            for mark in dataset["annotations"]
            if mark["image_id"] in ids
        ]
        categories = [
            item | {"name": str(item["name"])}
            for item in dataset["categories"]
            if same[item["id"]] == item["id"]
        ]
        found = tuple(
            Picture(item["file_name"], partial(_bytes_of, folder / item["file_name"]), item["id"])
            for item in images
        )
    except (KeyError, IndexError, TypeError, ValueError, RecursionError) as error:
        raise BadOption(f"{path.name} is no COCO annotation file: {type(error).__name__} {error}.") from error
    if not found:
        raise BadOption(f"{path.name} names no pictures.", next_step="Give a data set with pictures.")
    if len(ids) < len(images):
        twice = next(one["id"] for one, other in pairwise(images) if one["id"] == other["id"])
        raise BadOption(
            f"{path.name} has two pictures of the id {twice}.", next_step="Give each image an id of its own."
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
        Picture(presentable(f"{folder.name}/{file.name}"), partial(_bytes_of, file), position)
        for position, folder in enumerate(classes)
        for file in sorted(folder.iterdir())
        if file.suffix.lower() in PICTURES
    ]
    if not found:
        raise BadOption(f"{path} holds no folders with pictures.", next_step="Make one folder per class.")
    return ClassSet(
        path.name, tuple(_spread(found, first)), tuple(presentable(folder.name) for folder in classes)
    )


def _packed(path: Path, first: int, *, strange: bool) -> ClassSet:
    classes = _names_beside(path)
    if strange:
        Archive(path, path.name).close()  # says what is over a limit
    table = _arrays(path)
    if table.keys() >= set(_JPEG):
        read, labels = _packed_jpeg(path.name, table), table["labels"]
    elif table.keys() >= set(_PIXELS):
        read, labels = _packed_pixels(path.name, table), table["y"]
    else:
        raise BadOption(
            f"{path.name} has the arrays {', '.join(table)[:200]}; "
            f"wanted {', '.join(_JPEG)} or {', '.join(_PIXELS)}."
        )
    strangers = labels[(labels < 0) | (labels >= len(classes))]
    if len(strangers):
        raise BadOption(
            f"{path.name} has the label {strangers[0]}, and classes.json names {len(classes)} classes.",
            next_step="Labels are positions in classes.json, from 0.",
        )
    found = [Picture(f"{path.stem}[{i}]", read(i), int(label)) for i, label in enumerate(labels)]
    if not found:
        raise BadOption(f"{path.name} holds no pictures.", next_step="Give a data set with pictures.")
    return ClassSet(path.stem, tuple(_spread(found, first)), classes)


def _names_beside(path: Path) -> tuple[str, ...]:
    names = path.with_name("classes.json")
    if not names.is_file():
        raise BadOption(f"{names} is missing: it must list the names of the classes.")
    try:
        classes = json.loads(names.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BadOption(f"{names.name} cannot be read: {error}.", next_step=_NAMES) from error
    if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
        raise BadOption(f"{names.name} is no list of texts.", next_step=_NAMES)
    return tuple(classes)


def _arrays(path: Path) -> dict[str, Any]:
    """What is in the file by name; of a member that is not asked for, nothing."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return {key: arrays[key] if key in _JPEG + _PIXELS else None for key in arrays.files}
    except _BROKEN as error:
        raise BadOption(
            f"{path.name} cannot be read as an .npz file: {type(error).__name__}: {error}"[:300],
            next_step="Write it with numpy.savez, from arrays of numbers.",
        ) from error


def _packed_jpeg(name: str, table: dict[str, Any]) -> Callable[[int], Callable[[], bytes]]:
    whole, count = "iu", len(table["labels"]) if table["labels"].ndim else 0
    _need(name, "labels", table["labels"], whole, (count,))
    _need(name, "offsets", table["offsets"], whole, (count + 1,))
    for part in ("header", "data"):
        _need(name, part, table[part], "u", (table[part].size,))
    header, data, offsets = table["header"].tobytes(), table["data"], table["offsets"]
    return lambda i: lambda: header + data[offsets[i] : offsets[i + 1]].tobytes()


def _packed_pixels(name: str, table: dict[str, Any]) -> Callable[[int], Callable[[], bytes]]:
    count = len(table["y"]) if table["y"].ndim else 0
    _need(name, "y", table["y"], "iu", (count,))
    _need(name, "x", table["x"], "u", (count, *table["x"].shape[1:3], 3))
    return lambda i: lambda: codec.encode(table["x"][i], "image/png")


def _need(file: str, name: str, array: Any, kinds: str, shape: tuple[int, ...]) -> None:
    """An array must be of a kind (numpy's letters; ``u``: uint8) and a shape."""
    fits = array.dtype == np.uint8 if kinds == "u" else array.dtype.kind in kinds
    if not fits or array.shape != shape:
        wanted = "uint8" if kinds == "u" else "integers"
        raise BadOption(
            f"The array {name} in {file} is {array.dtype} {array.shape}, wanted {wanted} {shape}."
        )


def _spread(items: list[Any], first: int) -> list[Any]:
    """``first`` items, evenly over the list; 0: all of them."""
    if not 0 < first < len(items):
        return items
    return [items[i] for i in np.linspace(0, len(items) - 1, first).round().astype(int)]
