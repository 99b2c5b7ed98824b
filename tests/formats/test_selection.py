"""An answer is narrowed the same way whether it is JSON already or not yet."""

from dataclasses import replace

import numpy as np
import pytest
from tests.formats.conftest import result

from sightline.formats import native
from sightline.formats.selection import narrowed, select
from sightline.types import Ask, Classification, Result, Staged

KINDS = ("detected", "judged", "nothing", "classified", "segmented")


@pytest.fixture(params=KINDS)
def each(request: pytest.FixtureRequest) -> Result:
    made = request.getfixturevalue(request.param)
    assert isinstance(made, Result)
    return made


@pytest.mark.parametrize(
    ("ask", "rows"),
    [
        (Ask(), 2),
        (Ask(min_score=0.6), 1),
        (Ask(min_score=0.95), 0),
        (Ask(max_results=1), 1),
        (Ask(labels=frozenset({"person"})), 1),
        (Ask(min_score=0.6, labels=frozenset({"person"})), 0),
    ],
)
def test_both_ways_leave_the_same_rows(each: Result, ask: Ask, rows: int) -> None:
    small = narrowed(each, ask)
    body = native.to_json(small)
    assert body == select(native.to_json(each), ask)
    assert len(body["predictions"]) == min(rows, len(native.plain(each)))


def test_a_verdict_may_be_asked_for(judged: Result) -> None:
    small = narrowed(judged, Ask(labels=frozenset({"rider"})))
    assert isinstance(small.prediction, Staged)
    assert small.prediction.verdicts == ("rider",)
    assert native.to_json(small) == select(native.to_json(judged), Ask(labels=frozenset({"rider"})))


def test_a_pipeline_may_begin_with_a_classifier(judged: Result) -> None:
    staged = judged.prediction
    assert isinstance(staged, Staged)
    classes = Classification(np.array([2, 0]), np.array([0.9, 0.1], np.float32))
    small = narrowed(result(replace(staged, first=classes), "pipeline"), Ask(min_score=0.5)).prediction
    assert isinstance(small, Staged)
    assert (small.first.label.tolist(), small.verdicts, small.verdict) == ([2], ("rider",), "rider")
