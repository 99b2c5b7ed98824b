"""Outlines enclose their masks, filling inverts them."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sightline.types import Bool, Mask
from sightline.vision import masks, polygons

pictures = hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=16))


def blob(seed: int, size: int = 96) -> Bool:
    rng = np.random.default_rng(seed)
    yy, xx = np.mgrid[:size, :size]
    bits = np.zeros((size, size), np.bool_)
    for _ in range(4):
        y, x, a, b = *rng.uniform(30, size - 30, 2), *rng.uniform(12, 28, 2)
        bits |= ((yy - y) / a) ** 2 + ((xx - x) / b) ** 2 < 1
    return bits


def iou(a: Bool, b: Bool) -> float:
    return float((a & b).sum() / max(1, (a | b).sum()))


def filled(bits: Bool) -> Bool:
    """Holes closed: what the outlines alone can say."""
    number, count = masks.regions(np.pad(~bits, 1, constant_values=True))
    return ~np.isin(number, [0] if not count else [number[0, 0]])[1:-1, 1:-1] | bits


def exact(mask: Mask) -> list[list[float]]:
    """The outer outlines before they are simplified."""
    return [np.add(ring, (mask.left, mask.top)).ravel().tolist() for _, ring in polygons._outer(mask.bits)]


@given(pictures, st.integers(0, 5), st.integers(0, 5))
def test_exact_outlines_enclose_exactly_the_pixels_without_holes(bits: Bool, left: int, top: int) -> None:
    number, count = masks.regions(bits)
    for one in range(1, count + 1):
        part = number == one
        lines = exact(Mask(part, left, top))
        assert len(lines) == 1
        width, height = left + part.shape[1], top + part.shape[0]
        back = masks.full(polygons.to_mask(lines, width, height), width, height)
        assert np.array_equal(back[top:, left:], corner_filled(part))


def corner_filled(part: Bool) -> Bool:
    """Everything that the outside cannot reach over edges or corners of pixels."""
    framed = np.pad(part, 1)
    outside = np.zeros_like(framed)
    outside[0, :] = outside[-1, :] = outside[:, 0] = outside[:, -1] = True
    while True:
        grown = outside.copy()
        padded = np.pad(outside, 1)
        for dy in (0, 1, 2):
            for dx in (0, 1, 2):
                grown |= padded[dy : dy + framed.shape[0], dx : dx + framed.shape[1]]
        grown &= ~framed
        if np.array_equal(grown, outside):
            return ~outside[1:-1, 1:-1]
        outside = grown


@pytest.mark.parametrize("seed", range(8))
def test_simplified_outlines_stay_close_and_short(seed: int) -> None:
    bits = blob(seed)
    lines = polygons.from_mask(Mask(bits, 0, 0))
    back = masks.full(polygons.to_mask(lines, 96, 96), 96, 96)
    assert iou(back, filled(bits)) >= 0.98
    assert sum(len(line) for line in lines) < 2 * 80


def test_a_rectangle_is_four_points() -> None:
    assert polygons.from_mask(Mask(np.ones((3, 5), np.bool_), 10, 20)) == [[10, 20, 15, 20, 15, 23, 10, 23]]


def test_parts_are_separate_the_largest_first_and_crumbs_left_out() -> None:
    bits = np.zeros((40, 40), np.bool_)
    bits[0:5, 0:5] = bits[10:30, 10:30] = True
    bits[39, 39] = True
    lines = polygons.from_mask(Mask(bits, 0, 0))
    assert [line[:2] for line in lines] == [[10, 10], [0, 0]]


def test_pixels_that_touch_at_a_corner_are_two_parts() -> None:
    bits = np.array([[1, 0], [0, 1]], np.bool_)
    assert len(polygons.from_mask(Mask(bits, 0, 0))) == 2
    assert len(polygons.from_mask(Mask(bits[:, ::-1], 0, 0))) == 2


def test_nothing_has_no_outline() -> None:
    assert polygons.from_mask(masks.EMPTY) == []
    assert polygons.to_mask([], 5, 5).bits.size == 0
    assert polygons.to_mask([[0, 0, 3, 3]], 5, 5).bits.size == 0
    assert polygons.to_mask([[-9, -9, -5, -9, -5, -5]], 5, 5).bits.size == 0
    assert polygons.to_mask([[0, 0.1, 3, 0.1, 3, 0.2]], 5, 5).bits.size == 0


def test_a_polygon_beyond_the_picture_is_cut() -> None:
    mask = polygons.to_mask([[-5, -5, 50, -5, 50, 2, -5, 2]], 10, 8)
    assert (mask.left, mask.top, mask.bits.shape) == (0, 0, (2, 10))


@pytest.mark.train
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # inside pycocotools
@pytest.mark.parametrize("seed", range(4))
def test_filling_agrees_with_pycocotools(seed: int) -> None:
    coco = pytest.importorskip("pycocotools.mask", reason="pycocotools comes with the train extra.")
    bits = blob(seed)
    whole, short = exact(Mask(bits, 0, 0)), polygons.from_mask(Mask(bits, 0, 0))
    ours = masks.full(polygons.to_mask(whole, 96, 96), 96, 96)
    assert np.array_equal(coco.decode(coco.merge(coco.frPyObjects(whole, 96, 96))) > 0, ours)
    theirs = coco.decode(coco.merge(coco.frPyObjects(short, 96, 96))) > 0
    assert iou(theirs, filled(bits)) >= 0.98


def test_noise_is_traced_coarsely_and_soon() -> None:
    bits = np.random.default_rng(0).random((700, 900)) > 0.5
    started = time.thread_time()
    lines = polygons.from_mask(Mask(bits, 5, 7))
    assert time.thread_time() - started < 5
    assert lines
    assert all(5 <= x <= 905 for line in lines for x in line[::2])
    assert all(7 <= y <= 707 for line in lines for y in line[1::2])


def test_long_lines_and_spikes_are_simplified_too() -> None:
    yy, xx = np.mgrid[:600, :600]
    disc = (yy - 300) ** 2 + (xx - 300) ** 2 < 280**2
    (line,) = polygons.from_mask(Mask(disc, 0, 0))
    assert len(line) < 2 * 80
    back = masks.full(polygons.to_mask([line], 600, 600), 600, 600)
    assert iou(back, disc) > 0.995


def test_a_line_that_goes_there_and_back_keeps_its_tip() -> None:
    there = [[float(x), 0.0] for x in range(60)]
    ring = np.array(there + there[-2:0:-1])
    assert {tuple(point) for point in polygons.simplify(ring, 0.5).tolist()} >= {(0.0, 0.0), (59.0, 0.0)}
