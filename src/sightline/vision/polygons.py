"""Masks as polygons, and polygons as masks.

Outlines run along pixel edges, so an outline encloses exactly the pixels of its mask before it is
simplified. Holes cannot be said in a list of polygons: the run lengths are the exact form.
"""

import math
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from sightline.types import Bool, Mask

Points: TypeAlias = npt.NDArray[np.float64]
_SMALL_PART = 0.01
_TOLERANCE = 0.5
_LONG = 48
_CORNERS_MAX = 20_000
"""A mask with more corners is traced at half its size: noise would take minutes, and says nothing."""


def from_mask(mask: Mask) -> list[list[float]]:
    """The outer outlines ``[x, y, x, y, …]`` in pixels of the original, the largest part first.

    An outline lies within half a pixel of the exact one; small parts allow less, and on large ones steps
    of a pixel become slopes first. Parts under 1 % of the largest are left out. Pixels that touch only at
    a corner are separate parts. Masks of very many corners are traced at half their size, or less.
    """
    bits, step = mask.bits, 1
    while _corners(bits) > _CORNERS_MAX:
        bits, step = bits[::2, ::2], step * 2
    polygons: list[list[float]] = []
    found = _outer(bits)
    for space, ring in found:
        if space < _SMALL_PART * found[0][0]:
            break
        allowed = min(_TOLERANCE, 0.007 * float(np.sqrt(space)))
        line = simplify(_eased(ring) if allowed >= 0.3 else ring, allowed) * step
        limit = (mask.bits.shape[1], mask.bits.shape[0])
        polygons.append(np.add(np.minimum(line, limit), (mask.left, mask.top)).ravel().tolist())
    return polygons


def _outer(bits: Bool) -> list[tuple[float, Points]]:
    """Area and exact outline of each part, the largest first; holes, which turn the other way, are none."""
    found = [(_area(ring), ring) for ring in _rings(bits)]
    return sorted((pair for pair in found if pair[0] > 0), key=lambda pair: -pair[0])


def _corners(bits: Bool) -> int:
    """How many corners the outlines have, about: places where an edge between rows starts or ends."""
    edge = np.diff(bits, axis=0)
    return int(np.count_nonzero(np.diff(edge, axis=1)))


def _area(ring: Points) -> float:
    """Signed, y down: positive when the inside lies to the right of the way round."""
    x, y = ring[:, 0], ring[:, 1]
    return float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2


def _rings(bits: Bool) -> list[Points]:
    """All outlines as closed rings of corners, outer ones clockwise as seen on the screen.

    A lattice point is a corner when one, three or two diagonal pixels around it are set. Corners of
    one row pair up, in order, into horizontal edges; those of one column into vertical edges.
    Diagonal points count twice and are told apart so that the two pixels do not join.
    """
    framed = np.zeros((bits.shape[0] + 2, bits.shape[1] + 2), np.int8)
    framed[1:-1, 1:-1] = bits
    tl, tr, bl, br = framed[:-1, :-1], framed[:-1, 1:], framed[1:, :-1], framed[1:, 1:]
    total = tl + tr + bl + br
    y, x = np.nonzero((total == 1) | (total == 3))
    dy, dx = np.nonzero((total == 2) & (tl == br))
    if not len(y) + len(dy):
        return []
    falling = tl[dy, dx] == 1  # the set pixels are top left and bottom right
    zero = np.zeros(len(y), np.int64)
    ys, xs = np.concatenate([y, dy, dy]), np.concatenate([x, dx, dx])
    # the copy that owns the edge to the left comes first in its row, the one with the edge up in its column
    in_row = np.concatenate([zero, np.zeros(len(dy), np.int64), np.ones(len(dy), np.int64)])
    in_column = np.concatenate([zero, np.where(falling, 0, 1), np.where(falling, 1, 0)])
    return _walk(xs, ys, _partners(ys, xs, in_row), _partners(xs, ys, in_column), framed)


def _partners(
    line: npt.NDArray[np.intp], along: npt.NDArray[np.intp], copy: npt.NDArray[np.int64]
) -> list[int]:
    order = np.lexsort((copy, along, line))
    partner = np.empty(len(order), np.intp)
    partner[order[::2]], partner[order[1::2]] = order[1::2], order[::2]
    return partner.tolist()


def _walk(
    xs: npt.NDArray[np.intp],
    ys: npt.NDArray[np.intp],
    across: list[int],
    down: list[int],
    framed: npt.NDArray[np.int8],
) -> list[Points]:
    """Go round: one horizontal edge, one vertical edge, until the ring closes; inside to the right."""
    seen = [False] * len(across)
    rings = []
    for start in range(len(across)):
        if seen[start]:
            continue
        ring = []
        at = start
        while not seen[at]:
            seen[at] = True
            ring.append(at)
            at = across[at]
            seen[at] = True
            ring.append(at)
            at = down[at]
        rings.append(_turned(np.stack([xs[ring], ys[ring]], 1).astype(np.float64), framed))
    return rings


def _turned(ring: Points, framed: npt.NDArray[np.int8]) -> Points:
    """The ring in the direction that has set pixels to the right of its first (horizontal) edge."""
    x, y = int(min(ring[0, 0], ring[1, 0])), int(ring[0, 1])
    set_below = framed[y + 1, x + 1] == 1
    goes_right = ring[1, 0] > ring[0, 0]
    return ring if set_below == goes_right else ring[::-1]


def _eased(ring: Points) -> Points:
    """Steps of one pixel -> the middle of the step, so that a stairway becomes the slope it stands for.

    A corner between two longer edges stays.
    """
    edge = np.roll(ring, -1, 0) - ring
    short = np.abs(edge).sum(1) == 1
    corner = ~short & ~np.roll(short, 1)
    both = np.stack([ring, ring + edge / 2], 1).reshape(-1, 2)
    eased = both[np.stack([corner, short], 1).reshape(-1)]
    return eased if len(eased) >= 3 else ring


def simplify(ring: Points, tolerance: float) -> Points:
    """Ramer-Douglas-Peucker on a closed ring (n, 2): at least three points stay."""
    if len(ring) <= 4:
        return ring
    far = int(((ring - ring[0]) ** 2).sum(1).argmax())
    closed = np.concatenate([ring, ring[:1]])
    flat = closed.tolist()
    keep = {0, far, len(ring)}
    stack = [(0, far), (far, len(ring))]
    while stack:
        first, last = stack.pop()
        if last - first < 2:
            continue
        if last - first > _LONG:
            middle = _farthest(closed[first : last + 1], tolerance)
        else:
            middle = _farthest_of_few(flat[first : last + 1], tolerance)
        if middle:
            keep.add(first + middle)
            stack += [(first, first + middle), (first + middle, last)]
    kept = sorted(keep)[:-1]
    return ring[kept] if len(kept) >= 3 else ring


def _farthest(line: Points, tolerance: float) -> int:
    """Index of the point farthest from the chord, or 0 when all lie within the tolerance."""
    chord = line[-1] - line[0]
    offset = line[1:-1] - line[0]
    length = float(np.hypot(*chord))
    if length == 0:
        distance = np.hypot(offset[:, 0], offset[:, 1])
    else:
        distance = np.abs(chord[0] * offset[:, 1] - chord[1] * offset[:, 0]) / length
    best = int(distance.argmax())
    return best + 1 if distance[best] > tolerance else 0


def _farthest_of_few(line: list[list[float]], tolerance: float) -> int:
    """The same in plain Python, ten times faster for a handful of points (most calls are)."""
    (x0, y0), (x1, y1) = line[0], line[-1]
    dx, dy = x1 - x0, y1 - y0
    best, farthest = 0, tolerance * math.hypot(dx, dy)
    for place, (x, y) in enumerate(line[1:-1], 1):
        distance = abs(dx * (y - y0) - dy * (x - x0))
        if distance > farthest:
            best, farthest = place, distance
    return best


def to_mask(polygons: list[list[float]], width: int, height: int) -> Mask:
    """Fill polygons: a pixel is set when its centre lies inside any of them (even-odd within one)."""
    bits = np.zeros((height, width), np.bool_)
    for flat in polygons:
        points = np.asarray(flat, np.float64).reshape(-1, 2)
        if len(points) >= 3:
            _fill(bits, points)
    rows, columns = np.flatnonzero(bits.any(1)), np.flatnonzero(bits.any(0))
    if not len(rows):
        return Mask(np.zeros((0, 0), np.bool_), 0, 0)
    top, left = int(rows[0]), int(columns[0])
    return Mask(bits[top : rows[-1] + 1, left : columns[-1] + 1].copy(), left, top)


def _fill(bits: Bool, points: Points) -> None:
    """Scan lines through pixel centres: where an edge crosses one, everything to the right flips."""
    height, width = bits.shape
    ahead = np.roll(points, -1, 0)
    low = np.clip(np.ceil(np.minimum(points[:, 1], ahead[:, 1]) - 0.5), 0, height).astype(np.int64)
    high = np.clip(np.ceil(np.maximum(points[:, 1], ahead[:, 1]) - 0.5), 0, height).astype(np.int64)
    length = np.maximum(high - low, 0)
    edge = np.repeat(np.arange(len(points)), length)
    if not len(edge):
        return
    row = np.arange(len(edge)) - np.repeat(np.cumsum(length) - length, length) + low[edge]
    slope = (row + 0.5 - points[edge, 1]) / (ahead[edge, 1] - points[edge, 1])
    x = points[edge, 0] + slope * (ahead[edge, 0] - points[edge, 0])
    column = np.clip(np.ceil(x - 0.5), 0, width).astype(np.int64)
    flips = np.zeros((height, width + 1), np.int8)
    np.add.at(flips, (row, column), 1)
    bits |= (np.cumsum(flips, 1, dtype=np.int32)[:, :-1] & 1).astype(np.bool_)
