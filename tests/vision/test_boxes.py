"""Overlap and suppression, against brute force."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sightline.types import Float32, Int64
from sightline.vision import boxes


@st.composite
def scenes(draw: st.DrawFn, most: int = 40) -> tuple[Float32, Float32, Int64]:
    n = draw(st.integers(0, most))
    whole = st.integers(0, 30)
    corner = draw(hnp.arrays(np.int64, (n, 2), elements=whole))
    size = draw(hnp.arrays(np.int64, (n, 2), elements=st.integers(1, 15)))
    score = draw(hnp.arrays(np.int64, n, elements=st.integers(0, 100))) / 100
    label = draw(hnp.arrays(np.int64, n, elements=st.integers(0, 2)))
    xyxy = np.concatenate([corner, corner + size], 1).astype(np.float32)
    return xyxy, score.astype(np.float32), label


def by_hand(xyxy: Float32, score: Float32, label: Int64, limit: float) -> list[int]:
    kept: list[int] = []
    for row in sorted(range(len(score)), key=lambda i: (-score[i], i)):
        overlaps = [one_iou(xyxy[row], xyxy[k]) for k in kept if label[k] == label[row]]
        if all(value <= limit for value in overlaps):
            kept.append(row)
    return kept


def one_iou(a: Float32, b: Float32) -> float:
    width = max(0.0, float(min(a[2], b[2]) - max(a[0], b[0])))
    height = max(0.0, float(min(a[3], b[3]) - max(a[1], b[1])))
    both = float((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]))
    return width * height / (both - width * height)


@given(scenes())
def test_iou_is_symmetric_in_range_and_one_with_itself(scene: tuple[Float32, Float32, Int64]) -> None:
    xyxy, _, _ = scene
    matrix = boxes.iou(xyxy, xyxy)
    assert ((matrix >= 0) & (matrix <= 1)).all()
    assert np.array_equal(matrix, matrix.T)
    assert np.allclose(np.diag(matrix), 1)


@given(scenes(), st.sampled_from([0.313, 0.473, 0.697, 1.0]))
def test_nms_equals_brute_force(scene: tuple[Float32, Float32, Int64], limit: float) -> None:
    xyxy, score, label = scene
    assert boxes.nms(xyxy, score, label, limit).tolist() == by_hand(xyxy, score, label, limit)
    everyone = np.zeros_like(label)
    assert boxes.nms(xyxy, score, None, limit).tolist() == by_hand(xyxy, score, everyone, limit)


@given(scenes(), st.randoms(use_true_random=False))
def test_nms_is_idempotent_and_free_of_order(scene: tuple[Float32, Float32, Int64], random: object) -> None:
    xyxy, _, label = scene
    score = (1 - np.arange(len(xyxy)) / 100).astype(np.float32)  # no ties
    kept = boxes.nms(xyxy, score, label, 0.5)
    again = boxes.nms(xyxy[kept], score[kept], label[kept], 0.5)
    assert again.tolist() == list(range(len(kept)))
    order = np.random.default_rng(random.randint(0, 99)).permutation(len(xyxy))  # type: ignore[attr-defined]
    mixed = boxes.nms(xyxy[order], score[order], label[order], 0.5)
    assert order[mixed].tolist() == kept.tolist()


@pytest.mark.parametrize("n", [127, 128, 129, 700])
def test_nms_of_many_boxes_equals_brute_force(n: int) -> None:
    rng = np.random.default_rng(n)
    corner = rng.integers(0, 60, (n, 2))
    xyxy = np.concatenate([corner, corner + rng.integers(5, 20, (n, 2))], 1).astype(np.float32)
    score, label = rng.random(n).astype(np.float32), rng.integers(0, 3, n)
    wanted = by_hand(xyxy, score, label, 0.473)
    assert boxes.nms(xyxy, score, label, 0.473).tolist() == wanted
    assert boxes.nms(xyxy, score, label, 0.473, most=7).tolist() == wanted[:7]


def test_only_the_strongest_candidates_compete() -> None:
    n = 6000
    place = np.arange(n, dtype=np.float32) * 10
    xyxy = np.stack([place, place, place + 5, place + 5], 1)
    score = np.random.default_rng(0).random(n).astype(np.float32)
    kept = boxes.nms(xyxy, score, None, 0.5, most=n)
    assert len(kept) == boxes.CANDIDATES
    assert kept.tolist() == np.argsort(-score, kind="stable")[: boxes.CANDIDATES].tolist()


def test_equal_scores_keep_their_order() -> None:
    assert boxes.strongest(np.full(10_000, 0.5, np.float32), 3).tolist() == [0, 1, 2]
    assert boxes.strongest(np.array([0.1, 0.9, 0.9, 0.2], np.float32), 3).tolist() == [1, 2, 3]


def test_real_boxes() -> None:
    inf, nan = np.inf, np.nan
    rows = [[0, 0, 1, 1], [1, 0, 1, 1], [2, 0, 1, 1], [0, 0, inf, 1], [nan, 0, 1, 1], [-inf, -inf, inf, inf]]
    assert boxes.is_real(np.array(rows, np.float32)).tolist() == [True, False, False, False, False, False]


def test_centre_and_area() -> None:
    xyxy = boxes.from_centre(np.array([[10, 20, 4, 6]], np.float32))
    assert xyxy.tolist() == [[8, 17, 12, 23]]
    assert boxes.area(xyxy).tolist() == [24]
    assert boxes.area(np.array([[3, 3, 1, 1]], np.float32)).tolist() == [0]


def test_empty_boxes_share_nothing() -> None:
    point = np.array([[5, 5, 5, 5]], np.float32)
    assert boxes.iou(point, point).tolist() == [[0]]
