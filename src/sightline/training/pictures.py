"""Pictures with boxes and masks for training: read once, kept small in memory, varied anew each time.

Everything random is drawn from a generator that is seeded by (seed, epoch, position), so a run
that was interrupted goes on exactly as it would have gone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from sightline.training.annotations import read_table, told, wanted
from sightline.training.recipe_detect import Augment, DetectRecipe, Source
from sightline.types import Bool, Float32, Int64, Mask, UInt8
from sightline.vision import masks, polygons

LONGEST = 640
"""Pictures are kept with at most this long side: augmentation never needs more for inputs up to 640."""
PAD = 114
CELL = 4
"""Canvas pixels per cell of a mask."""
SMALLEST = 3.0
"""Boxes that become narrower or lower than this many canvas pixels teach nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """One picture: ``pixels`` (h, w, 3) uint8 RGB, ``xyxy`` (n, 4) in its pixels, ``label`` (n,).

    ``crowd`` (m, 4) are regions with many objects that are not marked one by one. ``masks`` has one entry
    per object, in its pixels too; None where there is only a box.
    """

    name: str
    pixels: UInt8
    xyxy: Float32
    label: Int64
    crowd: Float32
    crowd_label: Int64
    complete: bool
    masks: tuple[Mask | None, ...] = ()
    score: Float32 | None = None
    """(n,), 1 for people's marks, less for a teacher's; None: all 1."""
    teacher: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """What is marked on a canvas, in its pixels.

    ``masks`` (n, h / 4, w / 4) uint8, the share of each cell that is covered, 0..255; right where ``masked``.
    """

    xyxy: Float32
    label: Int64
    crowd: Float32
    complete: bool
    score: Float32
    masks: UInt8
    masked: Bool
    teacher: bool


@dataclass(frozen=True, slots=True, eq=False)
class Sample(Placed):
    """An example as the network sees it: what is marked, and the canvas."""

    pixels: UInt8


def read_source(recipe: DetectRecipe, source: Source, labels: Sequence[str]) -> list[Example]:
    """All pictures of a source, decoded.

    Raises:
        BadOption: The annotations or a picture cannot be read; it says which.
    """
    path, folder = recipe.path(source.annotations), recipe.path(source.pictures)
    table = read_table(path)
    known = {name: position for position, name in enumerate(labels)}
    marks: dict[int, list[dict[str, object]]] = {}
    with told(path.name, "an entry"):
        called = {item["id"]: source.rename.get(item["name"], item["name"]) for item in table["categories"]}
        category = {number: known[name] for number, name in called.items() if name in known}
        for mark in table["annotations"]:
            if mark["category_id"] in category:
                marks.setdefault(mark["image_id"], []).append(mark)
        kept = [item for item in table["images"] if wanted(item, source.only_url, source.except_url)]
        if source.skip_missing:
            kept = [item for item in kept if (folder / item[source.file_key]).is_file()]
    found = []
    for item in kept[: source.first or None]:
        with told(path.name, f"the image {item.get(source.file_key)!r}"):
            found.append(_example(folder, source, item, marks.get(item["id"], []), category))
    return found


def labels_of(recipe: DetectRecipe) -> tuple[str, ...]:
    """The labels of a recipe: its own, or the categories of its first source in the order of their ids.

    Raises:
        BadOption: The first source cannot be read.
    """
    if recipe.labels:
        return recipe.labels
    path = recipe.path(recipe.data.train[0].annotations)
    table = read_table(path)
    with told(path.name, "a category"):
        return tuple(item["name"] for item in sorted(table["categories"], key=lambda item: item["id"]))


def _example(folder: Path, source: Source, item: dict, marks: list, category: dict[int, int]) -> Example:  # type: ignore[type-arg]
    with Image.open(folder / item[source.file_key]) as opened:
        picture = ImageOps.exif_transpose(opened).convert("RGB")  # annotations speak of the upright picture
    shrink = min(1.0, LONGEST / max(picture.size))
    if shrink < 1:
        picture = picture.resize(
            (round(picture.width * shrink), round(picture.height * shrink)), Image.Resampling.BILINEAR
        )
    scale = np.array([picture.width / item["width"], picture.height / item["height"]] * 2, np.float32)
    crowd = np.array([bool(mark.get("iscrowd")) for mark in marks], bool)
    xywh = np.array([mark["bbox"] for mark in marks], np.float32).reshape(len(marks), 4)
    if not np.isfinite(xywh).all():
        msg = "a bbox is not finite"
        raise ValueError(msg)
    xyxy = np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], 1) * scale
    drawn = tuple(_mask(mark, item, picture.size) for mark in marks if not mark.get("iscrowd"))
    label = np.array([category[mark["category_id"]] for mark in marks], np.int64)
    return Example(
        item[source.file_key],
        np.asarray(picture),
        xyxy[~crowd],
        label[~crowd],
        xyxy[crowd],
        label[crowd],
        source.complete,
        drawn,
        teacher=source.teacher,
    )


def _mask(mark: dict, item: dict, size: tuple[int, int]) -> Mask | None:  # type: ignore[type-arg]
    """The mask of an annotation in a picture that was scaled to ``size``; None where it has only a box."""
    shape = mark.get("segmentation")
    if not shape:
        return None
    width, height = item["width"], item["height"]
    mask = masks.from_rle(shape) if isinstance(shape, dict) else polygons.to_mask(shape, width, height)
    if size == (width, height):
        return mask
    whole = Image.fromarray(masks.full(mask, width, height))
    return masks.trim(Mask(np.asarray(whole.resize(size, Image.Resampling.NEAREST)), 0, 0))


def vary(
    pool: Sequence[Example],
    index: int,
    size: int,
    augment: Augment,
    draw: np.random.Generator,
    *,
    stretch: bool = False,
) -> Sample:
    """A training sample around the example ``index``: a mosaic of four, or the picture alone."""
    if draw.random() < augment.mosaic:
        others = draw.integers(0, len(pool), 3)
        return _mosaic([pool[index], *(pool[i] for i in others)], size, augment, draw, stretch=stretch)
    return _alone(pool[index], size, augment, draw, stretch=stretch)


def plain(example: Example, size: int, *, stretch: bool = False) -> Sample:
    """The example as it is served: stretched, or letterboxed at the top left and padded with 114."""
    canvas = np.full((size, size, 3), PAD, np.uint8)
    placed = _paste(
        canvas, example, base_scale(example, size, stretch=stretch), (0, 0), (0, 0, size, size), None
    )
    return _finish(canvas, [placed])


def base_scale(example: Example, size: int, *, stretch: bool) -> tuple[float, float]:
    """Factors across and down with which an example fills a canvas of ``size``."""
    height, width = example.pixels.shape[:2]
    if stretch:
        return size / width, size / height
    return size / max(height, width), size / max(height, width)


def _alone(
    example: Example, size: int, augment: Augment, draw: np.random.Generator, *, stretch: bool
) -> Sample:
    canvas = np.full((size, size, 3), PAD, np.uint8)
    height, width = example.pixels.shape[:2]
    scale = _varied(base_scale(example, size, stretch=stretch), augment.scale, augment, draw)
    room_x, room_y = size - width * scale[0], size - height * scale[1]
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


def _mosaic(
    four: Sequence[Example], size: int, augment: Augment, draw: np.random.Generator, *, stretch: bool
) -> Sample:
    canvas = np.full((size, size, 3), PAD, np.uint8)
    middle_x, middle_y = (int(v) for v in draw.uniform(0.35, 0.65, 2) * size)
    placed = []
    for quarter, example in enumerate(four):
        height, width = example.pixels.shape[:2]
        base = base_scale(example, size, stretch=stretch)
        scale = _varied(base, (augment.scale[0], 1.0), augment, draw)
        right, low = quarter % 2, quarter // 2
        window = (middle_x * right, middle_y * low, size if right else middle_x, size if low else middle_y)
        corner = (
            middle_x if right else middle_x - round(width * scale[0]),
            middle_y if low else middle_y - round(height * scale[1]),
        )
        placed.append(_paste(canvas, example, scale, corner, window, (augment, draw)))
    return _finish(canvas, placed)


def _varied(
    base: tuple[float, float], factors: tuple[float, float], augment: Augment, draw: np.random.Generator
) -> tuple[float, float]:
    """A random scale, and a random change of the aspect."""
    scale = draw.uniform(*factors)
    aspect = np.exp(draw.uniform(-1, 1) * np.log(augment.aspect) / 2) if augment.aspect > 1 else 1.0
    return base[0] * scale * aspect, base[1] * scale / aspect


def _paste(
    canvas: UInt8,
    example: Example,
    scale: tuple[float, float],
    corner: tuple[int, int],
    window: tuple[int, int, int, int],
    varied: tuple[Augment, np.random.Generator] | None,
) -> Placed:
    """Draw the scaled example at ``corner`` inside ``window`` and give what is marked on the canvas."""
    picture = Image.fromarray(example.pixels)
    width, height = max(1, round(picture.width * scale[0])), max(1, round(picture.height * scale[1]))
    picture = picture.resize((width, height), Image.Resampling.BILINEAR)
    flip = varied is not None and bool(varied[1].random() < varied[0].flip)
    if varied is not None:
        picture = _colour(picture, *varied)
    pixels = np.asarray(picture)[:, ::-1] if flip else np.asarray(picture)
    x, y = corner
    left, top = max(window[0], x), max(window[1], y)
    right, low = min(window[2], x + width), min(window[3], y + height)
    canvas[top:low, left:right] = pixels[top - y : low - y, left - x : right - x]
    seen = np.array([left, top, right, low], np.float32)
    move = _Move(
        width / example.pixels.shape[1], height / example.pixels.shape[0], x, y, width if flip else 0
    )
    boxes, crowd = move.boxes(example.xyxy), move.boxes(example.crowd)
    shown = _clip(boxes, seen)
    share = _area(shown) / np.maximum(_area(boxes), 1e-6)
    side = (shown[:, 2:] - shown[:, :2]).min(1, initial=np.inf) if len(shown) else np.zeros(0)
    good = (side >= SMALLEST) & (share >= 0.3)
    # What is cut off too much to be taught must not be taught as "nothing" either.
    doubtful = ~good & (side >= 1)
    cells = canvas.shape[0] // CELL
    drawn = [example.masks[i] if example.masks else None for i in np.flatnonzero(good)]
    return Placed(
        shown[good],
        example.label[good],
        np.concatenate([_clip(crowd, seen), shown[doubtful]]),
        example.complete,
        np.ones(int(good.sum()), np.float32) if example.score is None else example.score[good],
        _cells(drawn, move, seen, cells),
        np.array([mask is not None for mask in drawn], np.bool_),
        example.teacher,
    )


@dataclass(frozen=True, slots=True)
class _Move:
    """From an example's pixels to the canvas: scale, mirror within ``mirror`` pixels (0: not), shift."""

    across: float
    down: float
    x: int
    y: int
    mirror: int

    def boxes(self, xyxy: Float32) -> Float32:
        moved = xyxy * np.array([self.across, self.down] * 2, np.float32)
        if self.mirror:
            moved = np.stack(
                [self.mirror - moved[:, 2], moved[:, 1], self.mirror - moved[:, 0], moved[:, 3]], 1
            )
        return np.asarray(moved + np.array([self.x, self.y] * 2, np.float32), np.float32)


def _cells(drawn: Sequence[Mask | None], move: _Move, seen: Float32, cells: int) -> UInt8:
    """The share of each cell that each mask covers: (n, cells, cells) uint8."""
    table = np.zeros((len(drawn), cells, cells), np.uint8)
    for row, mask in enumerate(drawn):
        if mask is not None and mask.bits.size:
            _cover(table[row], mask, move, seen)
    return table


def _cover(table: UInt8, mask: Mask, move: _Move, seen: Float32) -> None:
    """Write one mask's cover: its patch, framed by one empty pixel so that its edge is an edge, averaged."""
    height, width = mask.bits.shape
    frame = 2 + int(np.ceil(CELL / min(move.across, move.down)))
    bits = np.pad(mask.bits, frame)[:, ::-1] if move.mirror else np.pad(mask.bits, frame)
    place = np.array([[mask.left, mask.top, mask.left + width, mask.top + height]], np.float32)
    x1, y1, x2, y2 = move.boxes(place)[0].tolist()
    first = max(0, int(x1 // CELL)), max(0, int(y1 // CELL))
    last = min(table.shape[1], int(-(-x2 // CELL))), min(table.shape[0], int(-(-y2 // CELL)))
    if last[0] <= first[0] or last[1] <= first[1]:
        return
    source = (
        (first[0] * CELL - x1) / move.across + frame,
        (first[1] * CELL - y1) / move.down + frame,
        (last[0] * CELL - x1) / move.across + frame,
        (last[1] * CELL - y1) / move.down + frame,
    )
    picture = Image.fromarray(np.ascontiguousarray(bits).astype(np.uint8) * 255)
    size = (last[0] - first[0], last[1] - first[1])
    part = np.asarray(picture.resize(size, Image.Resampling.BOX, box=source)).copy()
    left, top = int(np.ceil(seen[0] / CELL)), int(np.ceil(seen[1] / CELL))
    right, low = int(seen[2] // CELL), int(seen[3] // CELL)
    part[: max(0, top - first[1])] = 0
    part[:, : max(0, left - first[0])] = 0
    part[max(0, low - first[1]) :] = 0
    part[:, max(0, right - first[0]) :] = 0
    table[first[1] : last[1], first[0] : last[0]] = part


def _finish(canvas: UInt8, placed: Sequence[Placed]) -> Sample:
    return Sample(
        np.concatenate([item.xyxy for item in placed]),
        np.concatenate([item.label for item in placed]),
        np.concatenate([item.crowd for item in placed]),
        all(item.complete for item in placed),
        np.concatenate([item.score for item in placed]),
        np.concatenate([item.masks for item in placed]),
        np.concatenate([item.masked for item in placed]),
        all(item.teacher for item in placed),
        canvas,
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
