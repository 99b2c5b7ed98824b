"""Colour belongs to the label: a fixed cycle that stays apart for colour-blind eyes.

The first seven are the colours of Okabe and Ito ("Color Universal Design", 2008), the rest are picked
from the bright and vibrant schemes of Paul Tol ("Colour schemes", SRON technical note EPS/TN/09-002,
2021), in an order that keeps neighbours apart in lightness as well as in hue. Never random: the same
label has the same colour on every page, in every download and after every restart.
"""

from typing import Final, TypeAlias

Color: TypeAlias = tuple[int, int, int]

PALETTE: Final[tuple[Color, ...]] = (
    (230, 159, 0),  # orange
    (86, 180, 233),  # sky blue
    (0, 158, 115),  # bluish green
    (240, 228, 66),  # yellow
    (0, 114, 178),  # blue
    (213, 94, 0),  # vermilion
    (204, 121, 167),  # reddish purple
    (51, 187, 238),  # cyan
    (238, 51, 119),  # magenta
    (187, 204, 51),  # pear
    (102, 51, 170),  # violet
    (238, 136, 102),  # salmon
)

HALO: Final[Color] = (16, 18, 22)
"""Nearly black: lies under every coloured line, so that it shows on any picture."""


def color_of(label_id: int) -> Color:
    """RGB of a label; label ids beyond the cycle (and negative ones) wrap around."""
    return PALETTE[label_id % len(PALETTE)]


def ink_on(color: Color) -> Color:
    """Black or white, whichever reads better on ``color`` (contrast of WCAG 2.2, relative luminance)."""
    light = _luminance(color)
    return (0, 0, 0) if (light + 0.05) / 0.05 >= 1.05 / (light + 0.05) else (255, 255, 255)


def _luminance(color: Color) -> float:
    linear = [c / 255 / 12.92 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in color]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
