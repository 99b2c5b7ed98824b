"""The colours keep apart, also for eyes that see two of the three primaries."""

import numpy as np
import pytest

from sightline.vision.colors import PALETTE, color_of, ink_on

# Machado, Oliveira, Fernandes, "A physiologically-based model for simulation of color vision
# deficiency", IEEE TVCG 15(6), 2009, severity 1.0, on linear RGB.
SEES = {
    "all": np.eye(3),
    "no red": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "no green": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
}


def seen(color: tuple[int, int, int], eye: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    linear = (np.array(color) / 255) ** 2.2
    return np.asarray(np.clip(SEES[eye] @ linear, 0, 1) ** (1 / 2.2) * 255)


@pytest.mark.parametrize("eye", SEES)
def test_neighbours_in_the_cycle_are_told_apart(eye: str) -> None:
    for first, second in zip(PALETTE, PALETTE[1:] + PALETTE[:1], strict=True):
        assert np.linalg.norm(seen(first, eye) - seen(second, eye)) > 45, (first, second)


def test_the_cycle_is_fixed() -> None:
    assert len(set(PALETTE)) == len(PALETTE) == 12
    assert color_of(0) == color_of(12) == (230, 159, 0)
    assert color_of(-1) == PALETTE[-1]


@pytest.mark.parametrize("color", PALETTE)
def test_ink_reads_on_every_colour(color: tuple[int, int, int]) -> None:
    def light(rgb: tuple[int, int, int]) -> float:
        return float(np.dot((np.array(rgb) / 255) ** 2.2, [0.2126, 0.7152, 0.0722]))

    high, low = sorted([light(color), light(ink_on(color))], reverse=True)
    assert (high + 0.05) / (low + 0.05) >= 4.5
