"""Name chips: their text, their font, and places where they do not cover each other."""

import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import ImageFont

from sightline.vision.colors import Color

Place: TypeAlias = tuple[int, int, int, int]
"""x1, y1, x2, y2 in pixels of the picture, the last ones not included."""

TEXT_MAX: Final = 40
_FONTS: Final = (
    "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf",
    "/usr/share/fonts/dejavu-sans-fonts/DejaVuSans.ttf",
    "/usr/share/fonts/TTF/DejaVuSans.ttf",
    "/usr/share/fonts/truetype/noto/NotoSans-Regular.ttf",
)
"""Fonts of the system with many scripts, best first. Without them, the one inside Pillow (Latin only)."""


@dataclass(frozen=True, slots=True)
class Chip:
    """A name on its coloured ground, where it will be drawn."""

    text: str
    color: Color
    place: Place


def clean_text(text: str) -> str:
    """One line of at most ``TEXT_MAX``, without control characters, direction marks and surrogates."""
    shown = "".join(" " if unicodedata.category(char)[0] in "CZ" else char for char in text[: 4 * TEXT_MAX])
    shown = " ".join(shown.split())
    return shown if len(shown) <= TEXT_MAX else shown[: TEXT_MAX - 1] + "…"


def title(name: str, score: float) -> str:
    """Name and score, in this order also where the name runs from right to left."""
    mark = "\u200e" if direction() and not name.isascii() else ""
    return f"{clean_text(name)}{mark} {score:.0%}"


def read_fonts() -> None:
    """Load the font and the text shaper now; a decode child can open no file later."""
    size_of("Ag אב", 16)


@lru_cache(maxsize=1)
def _font_bytes() -> bytes:
    for path in _FONTS:
        try:
            return Path(path).read_bytes()
        except OSError:
            continue
    return b""


@lru_cache(maxsize=16)
def font(size: int) -> ImageFont.FreeTypeFont:
    """The font at that height in pixels."""
    data = _font_bytes()
    if data:
        return ImageFont.truetype(BytesIO(data), size)
    built_in = ImageFont.load_default(size)
    assert isinstance(built_in, ImageFont.FreeTypeFont)  # Pillow's wheels carry FreeType
    return built_in


def direction() -> str | None:
    """Direction of the chip's text, where the text shaper Raqm can be told one."""
    return "ltr" if font(16).layout_engine == ImageFont.Layout.RAQM else None


def size_of(text: str, size: int) -> tuple[int, int]:
    """Width and height in pixels of a chip with this text."""
    pad = max(2, size // 4)
    return round(font(size).getlength(text, direction=direction())) + 2 * pad, size + 2 * pad


def place(
    boxes: npt.NDArray[np.float32], sizes: list[tuple[int, int]], picture: tuple[int, int]
) -> list[Place | None]:
    """A place for each chip, strongest box first; ``None`` where the crowd leaves no room.

    Above the box if possible, then below, then inside. Never over another chip or the picture's edge;
    among the free places the one that covers least of the other boxes.
    """
    taken = np.zeros((0, 4), np.float32)
    found: list[Place | None] = []
    for index, (box, size) in enumerate(zip(boxes, sizes, strict=True)):
        choices = _choices(box, size, picture)
        free = choices[~_overlap(choices, taken).any(axis=1)] if len(taken) else choices
        if not len(free):
            found.append(None)
            continue
        others = np.delete(boxes, index, axis=0)
        chosen = free[int(_overlap(free, others).sum(axis=1).argmin())]
        taken = np.vstack([taken, chosen])
        x1, y1, x2, y2 = (int(value) for value in chosen)
        found.append((x1, y1, x2, y2))
    return found


def _choices(
    box: npt.NDArray[np.float32], size: tuple[int, int], picture: tuple[int, int]
) -> npt.NDArray[np.float32]:
    """Places in and around a box that lie inside the picture, (k, 4), best first."""
    (width, height), (x1, y1, x2, y2) = size, (float(value) for value in box)
    corners = [
        (x1, y1 - height), (x2 - width, y1 - height), (x1, y2), (x2 - width, y2),
        (x1, y1), (x2 - width, y1), (x1, y2 - height), (x2 - width, y2 - height),
    ]  # fmt: skip
    at = np.array(corners, np.float32)
    at[:, 0] = np.clip(at[:, 0], 0, max(0, picture[0] - width))
    inside = (at[:, 1] >= 0) & (at[:, 1] + height <= picture[1])
    at = np.floor(at[inside])
    return np.hstack([at, at + np.array([width, height], np.float32)])


def _overlap(first: npt.NDArray[np.float32], second: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """(n, m) shared areas."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    sides = np.clip(high - low, 0, None)
    return np.asarray(sides[..., 0] * sides[..., 1], np.float32)
