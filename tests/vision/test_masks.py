"""Run lengths against brute force and pycocotools, pasting against the definition."""

import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sightline.errors import BadOption
from sightline.types import Bool, Mask
from sightline.vision import masks

RECORDED_DISC = "b:9d02M4N0O2N2O0000000000000001N2N102L3NU9"

pictures = hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=24))


def counts_by_hand(bits: Bool) -> list[int]:
    """The definition: walk down each column, count zeros, ones, zeros, …"""
    counts, current, run = [], False, 0
    for value in bits.T.ravel().tolist():
        if value == current:
            run += 1
        else:
            counts.append(run)
            current, run = value, 1
    return [*counts, run]


@given(pictures)
def test_counts_equal_the_definition(bits: Bool) -> None:
    height, width = bits.shape
    assert masks.to_counts(Mask(bits, 0, 0), width, height) == counts_by_hand(bits)


@given(pictures, st.integers(0, 9), st.integers(0, 9), st.integers(0, 9))
def test_a_patch_counts_like_the_whole_picture(bits: Bool, left: int, top: int, more: int) -> None:
    mask = Mask(bits, left, top)
    width, height = left + bits.shape[1] + more, top + bits.shape[0] + more
    assert masks.to_counts(mask, width, height) == counts_by_hand(masks.full(mask, width, height))


@given(pictures)
def test_run_lengths_survive_the_round_trip(bits: Bool) -> None:
    height, width = bits.shape
    rle = masks.to_rle(Mask(bits, 0, 0), width, height)
    assert np.array_equal(masks.full(masks.from_rle(rle), width, height), bits)
    plain = {"size": [height, width], "counts": counts_by_hand(bits)}
    assert np.array_equal(masks.full(masks.from_rle(plain), width, height), bits)


@given(st.lists(st.integers(0, 2**40), min_size=1, max_size=50))
def test_the_string_survives_the_round_trip(counts: list[int]) -> None:
    assert masks.expand(masks.compress(counts)).tolist() == counts


@pytest.mark.train
@given(pictures)
def test_strings_equal_those_of_pycocotools(bits: Bool) -> None:
    coco = pytest.importorskip("pycocotools.mask", reason="pycocotools comes with the train extra.")
    wanted = coco.encode(np.asfortranarray(bits.astype(np.uint8)))["counts"].decode()
    height, width = bits.shape
    assert masks.to_rle(Mask(bits, 0, 0), width, height)["counts"] == wanted


def test_strings_recorded_from_pycocotools() -> None:
    yy, xx = np.mgrid[:30, :40]
    disc = (yy - 12) ** 2 + (xx - 20) ** 2 < 100
    assert masks.to_rle(Mask(disc, 0, 0), 40, 30) == {"size": [30, 40], "counts": RECORDED_DISC}
    assert masks.to_rle(Mask(np.ones((3, 4), np.bool_), 0, 0), 4, 3)["counts"] == "0<"
    assert masks.to_rle(Mask(np.zeros((3, 4), np.bool_), 0, 0), 4, 3)["counts"] == "<"


@pytest.mark.parametrize(
    ("rle", "says"),
    [
        ({"size": [3], "counts": "<"}, "'size' must be"),
        ({"size": [3, 4], "counts": ""}, "damaged"),
        ({"size": [3, 4], "counts": "o"}, "damaged"),
        ({"size": [3, 4], "counts": "é"}, "add up"),
        ({"size": [3, 4], "counts": "oooooooooooo0"}, "no picture needs"),
        ({"size": [3, 4], "counts": "="}, "add up"),
        ({"size": [3, 4], "counts": [5, -1, 8]}, "add up"),
        ({"size": [0, 4], "counts": [0]}, "cannot be read"),
        ({"size": [10**6, 10**6], "counts": [10**12]}, "cannot be read"),
        ({"size": [3, 4], "counts": None}, "string or a list"),
        ({}, "'size' must be"),
    ],
)
def test_damaged_run_lengths_are_refused(rle: dict[str, Any], says: str) -> None:
    with pytest.raises(BadOption, match=says):
        masks.from_rle(rle)


@given(st.text(max_size=30), st.integers(1, 40), st.integers(1, 40))
def test_no_string_leaves_the_error_tree(text: str, width: int, height: int) -> None:
    try:
        mask = masks.from_rle({"size": [height, width], "counts": text})
    except BadOption:
        return
    assert mask.left + mask.bits.shape[1] <= width


def test_a_mask_must_lie_in_its_picture() -> None:
    with pytest.raises(ValueError, match="leaves the picture"):
        masks.to_counts(Mask(np.ones((2, 2), np.bool_), 3, 0), 4, 4)


@given(pictures, pictures, st.tuples(*[st.integers(0, 6)] * 4))
def test_shared_pixels_are_those_set_in_both(
    first: Bool, second: Bool, at: tuple[int, int, int, int]
) -> None:
    a, b = Mask(first, at[0], at[1]), Mask(second, at[2], at[3])
    both = masks.full(a, 40, 40) & masks.full(b, 40, 40)
    assert masks.shared(a, b) == both.sum()


@given(pictures)
def test_trimming_changes_no_pixel(bits: Bool) -> None:
    small = masks.trim(Mask(bits, 2, 3))
    size = (bits.shape[1] + 2, bits.shape[0] + 3)
    assert np.array_equal(masks.full(small, *size), masks.full(Mask(bits, 2, 3), *size))
    assert masks.pixels(small) == bits.sum()
    assert small is masks.EMPTY or (small.bits[0].any() and small.bits[:, -1].any())


def test_a_field_as_large_as_its_extent_is_taken_as_it_is() -> None:
    field = np.random.default_rng(0).random((6, 9)).astype(np.float32)
    mask = masks.paste(field, (2, 3, 11, 9), (2, 3, 11, 9), 0.5, outside=None)
    assert np.array_equal(mask.bits, field > 0.5)
    assert (mask.left, mask.top) == (2, 3)


def test_a_field_of_ones_fills_its_box_but_for_the_tips_of_its_corners() -> None:
    ones = np.ones((28, 28), np.float32)
    mask = masks.paste(
        ones, (10, 20, 110, 70), masks.region_of((10, 20, 110, 70), 200, 200), 0.5, outside=0.0
    )
    assert mask.bits.shape == (50, 100)
    assert mask.bits[1:-1].all()
    assert mask.bits[:, 1:-1].all()


def test_half_a_field_fills_half_its_box() -> None:
    field = np.zeros((28, 28), np.float32)
    field[:, :14] = 1
    mask = masks.paste(field, (0, 0, 56, 56), (0, 0, 56, 56), 0.5, outside=0.0)
    assert mask.bits[:, :28].all()
    assert not mask.bits[:, 28:].any()


@given(st.integers(1, 7), st.integers(1, 7), st.integers(1, 12), st.integers(1, 12))
def test_pasting_equals_the_definition(rows: int, columns: int, height: int, width: int) -> None:
    field = np.random.default_rng(rows * 10 + columns).random((rows, columns))
    extent = (1.3, 2.1, 1.3 + width, 2.1 + height)
    region = masks.region_of(extent, 30, 30)
    got = masks.paste(field.astype(np.float32), extent, region, 0.5, outside=0.0)
    padded = np.pad(field, 1)
    for y in range(got.bits.shape[0]):
        for x in range(got.bits.shape[1]):
            u = np.clip((x + region[0] + 0.5 - extent[0]) / width * columns + 0.5, 0, columns + 1)
            v = np.clip((y + region[1] + 0.5 - extent[1]) / height * rows + 0.5, 0, rows + 1)
            i, j = min(int(v), rows), min(int(u), columns)
            a, b = v - i, u - j
            value = (padded[i, j] * (1 - b) + padded[i, j + 1] * b) * (1 - a)
            value += (padded[i + 1, j] * (1 - b) + padded[i + 1, j + 1] * b) * a
            assert got.bits[y, x] == (value > 0.5) or abs(value - 0.5) < 1e-5


def test_big_regions_are_done_in_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    field = np.random.default_rng(0).random((5, 5)).astype(np.float32)
    whole = masks.paste(field, (0, 0, 50, 50), (0, 0, 50, 50), 0.5, outside=None)
    monkeypatch.setattr(masks, "_CHUNK", 120)
    assert np.array_equal(
        masks.paste(field, (0, 0, 50, 50), (0, 0, 50, 50), 0.5, outside=None).bits, whole.bits
    )


def test_nothing_to_look_at_gives_the_empty_mask() -> None:
    field = np.ones((2, 2), np.float32)
    assert masks.paste(field, (0, 0, 5, 5), (5, 0, 5, 5), 0.5, outside=None) is masks.EMPTY


def regions_by_hand(bits: Bool) -> list[set[tuple[int, int]]]:
    left = set(zip(*(axis.tolist() for axis in np.nonzero(bits)), strict=True))
    found = []
    while left:
        edge = [left.pop()]
        region = set(edge)
        while edge:
            y, x = edge.pop()
            near = {(y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)} & left
            left -= near
            region |= near
            edge += near
        found.append(region)
    return found


@given(pictures)
def test_regions_equal_flood_filling(bits: Bool) -> None:
    number, count = masks.regions(bits)
    assert np.array_equal(number > 0, bits)
    got = [
        set(zip(*(a.tolist() for a in np.nonzero(number == one)), strict=True)) for one in range(1, count + 1)
    ]
    assert sorted(map(sorted, got)) == sorted(map(sorted, regions_by_hand(bits)))


def test_later_masks_are_drawn_once_and_only_if_somebody_looks() -> None:
    drawn: list[int] = []

    def draw(position: int) -> Mask:
        drawn.append(position)
        return Mask(np.full((1, position + 1), True), 0, 0)

    later = masks.LaterMasks(4, draw)
    assert len(later) == 4
    assert drawn == []
    assert later[-1].bits.shape == (1, 4)
    assert later[3] is later[3]
    assert drawn == [3]
    assert [mask.bits.shape[1] for mask in later[:2]] == [1, 2]
    assert drawn == [3, 0, 1]
    with pytest.raises(IndexError):
        later[4]
    crossed = pickle.loads(pickle.dumps(later))
    assert isinstance(crossed, tuple)
    assert [mask.bits.shape[1] for mask in crossed] == [1, 2, 3, 4]
    assert drawn == [3, 0, 1, 2]
