"""Classifiers by hand."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from sightline.manifest import Manifest
from sightline.types import Ask, Classification, Fit
from sightline.vision import heads

Make = Callable[..., Manifest]
LABELS = ("ant", "bee", "cat")


def read(toy: Manifest, numbers: list[float], fit: Fit, ask: Ask | None = None) -> Classification:
    got = heads.read(toy, {"out": np.array([numbers], np.float32)}, fit, ask or Ask())
    assert isinstance(got, Classification)
    return got


def test_softmax_is_taken_as_it_is_strongest_first(manifest: Make, half: Fit) -> None:
    got = read(manifest("softmax", "classify", LABELS, min_score=0), [0.2, 0.7, 0.1], half)
    assert got.label.tolist() == [1, 0, 2]
    assert got.score.tolist() == pytest.approx([0.7, 0.2, 0.1])


def test_logits_become_probabilities(manifest: Make, half: Fit) -> None:
    logits = [float(np.log(value)) + 5 for value in (2, 7, 1)]
    got = read(manifest("logits", "classify", LABELS, min_score=0), logits, half)
    assert got.label.tolist() == [1, 0, 2]
    assert got.score.tolist() == pytest.approx([0.7, 0.2, 0.1], abs=1e-6)


def test_temperature_softens(manifest: Make, half: Fit) -> None:
    toy = manifest("logits", "classify", LABELS, {"temperature": 2}, min_score=0)
    got = read(toy, [2 * float(np.log(value)) for value in (2, 7, 1)], half)
    assert got.score.tolist() == pytest.approx([0.7, 0.2, 0.1], abs=1e-6)


def test_sigmoid_lets_several_be_true(manifest: Make, half: Fit) -> None:
    got = read(manifest("sigmoid", "classify", LABELS), [0.0, float(np.log(9)), -1000.0], half)
    assert got.label.tolist() == [1, 0]
    assert got.score.tolist() == pytest.approx([0.9, 0.5])


def test_the_background_is_never_an_answer(manifest: Make, half: Fit) -> None:
    toy = manifest("softmax", "classify", LABELS, {"first_label": 1}, min_score=0)
    assert read(toy, [0.6, 0.1, 0.1, 0.2], half).label.tolist() == [2, 0, 1]


def test_class_numbers_with_gaps(manifest: Make, half: Fit) -> None:
    toy = manifest("softmax", "classify", LABELS, {"raw_ids": [4, 0, 2]}, min_score=0)
    got = read(toy, [0.1, 0.5, 0.15, 0, 0.25], half)
    assert got.label.tolist() == [0, 2, 1]
    assert got.score.tolist() == pytest.approx([0.25, 0.15, 0.1])


def test_the_ask_limits_the_list(manifest: Make, half: Fit) -> None:
    toy = manifest("softmax", "classify", LABELS, min_score=0)
    assert read(toy, [0.2, 0.7, 0.1], half, Ask(max_results=1)).label.tolist() == [1]
    assert read(toy, [0.2, 0.7, 0.1], half, Ask(min_score=0.15)).label.tolist() == [1, 0]
    assert read(toy, [0.2, 0.7, 0.1], half, Ask(labels=frozenset({"cat"}))).label.tolist() == [2]


@pytest.mark.parametrize(
    ("numbers", "decision"),
    [([0.9, 0.1, 0], "accepted"), ([0.5, 0.3, 0.2], "uncertain"), ([0.35, 0.33, 0.32], "unknown")],
)
def test_the_decision(manifest: Make, half: Fit, numbers: list[float], decision: Any) -> None:
    toy = manifest("softmax", "classify", LABELS, {"accept": 0.8, "reject": 0.4})
    assert read(toy, numbers, half).decision == decision


def test_no_decision_unless_asked(manifest: Make, half: Fit) -> None:
    assert read(manifest("softmax", "classify", LABELS), [0.9, 0.1, 0], half).decision is None


def test_not_a_number_is_no_answer(manifest: Make, half: Fit) -> None:
    got = read(manifest("softmax", "classify", LABELS, {"accept": 0.8}), [float("nan")] * 3, half)
    assert len(got.label) == 0
    assert got.decision != "accepted"


def test_outputs_of_1x1_maps_are_flattened(manifest: Make, half: Fit) -> None:
    out = np.array([0.1, 0.9], np.float32).reshape(1, 2, 1, 1)
    got = heads.read(manifest("softmax", "classify"), {"out": out}, half, Ask())
    assert isinstance(got, Classification)
    assert got.label.tolist() == [1]
