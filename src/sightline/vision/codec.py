"""Bytes -> upright RGB pixels and back. Limits come before pixels.

The order is the safety: size in bytes, kind by its first bytes (names and content types are not
trusted), limits from the header, and only then Pillow's decoder for that one kind. What Pillow
throws (it raises a dozen kinds of exception) leaves here as one of four errors. A decoder can
still hang, crash or eat memory: the server therefore calls this in a child process that can be killed
(``sightline.serving.decoder``); evaluation and training may call it directly on their own files.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import numpy as np
from PIL import Image

from sightline.errors import BadOption, NotAPicture, PictureTooComplex, PictureTooLarge, SightlineError
from sightline.types import Frame, UInt8

if TYPE_CHECKING:
    from sightline.settings import Settings

Size: TypeAlias = tuple[int, int]
Box: TypeAlias = tuple[float, float, float, float]
Hint: TypeAlias = Size | Callable[[int, int], Size] | None
"""Smallest useful (width, height) of the upright picture, or a function of its full size that tells it."""

PLUGINS: Final = {
    "jpeg": ("JPEG", "PIL.JpegImagePlugin"),
    "png": ("PNG", "PIL.PngImagePlugin"),
    "webp": ("WEBP", "PIL.WebPImagePlugin"),
    "gif": ("GIF", "PIL.GifImagePlugin"),
    "bmp": ("BMP", "PIL.BmpImagePlugin"),
    "tiff": ("TIFF", "PIL.TiffImagePlugin"),
    "avif": ("AVIF", "PIL.AvifImagePlugin"),
}
"""The kinds that are read, by the name that ``sniff`` gives: Pillow's name and its module."""

ENCODERS: Final = {"image/jpeg": "JPEG", "image/png": "PNG", "image/webp": "WEBP"}
"""Media types that ``encode`` writes."""

_STRIP_PIXELS: Final = 1 << 20
_LARGE_PIXELS: Final = 8 << 20
"""Pictures over this are handled with care for memory, smaller ones fast."""
_ORIENTATION_TAG: Final = 0x0112
_TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF 2.32, tag 0x0112: how the stored picture is turned to stand upright."""


_ACROSS: Final = {_TURNS[number] for number in (5, 6, 7, 8)}
"""The turns that swap the sides."""
_FLIPS: Final = {
    Image.Transpose.FLIP_LEFT_RIGHT: (1, -1),
    Image.Transpose.ROTATE_180: (-1, -1),
    Image.Transpose.FLIP_TOP_BOTTOM: (-1, 1),
    Image.Transpose.TRANSPOSE: (1, 1),
    Image.Transpose.ROTATE_270: (1, -1),
    Image.Transpose.TRANSVERSE: (-1, -1),
    Image.Transpose.ROTATE_90: (-1, 1),
}
"""The steps through rows and columns of a turned picture, once the sides are swapped where they are."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a picture may be before its pixels are looked at."""

    bytes_max: int = 25 << 20
    jpeg_pixels_max: int = 64_000_000
    pixels_max: int = 16_000_000
    side_max: int = 16_384
    scans_max: int = 100

    @classmethod
    def of(cls, settings: "Settings") -> "Limits":
        """The limits that the settings ask for."""
        return cls(
            bytes_max=int(settings.upload_max_mb * (1 << 20)),
            jpeg_pixels_max=int(settings.jpeg_max_mp * 1e6),
            pixels_max=int(settings.picture_max_mp * 1e6),
            side_max=settings.side_max,
            scans_max=settings.jpeg_scans_max,
        )


def sniff(data: bytes) -> str:
    """The kind of picture by its first bytes: a key of ``PLUGINS``.

    Raises:
        NotAPicture: No kind that is read here.
    """
    if data[:3] == b"\xff\xd8\xff":
        return "jpeg"
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return "png"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    if data[:6] in {b"GIF87a", b"GIF89a"}:
        return "gif"
    if data[:2] == b"BM":
        return "bmp"
    if data[:4] in {b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"}:
        return "tiff"
    if _is_avif(data):
        return "avif"
    raise NotAPicture(_what_it_is(data))


def decode(data: bytes, limits: Limits, hint: Hint = None) -> Frame:
    """Bytes -> upright RGB frame; the first picture of an animated or paged file.

    A JPEG is decoded at 1/2, 1/4 or 1/8 where that still covers ``hint``; ``Frame.width`` and ``height`` stay
    those of the full picture.

    Raises:
        NotAPicture: Not one of the kinds that are read, or damaged.
        PictureTooLarge: Over a limit.
        PictureTooComplex: Too many scans, or more memory than there is.
    """
    opened = open_rgb(data, limits, hint)
    return Frame(pixels_of(opened.image), *opened.size, seen=opened.seen)


class Opened(NamedTuple):
    """A picture that is open."""

    image: Image.Image
    """Pillow's own picture, mode RGB, upright."""
    size: Size
    """Full (width, height), upright."""
    seen: Box
    """Where the picture lies in ``image``: 1001 columns at 1/8 are 125.125, but ``image`` has 126."""


def open_rgb(data: bytes, limits: Limits, hint: Hint = None) -> Opened:
    """As ``decode``, but Pillow's own picture."""
    check_bytes(data, limits)
    kind = sniff(data)
    try:
        return _read(data, kind, limits, hint)
    except SightlineError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise PictureTooLarge(
            f"The {kind.upper()} file declares more pixels than any limit allows."
        ) from error
    except MemoryError as error:
        raise PictureTooComplex(f"Decoding the {kind.upper()} file takes more memory than it may.") from error
    except Exception as error:  # Pillow raises OSError, SyntaxError, ValueError, struct.error, KeyError, …
        how = "is cut off before its end" if "truncated" in str(error).lower() else "is damaged"
        raise NotAPicture(f"The {kind.upper()} file {how}; its pixels cannot be read.") from error


def pixels_of(image: Image.Image) -> UInt8:
    """Mode RGB -> (h, w, 3), in strips: all at once, Pillow takes twice the answer's memory on the way."""
    if image.width * image.height <= _STRIP_PIXELS:
        return np.asarray(image)
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    rows = max(1, _STRIP_PIXELS // image.width)
    for top in range(0, image.height, rows):
        bottom = min(top + rows, image.height)
        pixels[top:bottom] = np.asarray(image.crop((0, top, image.width, bottom)))
    return pixels


def check_bytes(data: bytes, limits: Limits) -> None:
    """Refuse a file over the limit of bytes with ``PictureTooLarge``."""
    if len(data) > limits.bytes_max:
        has, most = len(data) / (1 << 20), limits.bytes_max / (1 << 20)
        raise PictureTooLarge(f"The picture has {has:.1f} MiB, the limit is {most:g} MiB.")


def encode(pixels: UInt8, media_type: str, quality: int = 90) -> bytes:
    """(h, w, 3) RGB -> a file of ``image/jpeg``, ``image/png`` or ``image/webp``, without any metadata.

    Raises:
        BadOption: Another media type.
    """
    return encode_image(Image.fromarray(pixels), media_type, quality)


def encode_image(image: Image.Image, media_type: str, quality: int = 90, *, drawing: bool = False) -> bytes:
    """As ``encode``, from Pillow's own picture (mode RGB). ``drawing``: keep thin coloured lines sharp."""
    name = ENCODERS.get(media_type)
    if name is None:
        raise BadOption(f"Pictures are written as {', '.join(ENCODERS)}; got {media_type!r}.")
    image.info = {}  # Pillow would carry comments and profiles over
    options: dict[str, Any] = {"quality": quality}
    if name == "PNG":
        options = {"compress_level": 4 if image.width * image.height <= 4 * _STRIP_PIXELS else 1}
    elif name == "JPEG":
        options |= {"subsampling": 0 if drawing else 2, "optimize": False}
    target = BytesIO()
    image.save(target, name, **options)
    return target.getvalue()


def warm_up() -> None:
    """Import every decoder now, so that the first picture does not wait and no file is opened later."""
    Image.preinit()  # `Image.open` does, and would import plugins where no file can be opened any more
    importlib.import_module("PIL.MpoImagePlugin")  # a JPEG with several pictures turns into it
    for _, module in PLUGINS.values():
        importlib.import_module(module)
    avif: Any = importlib.import_module("PIL.AvifImagePlugin")
    avif.DEFAULT_MAX_THREADS = 1  # one picture, one thread: processes are the parallelism


def _read(data: bytes, kind: str, limits: Limits, hint: Hint) -> Opened:
    from sightline.vision.srgb import to_srgb  # noqa: PLC0415 - keeps ImageCms out of those who only sniff

    _check_header(data, kind, limits)
    name, module = PLUGINS[kind]
    importlib.import_module(module)
    with Image.open(BytesIO(data), formats=(name,)) as image:
        _check_size(kind, *image.size, limits)
        before = _orientation(image) if kind == "jpeg" else 1
        full = image.size[::-1] if before >= 5 else image.size
        drafted = None
        if kind == "jpeg" and hint is not None:
            wanted = hint(*full) if callable(hint) else hint
            drafted = image.draft(image.mode, wanted[::-1] if before >= 5 else wanted)
        image.load()
        _check_size(kind, *image.size, limits)  # what was decoded may differ from what was declared
        turn = _TURNS.get(_orientation(image))
        ends = drafted[1][2:] if drafted else image.size
        seen = _seen(image.size, ends, turn)
        plain = to_srgb(image)  # before it is turned: never more than two pictures are held
        if plain is not image:
            image.close()
    upright = plain if turn is None else _turned(plain, turn)
    return Opened(upright, full if kind == "jpeg" else upright.size, seen)


def _seen(size: Size, ends: tuple[float, float], turn: Image.Transpose | None) -> Box:
    """Where a picture that fills the first ``ends`` of ``size`` as stored lies, once it is turned."""
    (width, height), (right, low) = size, ends
    if turn in _ACROSS:
        (width, height), (right, low) = (height, width), (low, right)
    down, across = _FLIPS[turn] if turn is not None else (1, 1)
    left, top = (width - right) * (across < 0), (height - low) * (down < 0)
    return left, top, left + right, top + low


def _turned(image: Image.Image, turn: Image.Transpose) -> Image.Image:
    """Mode RGB, turned; ``image`` is used up.

    Pillow takes four bytes a pixel. Two large pictures would be all the memory that a decode child has, so
    those go over an array with three, in strips.
    """
    if image.width * image.height <= _LARGE_PIXELS:
        return image.transpose(turn)
    pixels = pixels_of(image)
    image.close()
    if turn in _ACROSS:
        pixels = pixels.swapaxes(0, 1)
    down, right = _FLIPS[turn]
    pixels = pixels[::down, ::right]
    upright = Image.new("RGB", pixels.shape[1::-1])
    rows = max(1, _STRIP_PIXELS // upright.width)
    for top in range(0, upright.height, rows):
        upright.paste(Image.fromarray(np.ascontiguousarray(pixels[top : top + rows])), (0, top))
    return upright


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 where there is none or it cannot be read."""
    try:
        value = image.getexif().get(_ORIENTATION_TAG, 1)
    except Exception:  # noqa: BLE001 - a broken EXIF block says nothing about the picture
        return 1
    return value if isinstance(value, int) and value in _TURNS else 1


def _check_header(data: bytes, kind: str, limits: Limits) -> None:
    """What must be known before Pillow opens the file."""
    if kind == "jpeg":
        scans = data.count(b"\xff\xda")
        if scans > limits.scans_max:
            raise PictureTooComplex(f"The JPEG has {scans} scans, the limit is {limits.scans_max}.")
    elif kind == "webp":  # Pillow asks for the memory of the whole canvas while opening
        _check_size(kind, *_webp_size(data), limits)


def _webp_size(data: bytes) -> Size:
    """Canvas of a WebP by its first chunk; (0, 0) where it is not sound (RFC 9649, section 2)."""
    chunk, body = data[12:16], data[20:30]
    if chunk == b"VP8X" and len(body) == 10:
        return int.from_bytes(body[4:7], "little") + 1, int.from_bytes(body[7:10], "little") + 1
    if chunk == b"VP8L" and len(body) >= 5:
        bits = int.from_bytes(body[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if chunk == b"VP8 " and len(body) == 10:
        return (
            int.from_bytes(body[6:8], "little") & 0x3FFF,
            int.from_bytes(body[8:10], "little") & 0x3FFF,
        )
    return 0, 0


def _check_size(kind: str, width: int, height: int, limits: Limits) -> None:
    if width <= 0 or height <= 0:
        raise NotAPicture(f"The {kind.upper()} file is damaged: it declares {width} x {height} pixels.")
    if max(width, height) > limits.side_max:
        raise PictureTooLarge(
            f"The picture has {width} x {height} pixels; a side may have at most {limits.side_max}."
        )
    most = limits.jpeg_pixels_max if kind == "jpeg" else limits.pixels_max
    if width * height > most:
        has = width * height / 1e6
        raise PictureTooLarge(
            f"The picture has {has:.1f} megapixels; a {kind.upper()} may have at most {most / 1e6:g}."
        )


def _is_avif(data: bytes) -> bool:
    return bool(_brands(data) & {b"avif", b"avis"})


def _brands(data: bytes) -> set[bytes]:
    """Brands of an ISO base media file (ISO/IEC 14496-12, box ``ftyp``); empty for anything else."""
    if data[4:8] != b"ftyp":
        return set()
    end = min(int.from_bytes(data[:4], "big"), len(data), 256)
    return {data[8:12]} | {data[at : at + 4] for at in range(16, end - 3, 4)}


def _is_video(data: bytes) -> bool:
    """MP4, QuickTime and 3GP; WebM and Matroska; AVI; MPEG transport streams."""
    return (
        bool(_brands(data))
        or data[:4] == b"\x1a\x45\xdf\xa3"
        or (data[:4] == b"RIFF" and data[8:12] == b"AVI ")
        or (len(data) > 376 and data[0] == data[188] == data[376] == 0x47)
    )


def _what_it_is(data: bytes) -> str:
    if not data:
        return "The file is empty."
    if _brands(data) & {b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1"}:
        return "The file is a HEIC picture, which Sightline does not read; save it as JPEG."
    if _is_video(data):
        return (
            "The file is a video, not a picture. `sightline watch FILE --every-frame` looks at its frames; "
            "a job of the kind `video` makes an annotated film of it."
        )
    start = data[:256].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<svg", b"<?xml")):
        return "The file is a drawing (SVG or XML), not a picture of pixels."
    if start.startswith(b"%pdf"):
        return "The file is a PDF; save the page as a picture."
    return "The file is no JPEG, PNG, WebP, GIF, BMP, TIFF or AVIF picture."
