"""The state machine of a rule: what it may never do, whatever comes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sightline.rules.engine import State, score, step
from sightline.storage.rule_kept import Condition
from sightline.types import Classification, Detections, ModelRef, Prediction, Result, Staged, Task

MODEL = ModelRef("toy", "1", "sha256:" + "0" * 64)


def run(condition: Condition, quiet_s: float, captures: list[tuple[bool, float]]) -> list[int]:
    """Which captures made the rule fire."""
    state, fired = State(), []
    for place, (hit, time) in enumerate(captures):
        state, fires = step(condition, quiet_s, state, hit=hit, time=time)
        assert len(state.recent) <= condition.of
        if fires:
            fired.append(place)
    return fired


@pytest.mark.parametrize(
    ("hits", "of", "quiet_s", "seen", "fired"),
    [
        (1, 1, 0, "1011", [0, 2, 3]),
        (1, 1, 2, "11111", [0, 2, 4]),
        (3, 5, 0, "10101", [4]),
        (3, 5, 0, "100001010", []),
        (3, 3, 0, "1101110111", [5, 9]),
        (3, 5, 100, "1111111111", [2]),
        (2, 2, 3, "1111111", [1, 4]),
    ],
)
def test_one_capture_a_second(hits: int, of: int, quiet_s: float, seen: str, fired: list[int]) -> None:
    captures = [(mark == "1", float(place)) for place, mark in enumerate(seen)]
    assert run(Condition("x", 0.5, hits, of), quiet_s, captures) == fired


captures = st.lists(st.tuples(st.booleans(), st.floats(0, 5)), max_size=60).map(
    lambda rows: [(hit, sum(gap for _, gap in rows[: place + 1])) for place, (hit, _) in enumerate(rows)]
)
conditions = st.integers(1, 8).flatmap(
    lambda of: st.builds(Condition, st.just("x"), st.just(0.5), st.integers(1, of), st.just(of))
)


@given(conditions, st.floats(0, 20), captures)
def test_every_firing_rests_on_enough_hits_of_its_own_and_keeps_quiet(
    condition: Condition, quiet_s: float, rows: list[tuple[bool, float]]
) -> None:
    fired = run(condition, quiet_s, rows)
    for before, after in zip([-1, *fired], fired, strict=False):
        own = rows[max(before + 1, after + 1 - condition.of) : after + 1]
        assert sum(hit for hit, _ in own) >= condition.hits
        if before >= 0:
            assert rows[after][1] - rows[before][1] >= quiet_s


@given(conditions, captures)
def test_without_quiet_it_fires_as_soon_as_it_may(
    condition: Condition, rows: list[tuple[bool, float]]
) -> None:
    fired, begin = [], 0
    for place in range(len(rows)):
        window = rows[max(begin, place + 1 - condition.of) : place + 1]
        if sum(hit for hit, _ in window) >= condition.hits:
            fired.append(place)
            begin = place + 1
    assert run(condition, 0, rows) == fired


def test_a_clock_that_was_put_back_does_not_silence_a_rule_for_ever() -> None:
    assert run(Condition("x"), 600, [(True, 10_000.0), (True, 10_001.0), (True, 50.0)]) == [0, 2]


def result(prediction: Prediction) -> Result:
    kind: Task = "pipeline" if isinstance(prediction, Staged) else "detect"
    return Result("r", "s", MODEL, kind, 100, 100, ("person", "dog"), prediction)


def found(*rows: tuple[int, float]) -> Detections:
    return Detections(
        np.array([[0, 0, 9, 9]] * len(rows), np.float32).reshape(-1, 4),
        np.array([row[1] for row in rows], np.float32),
        np.array([row[0] for row in rows], np.int64),
    )


def test_the_strongest_of_a_label_counts() -> None:
    seen = result(found((0, 0.75), (1, 0.5), (0, 0.25)))
    assert (score(seen, "person"), score(seen, "dog"), score(seen, "cat")) == (0.75, 0.5, 0.0)


def test_a_verdict_counts_with_the_score_that_gave_it() -> None:
    then = Classification(np.array([0]), np.array([0.75], np.float32))
    staged = Staged(found((0, 0.5)), (then,), ("rider",), ("rider",), "rider", scores=(0.5, 0.75))
    assert (score(result(staged), "rider"), score(result(staged), "person")) == (0.75, 0.5)
    assert score(result(staged), "human") == 0
    nobody = Staged(found(), (), (), ("rider",), "no_human", scores=(0.25, None))
    assert score(result(nobody), "no_human") == 0.75


@pytest.mark.parametrize("what", ["rider", "Rider", "delivery RIDER"])
def test_a_verdict_may_be_called_by_its_title_whatever_the_capitals(what: str) -> None:
    then = Classification(np.array([0]), np.array([0.75], np.float32))
    staged = Staged(
        found((0, 0.5)), (then,), ("rider",), ("rider",), "rider", "Delivery rider", scores=(0.5, 0.75)
    )
    assert score(result(staged), what) == 0.75
    assert score(result(staged), "Person") == 0.5
