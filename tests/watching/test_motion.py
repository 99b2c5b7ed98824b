import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sightline.types import Float32, UInt8
from sightline.watching.backoff import FIRST_S, MOST_S, Backoff
from sightline.watching.motion import CELLS, MotionGate, Rules, grey


def scene(seed: int = 0) -> Float32:
    return np.random.default_rng(seed).uniform(40, 200, (36, CELLS)).astype(np.float32)


def person(cells: Float32, left: int) -> Float32:
    """The scene with something of 4 x 9 cells in it, 1.6 % of it."""
    moved = cells.copy()
    moved[20:29, left : left + 4] = 255 - moved[20:29, left : left + 4]
    moved[20:29, left : left + 4] += 20
    return moved


def test_the_first_picture_passes_and_a_still_scene_does_not() -> None:
    gate, still = MotionGate(), scene()
    assert [gate.see(still).open for _ in range(5)] == [True, False, False, False, False]


def test_somebody_walks_through() -> None:
    gate, still = MotionGate(), scene()
    gate.see(still)
    assert not gate.see(still).open
    assert all(gate.see(person(still, left)).open for left in range(0, 40, 4))
    after = [gate.see(still).open for _ in range(12)]
    assert after[0], "one quiet picture does not close it"
    assert not after[-1]


@given(seed=st.integers(0, 1000), light=st.floats(-28, 28), noise=st.floats(0, 1.5))
def test_light_and_noise_are_no_motion(seed: int, light: float, noise: float) -> None:
    gate, still = MotionGate(), scene(seed)
    gate.see(still)
    grain = np.random.default_rng(seed + 1).normal(0, noise, still.shape).astype(np.float32)
    seen = gate.see(still + np.float32(light) + grain)
    assert not seen.open
    assert 0 <= seen.share < 0.008


@given(pictures=st.lists(st.integers(0, 3), min_size=1, max_size=30))
def test_the_gate_says_open_only_after_enough_motion(pictures: list[int]) -> None:
    """Whatever comes: it opens at `opens` at the earliest, and stays shut while nothing reaches that."""
    gate, rules = MotionGate(), Rules()
    gate.see(scene())
    was_open = False
    for number in pictures:
        seen = gate.see(scene(number // 2) if number % 2 else scene())
        assert 0 <= seen.share <= 1
        if seen.open and not was_open:
            assert seen.share >= rules.opens
        if seen.share >= rules.opens:
            assert seen.open
        was_open = seen.open


def test_something_that_stays_becomes_the_background() -> None:
    gate, still = MotionGate(), scene()
    gate.see(still)
    parked = person(still, 30)
    answers = [gate.see(parked).open for _ in range(60)]
    assert answers[0]
    assert not answers[-1]


def test_another_size_begins_anew() -> None:
    gate = MotionGate()
    gate.see(scene())
    assert gate.see(scene()[:20]).open
    assert not gate.see(scene()[:20]).open


@given(height=st.integers(1, 700), width=st.integers(1, 700), level=st.integers(0, 255))
def test_grey_is_the_mean_of_cells(height: int, width: int, level: int) -> None:
    pixels: UInt8 = np.full((height, width, 3), level, np.uint8)
    cells = grey(pixels)
    assert cells.size
    assert max(cells.shape) < 8 * CELLS
    assert np.allclose(cells, level, atol=0.01)


def test_grey_sees_where_it_is_light() -> None:
    pixels = np.zeros((1080, 1920, 3), np.uint8)
    pixels[:, 960:] = 255
    cells = grey(pixels)
    half = cells.shape[1] // 2
    assert cells[:, : half - 1].max() == 0
    assert cells[:, half + 1 :].min() == pytest.approx(255)


@given(st.lists(st.sampled_from([0.0, 0.5, 5.0, 500.0]), min_size=1, max_size=40))
def test_waits_grow_and_start_again(lives: list[float]) -> None:
    backoff = Backoff()
    before = 0.0
    for lived in lives:
        wait = backoff.lost(lived)
        assert FIRST_S / 2 <= wait <= MOST_S
        if lived == 500:
            assert wait <= FIRST_S
            assert backoff.failures == 1
        elif lived == 0 and before:
            assert wait >= min(before / 2, MOST_S / 2)
        before = wait


def test_a_camera_that_breaks_at_once_is_asked_less_and_less() -> None:
    backoff = Backoff()
    waits = [backoff.lost(0.0) for _ in range(12)]
    assert waits[-1] >= MOST_S / 2
    assert backoff.failures == 12
