"""Intervals of shares, against values that were worked out by hand."""

import pytest

from sightline.evaluation.verdicts import share, wilson


@pytest.mark.parametrize(
    ("right", "count", "low", "high"),
    [
        (0, 0, 0, 1),
        (0, 10, 0, 0.2775),
        (5, 10, 0.2366, 0.7634),
        (10, 10, 0.7225, 1),
        (190, 204, 0.888, 0.9587),
    ],
)
def test_wilson_by_hand(right: int, count: int, low: float, high: float) -> None:
    assert wilson(right, count) == pytest.approx((low, high), abs=1e-3)


def test_a_share_has_the_interval_and_of_nothing_there_is_none() -> None:
    figure = share(190, 204)
    assert (figure.value, figure.low, figure.high) == (190 / 204, *wilson(190, 204))
    assert (share(0, 0).value, share(0, 0).low) == (0.0, None)
