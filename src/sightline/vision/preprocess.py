"""Frame + input contract -> canvas + tensor.

Two steps: ``fit`` (resize, on uint8) and ``tensor`` (colour order, scale, layout). The served road takes
both in the decoder's child (``vision.tasks.prepare``).
"""

import math
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from sightline.errors import BadOption
from sightline.types import Canvas, Fit, Float32, Frame, Prepared, UInt8

if TYPE_CHECKING:  # decode children run this module and do without pydantic
    from sightline.manifest import InputContract

Tensor: TypeAlias = npt.NDArray[Any]
_Box: TypeAlias = tuple[float, float, float, float]

_REDUCING_GAP = 2.0
"""Pictures over twice the target are first averaged in whole blocks; hardly visible, several times faster."""
_CROP_SLACK = 0.93
"""Classifiers take a decode that is a hair under their size: 640 x 480 then decodes at half size for a
224 crop of 256 (0.94 of it), which halves the cost. Measured on 120 photographs with MobileNetV2: the
mean top probability stays the same (0.487; bicubic instead of bilinear gives 0.489)."""


def fit(frame: Frame, contract: "InputContract") -> Canvas:
    """Resize a frame to the model's input.

    Bilinear with the support widened when shrinking (antialiased), as Pillow and torchvision do it.
    ``Canvas.fit`` speaks of the original's pixels even when ``frame`` is a scaled decode.
    """
    return fit_image(Image.fromarray(frame.pixels), frame.width, frame.height, contract, frame.seen)


def fit_image(
    image: Image.Image, width: int, height: int, contract: "InputContract", seen: _Box | None = None
) -> Canvas:
    """The same for an upright RGB Pillow picture, which may be a scaled decode of ``width`` x ``height``.

    ``seen``: where the picture lies in ``image``, see ``Frame.seen``.
    """
    record, box, content = _plan(width, height, contract)
    left, top, right, low = seen or (0.0, 0.0, float(image.width), float(image.height))
    share_x, share_y = (right - left) / width, (low - top) / height
    source = (
        left + box[0] * share_x,
        top + box[1] * share_y,
        min(left + box[2] * share_x, image.width),
        min(top + box[3] * share_y, image.height),
    )
    resized = image.resize(content, Image.Resampling.BILINEAR, box=source, reducing_gap=_REDUCING_GAP)
    left, top = round(max(record.left, 0)), round(max(record.top, 0))
    size = (record.canvas_width, record.canvas_height)
    if content == size:
        return Canvas(np.asarray(resized), record)
    pixels = np.full((size[1], size[0], 3), contract.pad_value, np.uint8)
    pixels[top : top + content[1], left : left + content[0]] = np.asarray(resized)
    return Canvas(pixels, record)


def hint(contract: "InputContract", width: int, height: int) -> tuple[int, int]:
    """The smallest useful (width, height) of the whole upright picture for this model.

    Never larger than the picture; decoders that can scale while decoding (JPEG) may stop there.
    """
    record, _, _ = _plan(width, height, contract)
    slack = _CROP_SLACK if contract.resize == "crop" else 1.0
    return (
        min(width, max(1, math.ceil(width * record.scale_x * slack))),
        min(height, max(1, math.ceil(height * record.scale_y * slack))),
    )


def shape(contract: "InputContract", canvas_width: int, canvas_height: int) -> tuple[int, int, int]:
    """Shape of one picture's tensor, without the batch axis."""
    if contract.layout == "NHWC":
        return (canvas_height, canvas_width, 3)
    return (3, canvas_height, canvas_width)


def tensor(pixels: UInt8, contract: "InputContract") -> Tensor:
    """(h, w, 3) RGB uint8 -> the model's numbers, (3, h, w) or (h, w, 3).

    ``x = (pixel * scale - mean) / std`` in the order of ``contract.color``. No temporary is larger than
    the ufunc machinery's own few kilobytes.
    """
    out = np.empty(shape(contract, pixels.shape[1], pixels.shape[0]), contract.dtype)
    if contract.layout == "NHWC" and len(set(zip(contract.mean, contract.std, strict=True))) == 1:
        np.copyto(out, pixels if contract.color == "RGB" else pixels[..., ::-1])  # memory in one sweep
        if contract.dtype == "float32":
            _normalise(out, contract, 0)
        return out
    for channel in range(3):
        source = pixels[..., channel if contract.color == "RGB" else 2 - channel]
        target = out[..., channel] if contract.layout == "NHWC" else out[channel]
        np.copyto(target, source)
        if contract.dtype == "float32":
            _normalise(target, contract, channel)
    return out


def halved(picture: Prepared, contract: "InputContract") -> Prepared:
    """The same picture on a canvas of half the side, for a second look.

    Bilinear with the support widened, as ``fit`` does it: each number is the sum of 4 x 4, weighted by
    1, 3, 3, 1 eighths along both axes. ``contract`` is the picture's; both sides of its canvas are even.
    """
    fit, rows, columns = picture.fit, *((0, 1) if contract.layout == "NHWC" else (1, 2))
    less = _half_along(_half_along(picture.tensor.astype(np.float32, copy=False), rows), columns)
    if contract.dtype == "uint8":
        less = np.rint(less)
    scale, offset = (fit.scale_x / 2, fit.scale_y / 2), (fit.left / 2, fit.top / 2)
    canvas = (fit.canvas_width // 2, fit.canvas_height // 2)
    fitted = Fit(*scale, *offset, fit.width, fit.height, *canvas)
    return Prepared(np.ascontiguousarray(less, contract.dtype), fitted)


def _half_along(numbers: Float32, axis: int) -> Float32:
    """Half as many numbers along an axis; the last one at each edge stands for those beyond it."""
    first = np.moveaxis(numbers, axis, 0)
    even, odd = first[::2], first[1::2]
    half = even + odd
    half *= np.float32(3)
    half[1:] += odd[:-1]
    half[0] += even[0]
    half[:-1] += even[1:]
    half[-1] += odd[-1]
    half *= np.float32(1 / 8)
    return np.asarray(np.moveaxis(half, 0, axis))


def _normalise(target: Tensor, contract: "InputContract", channel: int) -> None:
    """In place ``target * factor + bias``; a step that would change nothing is not taken."""
    factor = np.float32(contract.scale / contract.std[channel])
    bias = np.float32(-contract.mean[channel] / contract.std[channel])
    if factor != 1:
        np.multiply(target, factor, out=target)
    if bias != 0:
        np.add(target, bias, out=target)


def _plan(width: int, height: int, contract: "InputContract") -> tuple[Fit, _Box, tuple[int, int]]:
    """The record, the box of the original that is used, and the size it gets on the canvas."""
    if width < 1 or height < 1:
        msg = f"A picture must have at least one pixel a side, got {width} x {height}."
        raise BadOption(msg)
    canvas = (contract.width, contract.height)
    whole = (0.0, 0.0, float(width), float(height))
    match contract.resize:
        case "stretch":
            record = Fit(canvas[0] / width, canvas[1] / height, 0, 0, width, height, *canvas)
            return record, whole, canvas
        case "crop":
            return _crop(width, height, contract)
        case "short_side":
            content, canvas = _short_side(width, height, contract)
        case _:
            scale = min(canvas[0] / width, canvas[1] / height)
            content = (max(1, round(width * scale)), max(1, round(height * scale)))
    left, top = 0, 0
    if contract.resize == "letterbox" and contract.anchor == "center":
        left, top = (canvas[0] - content[0]) // 2, (canvas[1] - content[1]) // 2
    record = Fit(content[0] / width, content[1] / height, left, top, width, height, *canvas)
    return record, whole, content


def _crop(width: int, height: int, contract: "InputContract") -> tuple[Fit, _Box, tuple[int, int]]:
    """Fill the canvas, cut the overhang at the centre."""
    canvas = (contract.width, contract.height)
    scale = max(canvas[0] / width, canvas[1] / height) / contract.crop_fraction
    seen_w, seen_h = min(canvas[0] / scale, width), min(canvas[1] / scale, height)
    x, y = (width - seen_w) / 2, (height - seen_h) / 2
    scale_x, scale_y = canvas[0] / seen_w, canvas[1] / seen_h
    record = Fit(scale_x, scale_y, -x * scale_x, -y * scale_y, width, height, *canvas)
    return record, (x, y, x + seen_w, y + seen_h), canvas


def _short_side(
    width: int, height: int, contract: "InputContract"
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Content and canvas size: the short side as asked, nothing beyond the contract's canvas."""
    step = contract.multiple_of
    most = (max(step, contract.width // step * step), max(step, contract.height // step * step))
    scale = min(contract.short_side / min(width, height), most[0] / width, most[1] / height)
    content = (max(1, round(width * scale)), max(1, round(height * scale)))
    return content, (math.ceil(content[0] / step) * step, math.ceil(content[1] / step) * step)
