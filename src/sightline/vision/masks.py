"""Masks: paste, COCO run lengths, and back. A mask lies in a patch, never in an array of the whole picture.

COCO run lengths (cocoapi, ``maskApi.c``) count pixels column by column, zeros first. The compressed
form writes each count, from the fourth on as the difference to the count two before, in groups of
five bits, lowest first, with bit 6 set when more groups follow and 48 added to make it ASCII.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, overload

import numpy as np
import numpy.typing as npt

from sightline.errors import BadOption
from sightline.types import Bool, Float32, Int64, Mask

Extent: TypeAlias = tuple[float, float, float, float]
"""x1, y1, x2, y2 in continuous pixels of the original."""
Region: TypeAlias = tuple[int, int, int, int]
"""left, top, right, bottom in whole pixels of the original; right and bottom are outside."""

EMPTY = Mask(np.zeros((0, 0), np.bool_), 0, 0)
_CHUNK = 1 << 20
_PIXELS_MAX = 1 << 28


def paste(field: Float32, extent: Extent, region: Region, threshold: float, *, outside: float | None) -> Mask:
    """Where a small field, stretched over ``extent`` of the original, is above ``threshold``.

    field: (h, w) values at the centres of equal cells that tile ``extent``; bilinear between them.
    Beyond the outermost centres the field goes to ``outside`` one cell further on (None: stays as it is).
    region: the pixels of the original that are looked at. Big regions are done in strips of rows.
    """
    left, top, right, bottom = region
    if right <= left or bottom <= top:
        return EMPTY
    if outside is not None:
        field, extent = _framed(field, extent, outside)
    x0, x1, across = _taps(left, right, extent[0], extent[2], field.shape[1])
    y0, y1, down = _taps(top, bottom, extent[1], extent[3], field.shape[0])
    field = field[y0[0] : y1[-1] + 1]
    y0, y1 = y0 - y0[0], y1 - y0[0]
    wide = field[:, x0]  # interpolate along x once per row of the field, not once per row of the picture
    wide += (field[:, x1] - wide) * across
    bits = np.empty((bottom - top, right - left), np.bool_)
    rows = max(1, _CHUNK // (right - left))
    for start in range(0, len(bits), rows):
        part = slice(start, start + rows)
        low = wide[y0[part]]
        value = wide[y1[part]]
        value -= low
        value *= down[part, None]
        value += low
        np.greater(value, threshold, out=bits[part])
    return Mask(bits, left, top)


def _framed(field: Float32, extent: Extent, outside: float) -> tuple[Float32, Extent]:
    height, width = field.shape
    step_x, step_y = (extent[2] - extent[0]) / width, (extent[3] - extent[1]) / height
    wider = (extent[0] - step_x, extent[1] - step_y, extent[2] + step_x, extent[3] + step_y)
    return np.pad(np.asarray(field, np.float32), 1, constant_values=outside), wider


def _taps(first: int, last: int, low: float, high: float, cells: int) -> tuple[Int64, Int64, Float32]:
    """For each pixel centre in first..last: the two cells around it and the share of the second."""
    at = (np.arange(first, last) + 0.5 - low) * (cells / (high - low)) - 0.5
    at = np.clip(at, 0, cells - 1)
    cell = np.minimum(at.astype(np.int64), max(cells - 2, 0))
    return cell, np.minimum(cell + 1, cells - 1), (at - cell).astype(np.float32)


def region_of(extent: Extent, width: int, height: int) -> Region:
    """The whole pixels that a box touches, inside a picture of ``width`` x ``height``."""
    left, top = max(0, int(np.floor(extent[0]))), max(0, int(np.floor(extent[1])))
    return left, top, min(width, int(np.ceil(extent[2]))), min(height, int(np.ceil(extent[3])))


class LaterMasks(Sequence[Mask]):
    """Masks that are drawn when they are looked at, each once. Copies and pickles of it are drawn."""

    def __init__(self, count: int, draw: Callable[[int], Mask]) -> None:
        """``draw`` gives the mask at a position from 0 to ``count`` - 1."""
        self._count, self._draw = count, draw
        self._drawn: dict[int, Mask] = {}

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> Mask: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Mask, ...]: ...

    def __getitem__(self, index: int | slice) -> Mask | tuple[Mask, ...]:
        """Those at an index, drawn now if they were not yet."""
        if isinstance(index, slice):
            return tuple(self[position] for position in range(*index.indices(self._count)))
        position = range(self._count)[index]
        if position not in self._drawn:
            with np.errstate(all="ignore"):  # wild numbers draw something wild, and no warning
                self._drawn[position] = self._draw(position)
        return self._drawn[position]

    def __reduce__(self) -> tuple[type, tuple[tuple[Mask, ...]]]:
        """What crosses to another process is drawn."""
        return tuple, (tuple(self),)


def trim(mask: Mask) -> Mask:
    """The same mask in the smallest patch that holds it; EMPTY when no pixel is set."""
    rows, columns = np.flatnonzero(mask.bits.any(1)), np.flatnonzero(mask.bits.any(0))
    if not len(rows):
        return EMPTY
    top, bottom, left, right = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
    if mask.bits.shape == (bottom - top, right - left):
        return mask
    return Mask(mask.bits[top:bottom, left:right].copy(), mask.left + left, mask.top + top)


def full(mask: Mask, width: int, height: int) -> Bool:
    """(height, width) of the whole picture: for tests and for small pictures."""
    picture = np.zeros((height, width), np.bool_)
    rows, columns = mask.bits.shape
    picture[mask.top : mask.top + rows, mask.left : mask.left + columns] = mask.bits
    return picture


def to_counts(mask: Mask, width: int, height: int) -> list[int]:
    """Mask -> COCO run lengths of a picture of ``width`` x ``height``, zeros first, down each column."""
    rows, columns = mask.bits.shape
    if mask.left < 0 or mask.top < 0 or mask.left + columns > width or mask.top + rows > height:
        place = f"A mask of {columns} x {rows} at ({mask.left}, {mask.top})"
        msg = f"{place} leaves the picture of {width} x {height}."
        raise ValueError(msg)
    framed = np.zeros((columns, rows + 2), np.int8)
    framed[:, 1:-1] = mask.bits.T
    step = np.diff(framed, axis=1)
    offset = (np.arange(columns) + mask.left) * height + mask.top
    column, row = np.nonzero(step == 1)
    starts = offset[column] + row
    column, row = np.nonzero(step == -1)
    ends = offset[column] + row
    if len(starts) > 1:  # a run that reaches the bottom goes on at the top of the next column
        apart = starts[1:] != ends[:-1]
        starts, ends = starts[np.r_[True, apart]], ends[np.r_[apart, True]]
    edges = np.empty(2 * len(starts) + 2, np.int64)
    edges[0], edges[-1] = 0, width * height
    edges[1:-1:2], edges[2:-1:2] = starts, ends
    counts: list[int] = np.diff(edges).tolist()
    return counts[:-1] if len(counts) > 1 and counts[-1] == 0 else counts


def from_counts(counts: list[int] | Int64, width: int, height: int) -> Mask:
    """COCO run lengths -> the mask, trimmed; BadOption when they do not add up to the picture."""
    run = np.asarray(counts, np.int64)
    if width < 1 or height < 1 or width * height > _PIXELS_MAX:
        msg = f"A mask of {width} x {height} pixels cannot be read; at most {_PIXELS_MAX} pixels are."
        raise BadOption(msg)
    if run.ndim != 1 or (run < 0).any() or (run > width * height).any() or run.sum() != width * height:
        msg = f"Run lengths must be positive and add up to {width * height} pixels."
        raise BadOption(msg)
    edges = np.cumsum(run)
    starts, ends = edges[:-1:2], edges[1::2]
    starts = starts[: len(ends)]
    some = ends > starts
    if not some.any():
        return EMPTY
    first = int(starts[some][0]) // height
    last = (int(ends[some][-1]) - 1) // height + 1
    inside = np.clip(np.concatenate([[0], edges]), first * height, last * height)
    lengths = np.diff(inside)
    bits = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths).reshape(last - first, height)
    return trim(Mask(np.ascontiguousarray(bits.T), first, 0))


def compress(counts: list[int]) -> str:
    """Run lengths -> the ASCII string of COCO."""
    value = np.array(counts, np.int64)
    value[3:] = value[3:] - np.array(counts, np.int64)[1:-2]
    columns = []
    going = np.ones(len(value), np.bool_)
    while going.any():
        group = value & 0x1F
        value = value >> 5
        more = np.where(group & 0x10, value != -1, value != 0)
        columns.append(np.where(going, group + 48 + 32 * more, 0))
        going &= more
    letters = np.stack(columns, 1).astype(np.uint8)
    return letters[letters > 0].tobytes().decode("ascii")


def expand(text: str) -> Int64:
    """The ASCII string of COCO -> run lengths; BadOption when it is no such string."""
    code = np.frombuffer(text.encode("ascii", "replace"), np.uint8).astype(np.int64) - 48
    more = (code & 0x20) > 0
    if not len(code) or code.min() < 0 or code.max() > 63 or more[-1]:
        msg = "A mask's 'counts' must be a COCO run length string; this one is damaged."
        raise BadOption(msg)
    first = np.flatnonzero(np.concatenate([[True], ~more[:-1]]))
    place = np.arange(len(code)) - np.repeat(first, np.diff(np.append(first, len(code))))
    if place.max() > 8:
        msg = "A mask's 'counts' holds a number that no picture needs."
        raise BadOption(msg)
    value = np.add.reduceat((code & 0x1F) << (5 * place), first)
    last = np.append(first[1:], len(code)) - 1
    negative = (code[last] & 0x10) > 0
    value = value - np.where(negative, np.int64(1) << (5 * (place[last] + 1)), 0)
    value[1::2] = np.cumsum(value[1::2])
    value[2::2] = np.cumsum(value[2::2])
    return value


def to_rle(mask: Mask, width: int, height: int) -> dict[str, Any]:
    """``{"size": [height, width], "counts": "<string>"}`` as COCO's tools read it."""
    return {"size": [height, width], "counts": compress(to_counts(mask, width, height))}


def from_rle(rle: dict[str, Any]) -> Mask:
    """The inverse of ``to_rle``; counts may be the string or a plain list."""
    size, counts = rle.get("size"), rle.get("counts")
    if not isinstance(size, list) or len(size) != 2 or not all(isinstance(side, int) for side in size):
        msg = f"A mask's 'size' must be [height, width] in pixels, got {size!r}."
        raise BadOption(msg)
    if isinstance(counts, str):
        return from_counts(expand(counts), size[1], size[0])
    if isinstance(counts, list) and all(isinstance(count, int) for count in counts):
        return from_counts(counts, size[1], size[0])
    msg = "A mask's 'counts' must be a string or a list of whole numbers."
    raise BadOption(msg)


def pixels(mask: Mask) -> int:
    """How many pixels are set."""
    return int(np.count_nonzero(mask.bits))


def shared(first: Mask, second: Mask) -> int:
    """How many pixels are set in both."""
    left, top = max(first.left, second.left), max(first.top, second.top)
    right = min(mask.left + mask.bits.shape[1] for mask in (first, second))
    bottom = min(mask.top + mask.bits.shape[0] for mask in (first, second))
    if right <= left or bottom <= top:
        return 0
    parts = (
        mask.bits[top - mask.top : bottom - mask.top, left - mask.left : right - mask.left]
        for mask in (first, second)
    )
    return int(np.count_nonzero(np.logical_and(*parts)))


def regions(bits: Bool) -> tuple[npt.NDArray[np.int64], int]:
    """Connected regions (over edges, not corners): (h, w) region numbers from 1, 0 outside; how many.

    Runs of each row are joined with the runs they touch in the next row; labels sink to the smallest
    of their region by hooking and pointer jumping, so the work is a few passes over the runs.
    """
    height, width = bits.shape
    step = np.diff(np.pad(bits.astype(np.int8), ((0, 0), (1, 1))), axis=1).reshape(-1)
    starts, ends = np.flatnonzero(step == 1), np.flatnonzero(step == -1)  # in rows of width + 1
    below = width + 1
    low, high = np.searchsorted(ends, starts + below, "right"), np.searchsorted(starts, ends + below, "left")
    length = np.maximum(high - low, 0)
    a = np.repeat(np.arange(len(starts)), length)
    b = np.arange(len(a)) - np.repeat(np.cumsum(length) - length, length) + np.repeat(low, length)
    label = np.arange(len(starts))
    while len(a) and (label[a] != label[b]).any():
        least, most = np.minimum(label[a], label[b]), np.maximum(label[a], label[b])
        np.minimum.at(label, most, least)
        while (label != label[label]).any():
            label = label[label]
    _, number = np.unique(label, return_inverse=True)
    framed = np.zeros(height * below + 1, np.int64)
    framed[starts] = number + 1
    np.add.at(framed, ends, -(number + 1))
    return np.cumsum(framed[:-1]).reshape(height, below)[:, :width], int(number.max(initial=-1)) + 1
