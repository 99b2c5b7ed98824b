"""Scenes whose objects are known: everybody is counted once."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sightline.types import Detections
from sightline.watching.tracking import Rules, Tracker


def boxes(*rows: tuple[float, float, float, float, float, int]) -> Detections:
    """(x, y, width, height, score, label) each."""
    table = np.array(rows, np.float32).reshape(-1, 6)
    corners = np.concatenate([table[:, :2], table[:, :2] + table[:, 2:4]], axis=1)
    return Detections(corners, table[:, 4], table[:, 5].astype(np.int64))


def scene(seed: int, *, objects: int, drop: float, low: float, speed: float) -> list[Detections]:
    """Objects that come, move evenly and go; some of their boxes are missing, some are unsure."""
    random = np.random.default_rng(seed)
    lives = []
    for _ in range(objects):
        start, life = int(random.integers(0, 170)), int(random.integers(60, 120))
        velocity, height = random.normal(0, speed, 2), random.uniform(40, 140)
        middle = random.uniform([200, 150], [1080, 570])
        lives.append((start, life, middle - velocity * life / 2, velocity, height))
    frames = []
    for time in range(250):
        rows = []
        for start, life, place, velocity, height in lives:
            if start <= time < start + life and random.random() >= drop:
                x, y = place + velocity * (time - start) + random.normal(0, height * 0.015, 2)
                score = random.uniform(0.2, 0.45) if random.random() < low else random.uniform(0.55, 0.95)
                rows.append((x, y, height * 0.6, height, score, 0))
        frames.append(boxes(*rows))
    return frames


def count(frames: list[Detections]) -> int:
    tracker = Tracker(fps=25)
    for frame in frames:
        tracker.see(frame)
    return sum(tracker.counts().values())


@pytest.mark.parametrize("seed", range(5))
def test_everybody_is_counted_once(seed: int) -> None:
    assert count(scene(seed, objects=12, drop=0.0, low=0.0, speed=4)) == 12


def test_missing_and_unsure_boxes_make_nobody_two() -> None:
    found = [count(scene(seed, objects=12, drop=0.25, low=0.15, speed=4)) for seed in range(8)]
    assert np.mean(np.abs(np.array(found) - 12)) <= 0.3


def test_labels_are_counted_apart() -> None:
    tracker = Tracker()
    for frame in range(20):
        numbers = tracker.see(
            boxes((frame, 0, 50, 80, 0.9, 3), (300 - frame, 0, 50, 80, 0.9, 1), (500, 0, 20, 20, 0.9, 3))
        )
        assert numbers.tolist() == [1, 2, 3]
    assert tracker.counts() == {1: 1, 3: 2}
    assert [track.label for track in tracker.objects()] == [3, 1, 3]


def test_an_object_that_is_hidden_for_a_while_stays_the_same() -> None:
    tracker = Tracker(fps=25)
    for frame in range(60):
        hidden = 20 <= frame < 35
        tracker.see(boxes() if hidden else boxes((10 * frame, 50, 50, 50, 0.9, 0)))
    assert tracker.counts() == {0: 1}


def test_after_the_wait_it_is_another_one() -> None:
    tracker = Tracker(Rules(lost_s=0.4), fps=25)
    for frame in range(60):
        tracker.see(boxes() if 20 <= frame < 35 else boxes((100, 50, 50, 50, 0.9, 0)))
    assert tracker.counts() == {0: 2}


def test_two_who_pass_each_other_keep_their_numbers() -> None:
    tracker = Tracker()
    for frame in range(60):
        numbers = tracker.see(boxes((5 * frame, 10, 50, 80, 0.9, 0), (300 - 5 * frame, 40, 50, 80, 0.8, 0)))
        assert numbers.tolist() == [1, 2]


def test_a_label_that_flickers_is_one_object() -> None:
    tracker = Tracker()
    for frame in range(30):
        tracker.see(boxes((2 * frame, 10, 90, 60, 0.8, 7 if frame % 5 == 2 else 2)))
    assert tracker.counts() == {2: 1}


def test_unsure_boxes_begin_nothing_but_go_on() -> None:
    tracker = Tracker()
    assert tracker.see(boxes((10, 10, 50, 50, 0.3, 0))).tolist() == [0]
    for _ in range(3):
        assert tracker.see(boxes((10, 10, 50, 50, 0.9, 0))).tolist() == [1]
    assert tracker.see(boxes((10, 10, 50, 50, 0.3, 0))).tolist() == [1]


def test_a_flash_is_no_object() -> None:
    tracker = Tracker()
    tracker.see(boxes((10, 10, 50, 50, 0.9, 0)))
    for _ in range(10):
        tracker.see(boxes())
    assert tracker.counts() == {}


_BOX = st.tuples(
    st.floats(-500, 2000), st.floats(-500, 2000), st.floats(0, 500), st.floats(0, 500), st.floats(0, 1)
)


@given(st.lists(st.lists(_BOX, max_size=6), max_size=15))
def test_whatever_comes_every_sure_box_has_a_number_of_its_own(
    frames: list[list[tuple[float, float, float, float, float]]],
) -> None:
    tracker = Tracker()
    for rows in frames:
        found = boxes(*((*row, index % 2) for index, row in enumerate(rows)))
        numbers = tracker.see(found)
        given_out = numbers[numbers > 0].tolist()
        assert len(set(given_out)) == len(given_out)
        assert all(numbers[found.score >= 0.5] > 0)
        assert not any(numbers[found.score < 0.1])
