"""Result -> picture with boxes, masks and names drawn on it.

Looks like the page: outline 2 px with a dark halo, masks at 35 %, colour by label. Everything grows with
the picture, so that a download of 16 megapixels is as readable as one of 640 pixels.
"""

from typing import Final

import numpy as np
from PIL import Image, ImageDraw

from sightline.types import Classification, Detections, Float32, Mask, Result, Segments, Staged, UInt8
from sightline.vision import chips
from sightline.vision.colors import HALO, Color, color_of, ink_on

MASK_SHARE: Final = 0.35
_CLASSES_SHOWN: Final = 5
_STRIP_PIXELS: Final = 1 << 20
_PLAIN_SIDE: Final = 720.0
"""Geometric mean of the sides at which an outline has 2 px and a name 14 px."""


def draw(pixels: UInt8, result: Result) -> UInt8:
    """(h, w, 3) RGB of the upright original -> a copy with the result drawn on it."""
    image = Image.fromarray(pixels)
    paint(image, result)
    return np.asarray(image)


def paint(image: Image.Image, result: Result, notes: tuple[str, ...] = ()) -> None:
    """Draw on a picture of mode RGB, in place; ``notes``: for each box, what stands behind its name."""
    match result.prediction:
        case Classification() as classes:
            _paint_caption(image, classes, result.labels)
        case Segments(detections, masks):
            for index in reversed(range(len(detections))):
                _paint_mask(image, masks[index], color_of(int(detections.label[index])))
            _paint_boxes(image, detections, result.labels, notes)
        case Detections() as detections:
            _paint_boxes(image, detections, result.labels, notes)
        case Staged() as staged:
            _paint_stages(image, staged, result.labels, notes)


def _paint_stages(
    image: Image.Image, staged: Staged, labels: tuple[str, ...], notes: tuple[str, ...]
) -> None:
    """Boxes with what each was judged to be, and the picture's verdict in the lower left corner."""
    if isinstance(staged.first, Detections):
        told = staged.verdicts
        if notes:
            told = tuple(" · ".join(filter(None, pair)) for pair in zip(notes, told, strict=True))
        _paint_boxes(image, staged.first, labels, told)
    height = _text_height(image)
    title = chips.clean_text(staged.title or staged.verdict)
    width, tall = chips.size_of(title, height)
    if width > image.width:  # the short name rather than half a sentence
        title = chips.clean_text(staged.verdict)
        width, tall = chips.size_of(title, height)
    place = (0, image.height - tall, width, image.height)
    _paint_chip(ImageDraw.Draw(image), chips.Chip(title, HALO, place), height)


def warm_up() -> None:
    """Read the fonts now; a decode child can open no file later."""
    chips.read_fonts()


def _paint_boxes(
    image: Image.Image, detections: Detections, labels: tuple[str, ...], notes: tuple[str, ...] = ()
) -> None:
    size = np.array([image.width, image.height] * 2, np.float32)
    boxes = np.clip(np.nan_to_num(detections.xyxy), 0, size)
    pen = ImageDraw.Draw(image)
    colors = [color_of(int(label)) for label in detections.label]
    for box, color in reversed(list(zip(boxes, colors, strict=True))):  # the strongest on top
        _paint_box(pen, box, color, _scale(image))
    texts = [
        chips.title(" · ".join(filter(None, (_name(labels, int(label)), note))), float(score))
        for label, score, note in zip(
            detections.label, detections.score, notes or ("",) * len(detections), strict=True
        )
    ]
    height = _text_height(image)
    places = chips.place(boxes, [chips.size_of(text, height) for text in texts], image.size)
    for text, color, where in zip(texts, colors, places, strict=True):
        if where is not None:
            _paint_chip(pen, chips.Chip(text, color, where), height)


def _paint_box(pen: ImageDraw.ImageDraw, box: Float32, color: Color, scale: float) -> None:
    line, rim = max(2, round(2 * scale)), max(1, round(scale))
    x1, y1, x2, y2 = (round(float(value)) for value in box)
    x2, y2 = max(x1, x2 - 1), max(y1, y2 - 1)
    pen.rectangle((x1 - rim, y1 - rim, x2 + rim, y2 + rim), outline=HALO, width=line + 2 * rim)
    pen.rectangle((x1, y1, x2, y2), outline=color, width=line)


def _paint_mask(image: Image.Image, mask: Mask, color: Color) -> None:
    if not mask.bits.size:
        return
    rows = max(1, _STRIP_PIXELS // mask.bits.shape[1])
    for top in range(
        0, len(mask.bits), rows
    ):  # in strips: a whole large mask would be there three times over
        share = Image.fromarray(mask.bits[top : top + rows] * np.uint8(round(255 * MASK_SHARE)))
        image.paste(color, (mask.left, mask.top + top), share)


def _paint_chip(pen: ImageDraw.ImageDraw, chip: chips.Chip, height: int) -> None:
    x1, y1, x2, y2 = chip.place
    pen.rectangle((x1, y1, x2 - 1, y2 - 1), fill=chip.color)
    middle = (y1 + y2) / 2
    left = x1 + max(2, height // 4)
    ink, font = ink_on(chip.color), chips.font(height)
    pen.text((left, middle), chip.text, fill=ink, font=font, anchor="lm", direction=chips.direction())


def _paint_caption(image: Image.Image, classes: Classification, labels: tuple[str, ...]) -> None:
    """The strongest classes, one under the other, in the lower left corner."""
    pen, height = ImageDraw.Draw(image), _text_height(image)
    if classes.decision == "unknown":
        rows = [("unknown", HALO)]
    else:
        pairs = list(zip(classes.label, classes.score, strict=True))[:_CLASSES_SHOWN]
        rows = [
            (chips.title(_name(labels, int(label)), float(score)), color_of(int(label)))
            for label, score in pairs
        ]
    bottom = image.height
    for text, color in reversed(rows):
        width, tall = chips.size_of(text, height)
        _paint_chip(pen, chips.Chip(text, color, (0, bottom - tall, width, bottom)), height)
        bottom -= tall


def _name(labels: tuple[str, ...], label: int) -> str:
    return labels[label] if 0 <= label < len(labels) else f"label {label}"


def _scale(image: Image.Image) -> float:
    return float(np.sqrt(image.width * image.height)) / _PLAIN_SIDE


def _text_height(image: Image.Image) -> int:
    return max(10, round(14 * _scale(image)))
