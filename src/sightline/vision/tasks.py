"""What decode children do: each a pure function of bytes and plain values.

Only the answer leaves the child: the model's input instead of the picture, a finished file instead of pixels.
Pixels stay Pillow's own picture until the end, so that they are not copied more often than needed.
"""

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image

from sightline.errors import PictureTooLarge
from sightline.types import Canvas, Frame, Prepared
from sightline.vision import annotate, codec, preprocess, srgb

if TYPE_CHECKING:
    from sightline.manifest import InputContract
    from sightline.types import Result

THUMBNAIL_QUALITY: Final = 82
CLEAN_QUALITY: Final = 92
_LOSSY: Final = {"jpeg", "webp", "avif"}

Cleaned = tuple[bytes, str, int, int]
"""Bytes, media type, width, height."""


def warm_up() -> None:
    """Load what would otherwise be loaded by the first picture; afterwards no file can be opened."""
    codec.warm_up()
    srgb.warm_up()
    annotate.warm_up()


def prepare(data: bytes, limits: codec.Limits, contract: "InputContract", keep_side: int = 0) -> Prepared:
    """Decode, fit and turn into the model's numbers.

    ``keep_side``: give the decoded picture back too, its longer side at most this; 0: only the numbers.

    The numbers are made here and not in the server, though they are four times the pixels: each step of
    numpy lets go of the interpreter's lock, and in a busy server getting it back takes longer than the step.
    """
    started = time.perf_counter()
    opened = codec.open_rgb(data, limits, lambda w, h: _useful(contract, w, h, keep_side))
    decoded = time.perf_counter()
    canvas = preprocess.fit_image(opened.image, *opened.size, contract, opened.seen)
    done = _numbers(canvas, contract, decoded - started, decoded)
    return replace(done, frame=_kept(opened, keep_side)) if keep_side else done


def _useful(contract: "InputContract", width: int, height: int, keep_side: int) -> codec.Size:
    """The smallest useful size of the decode: for the model, and for whoever looks at the picture again."""
    wide, high = preprocess.hint(contract, width, height)
    scale = min(1.0, keep_side / max(width, height))
    return max(wide, round(width * scale)), max(high, round(height * scale))


def _kept(opened: codec.Opened, side: int) -> Frame:
    """The decoded picture for later stages, scaled down where it is larger than they need."""
    image, size, seen = opened
    scale = side / max(image.size)
    if scale >= 1:
        return Frame(np.asarray(image), *size, seen=seen)
    small = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return Frame(
        np.asarray(image.resize(small, Image.Resampling.BILINEAR, box=seen, reducing_gap=2.0)), *size
    )


def prepare_frame(frame: Frame, contract: "InputContract") -> Prepared:
    """The same for a picture that is decoded already: the numbers that a lossless file of it would give."""
    started = time.perf_counter()
    return _numbers(preprocess.fit(frame, contract), contract, 0.0, started)


def _numbers(canvas: Canvas, contract: "InputContract", decode_s: float, since: float) -> Prepared:
    tensor = preprocess.tensor(canvas.pixels, contract)
    return Prepared(tensor, canvas.fit, decode_s * 1e3, (time.perf_counter() - since) * 1e3)


def frame(data: bytes, limits: codec.Limits, hint: codec.Size | None) -> Frame:
    """Decode."""
    return codec.decode(data, limits, hint)


def clean(data: bytes, limits: codec.Limits) -> Cleaned:
    """The picture again, upright sRGB without metadata: JPEG where it was lossy, else PNG.

    Never larger than a picture that may be sent, for it will be read again: then a JPEG of less quality.
    """
    kind = codec.sniff(data)
    image, (width, height), _ = codec.open_rgb(data, limits)
    ways = [] if kind in _LOSSY else [("image/png", CLEAN_QUALITY)]
    for media_type, quality in [*ways, *(("image/jpeg", q) for q in (CLEAN_QUALITY, 80, 60))]:
        file = codec.encode_image(image, media_type, quality)
        if len(file) <= limits.bytes_max:
            return file, media_type, width, height
    raise PictureTooLarge("The picture cannot be stored within the limit of bytes.")


def draw(data: bytes, limits: codec.Limits, result: "Result", media_type: str) -> bytes:
    """The picture with the result drawn on it, as a file."""
    image = codec.open_rgb(data, limits).image
    annotate.paint(image, result)
    return codec.encode_image(image, media_type, CLEAN_QUALITY, drawing=True)


def thumbnail(data: bytes, limits: codec.Limits, side: int) -> bytes:
    """A JPEG whose longer side has at most ``side`` pixels; small pictures are not enlarged."""
    image, full, seen = codec.open_rgb(data, limits, lambda w, h: _within(side, w, h))
    small = image.resize(_within(side, *full), Image.Resampling.LANCZOS, box=seen)
    return codec.encode_image(small, "image/jpeg", THUMBNAIL_QUALITY)


def thumbnail_of(frame: Frame, side: int) -> bytes:
    """The same of a picture that is decoded already."""
    image = Image.fromarray(frame.pixels)
    size = _within(side, frame.width, frame.height)
    if image.size != size or frame.seen:
        image = image.resize(size, Image.Resampling.BILINEAR, box=frame.seen, reducing_gap=2.0)
    return codec.encode_image(image, "image/jpeg", THUMBNAIL_QUALITY)


def _within(side: int, width: int, height: int) -> codec.Size:
    """The size with the longer side at most ``side``."""
    scale = min(1.0, side / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))
