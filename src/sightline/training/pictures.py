"""Pictures with boxes for training: read once, kept small in memory, varied anew each time.

Everything random is drawn from a generator that is seeded by (seed, epoch, position), so a run
that was interrupted goes on exactly as it would have gone.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from sightline.errors import BadOption
from sightline.training.recipe_detect import Augment, DetectRecipe, Source
from sightline.types import Float32, Int64, UInt8

LONGEST = 640
"""Pictures are kept with at most this long side: augmentation never needs more for inputs up to 640."""
SMALLEST = 3.0
"""Boxes that become narrower or lower than this many canvas pixels teach nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """One picture: ``pixels`` (h, w, 3) uint8 RGB, ``xyxy`` (n, 4) in its pixels, ``label`` (n,).

    ``crowd`` (m, 4) are regions with many objects that are not marked one by one.
    """

    name: str
    pixels: UInt8
    xyxy: Float32
    label: Int64
    crowd: Float32
    crowd_label: Int64
    complete: bool


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """An example as the network sees it: boxes in canvas pixels."""

    pixels: UInt8
    xyxy: Float32
    label: Int64
    crowd: Float32
    complete: bool


def read_source(recipe: DetectRecipe, source: Source, labels: Sequence[str]) -> list[Example]:
    """All pictures of a source, decoded."""
    path = recipe.path(source.annotations)
    if not path.is_file():
        raise BadOption(
            f"{path} does not exist.", next_step="Set data.root of the recipe to the folder of the data."
        )
    table = json.loads(path.read_text("utf-8"))
    known = {name: position for position, name in enumerate(labels)}
    category = {item["id"]: known[item["name"]] for item in table["categories"] if item["name"] in known}
    marks: dict[int, list[dict[str, object]]] = {}
    for mark in table["annotations"]:
        if mark["category_id"] in category:
            marks.setdefault(mark["image_id"], []).append(mark)
    kept = [item for item in table["images"] if _wanted(source, item.get("coco_url", ""))]
    kept = kept[: source.first or None]
    return [
        _example(recipe.path(source.pictures), source, item, marks.get(item["id"], []), category)
        for item in kept
    ]


def labels_of(recipe: DetectRecipe) -> tuple[str, ...]:
    """The labels of a recipe: its own, or the categories of its first source in the order of their ids."""
    if recipe.labels:
        return recipe.labels
    table = json.loads(recipe.path(recipe.data.train[0].annotations).read_text("utf-8"))
    return tuple(item["name"] for item in sorted(table["categories"], key=lambda item: item["id"]))


def _wanted(source: Source, url: str) -> bool:
    return source.only_url in url and not (source.except_url and source.except_url in url)


def _example(folder: Path, source: Source, item: dict, marks: list, category: dict[int, int]) -> Example:  # type: ignore[type-arg]
    with Image.open(folder / item["file_name"]) as opened:
        picture = ImageOps.exif_transpose(opened).convert("RGB")  # annotations speak of the upright picture
    shrink = min(1.0, LONGEST / max(picture.size))
    if shrink < 1:
        picture = picture.resize(
            (round(picture.width * shrink), round(picture.height * shrink)), Image.Resampling.BILINEAR
        )
    scale = np.array([picture.width / item["width"], picture.height / item["height"]] * 2, np.float32)
    crowd = np.array([bool(mark.get("iscrowd")) for mark in marks], bool)
    xywh = np.array([mark["bbox"] for mark in marks], np.float32).reshape(-1, 4)
    xyxy = np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], 1) * scale
    label = np.array([category[mark["category_id"]] for mark in marks], np.int64)
    return Example(
        item["file_name"],
        np.asarray(picture),
        xyxy[~crowd],
        label[~crowd],
        xyxy[crowd],
        label[crowd],
        source.complete,
    )


def vary(
    pool: Sequence[Example], index: int, size: int, augment: Augment, draw: np.random.Generator
) -> Sample:
    """A training sample around the example ``index``: a mosaic of four, or the picture alone."""
    if draw.random() < augment.mosaic:
        others = draw.integers(0, len(pool), 3)
        return _mosaic([pool[index], *(pool[i] for i in others)], size, augment, draw)
    return _alone(pool[index], size, augment, draw)


def plain(example: Example, size: int) -> Sample:
    """The example as it is served: letterboxed, top left, padded with 114."""
    canvas = np.full((size, size, 3), 114, np.uint8)
    scale = size / max(example.pixels.shape[:2])
    return _finish(canvas, [_paste(canvas, example, scale, (0, 0), (0, 0, size, size), None)])


def _alone(example: Example, size: int, augment: Augment, draw: np.random.Generator) -> Sample:
    canvas = np.full((size, size, 3), 114, np.uint8)
    height, width = example.pixels.shape[:2]
    scale = size / max(height, width) * draw.uniform(*augment.scale)
    room_x, room_y = size - width * scale, size - height * scale
    # Smaller than the canvas: anywhere, half of the time top left as when serving. Larger: a random window.
    corner = (
        (0, 0)
        if draw.random() < 0.5 and room_x >= 0 and room_y >= 0
        else (
            int(draw.uniform(min(room_x, 0), max(room_x, 0))),
            int(draw.uniform(min(room_y, 0), max(room_y, 0))),
        )
    )
    placed = _paste(canvas, example, scale, corner, (0, 0, size, size), (augment, draw))
    return _finish(canvas, [placed])


def _mosaic(four: Sequence[Example], size: int, augment: Augment, draw: np.random.Generator) -> Sample:
    canvas = np.full((size, size, 3), 114, np.uint8)
    middle_x, middle_y = (int(v) for v in draw.uniform(0.35, 0.65, 2) * size)
    placed = []
    for quarter, example in enumerate(four):
        height, width = example.pixels.shape[:2]
        scale = size / max(height, width) * draw.uniform(augment.scale[0], 1.0)
        right, low = quarter % 2, quarter // 2
        window = (middle_x * right, middle_y * low, size if right else middle_x, size if low else middle_y)
        corner = (
            middle_x if right else middle_x - round(width * scale),
            middle_y if low else middle_y - round(height * scale),
        )
        placed.append(_paste(canvas, example, scale, corner, window, (augment, draw)))
    return _finish(canvas, placed)


def _paste(
    canvas: UInt8,
    example: Example,
    scale: float,
    corner: tuple[int, int],
    window: tuple[int, int, int, int],
    varied: tuple[Augment, np.random.Generator] | None,
) -> tuple[Float32, Int64, Float32, bool]:
    """Draw the scaled example at ``corner`` inside ``window`` and give its boxes on the canvas."""
    picture = Image.fromarray(example.pixels)
    width, height = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    picture = picture.resize((width, height), Image.Resampling.BILINEAR)
    flip = varied is not None and varied[1].random() < varied[0].flip
    if varied is not None:
        picture = _colour(picture, *varied)
    pixels = np.asarray(picture)[:, ::-1] if flip else np.asarray(picture)
    x, y = corner
    left, top = max(window[0], x), max(window[1], y)
    right, low = min(window[2], x + width), min(window[3], y + height)
    canvas[top:low, left:right] = pixels[top - y : low - y, left - x : right - x]
    seen = np.array([left, top, right, low], np.float32)

    def move(xyxy: Float32) -> Float32:
        moved = xyxy * np.array(
            [width / example.pixels.shape[1], height / example.pixels.shape[0]] * 2, np.float32
        )
        if flip:
            moved = np.stack([width - moved[:, 2], moved[:, 1], width - moved[:, 0], moved[:, 3]], 1)
        return np.asarray(moved + np.array([x, y, x, y], np.float32), np.float32)

    boxes, crowd = move(example.xyxy), move(example.crowd)
    shown = _clip(boxes, seen)
    share = _area(shown) / np.maximum(_area(boxes), 1e-6)
    side = (shown[:, 2:] - shown[:, :2]).min(1, initial=np.inf) if len(shown) else np.zeros(0)
    good = (side >= SMALLEST) & (share >= 0.3)
    # What is cut off too much to be taught must not be taught as "nothing" either.
    doubtful = ~good & (side >= 1)
    return (
        shown[good],
        example.label[good],
        np.concatenate([_clip(crowd, seen), shown[doubtful]]),
        example.complete,
    )


def _finish(canvas: UInt8, placed: Sequence[tuple[Float32, Int64, Float32, bool]]) -> Sample:
    return Sample(
        canvas,
        np.concatenate([item[0] for item in placed]),
        np.concatenate([item[1] for item in placed]),
        np.concatenate([item[2] for item in placed]),
        all(item[3] for item in placed),
    )


def _colour(picture: Image.Image, augment: Augment, draw: np.random.Generator) -> Image.Image:
    for kind in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        factor = 1 + draw.uniform(-augment.colour, augment.colour)
        picture = kind(picture).enhance(factor)
    return picture


def _clip(xyxy: Float32, window: Float32) -> Float32:
    low, high = np.tile(window[:2], 2), np.tile(window[2:], 2)
    return np.asarray(np.clip(xyxy, low, high), np.float32)


def _area(xyxy: Float32) -> Float32:
    return np.asarray((xyxy[:, 2] - xyxy[:, 0]) * (xyxy[:, 3] - xyxy[:, 1]), np.float32)
