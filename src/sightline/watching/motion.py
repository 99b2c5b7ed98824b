"""Whether anything changed in front of a camera: pure arrays.

Each picture is reduced to about 64 grey cells across. A slowly learnt background is taken from it, the
change of light of the whole scene is taken out, and what is left over a threshold is counted. The gate
opens at one share of changed cells and closes below a smaller one (hysteresis), after a few quiet pictures:
an object that stands still for a moment does not make it flutter.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from sightline.types import Float32, UInt8

CELLS: Final = 64
"""Grey cells across the longer side."""
_SAMPLES: Final = 4
"""Pixels a cell and axis that are averaged; more only cost time."""
_WEIGHTS: Final = np.array([0.299, 0.587, 0.114], np.float32)
"""ITU-R BT.601, section 2.5.1."""


@dataclass(frozen=True, slots=True)
class Rules:
    """When something counts as motion."""

    level: float = 10.0
    """Grey levels (of 255) by which a cell must differ from the background."""
    opens: float = 0.008
    """Share of changed cells that opens the gate: 0.8 % of a picture, a person far away."""
    closes: float = 0.004
    """Share under which the scene is quiet."""
    quiet: int = 2
    """Quiet pictures in a row that close it."""
    light: float = 30.0
    """Grey levels that the whole scene may change by; beyond that, something covers it or a lamp went on."""
    learn: float = 0.1
    """Weight of a new picture in the background."""


@dataclass(frozen=True, slots=True)
class Motion:
    """What the gate says about one picture."""

    open: bool
    share: float
    """Of changed cells, 0 to 1."""


def grey(pixels: UInt8) -> Float32:
    """(h, w, 3) RGB -> (rows, columns) mean grey of cells; the longer side has about `CELLS`."""
    height, width = pixels.shape[:2]
    step = max(1, max(height, width) // (CELLS * _SAMPLES))
    thin = pixels[::step, ::step].astype(np.float32) @ _WEIGHTS
    cell = max(1, min(_SAMPLES, max(thin.shape) // CELLS, *thin.shape))
    rows, columns = thin.shape[0] // cell, thin.shape[1] // cell
    blocks = thin[: rows * cell, : columns * cell].reshape(rows, cell, columns, cell)
    return np.asarray(blocks.mean((1, 3)), np.float32)


class MotionGate:
    """Remembers one camera's background. The first picture, and one of another size, always passes."""

    def __init__(self, rules: Rules | None = None) -> None:
        """Begin without a background, closed."""
        self._rules = rules or Rules()
        self._background: Float32 | None = None
        self._open = False
        self._quiet = 0

    def see(self, cells: Float32) -> Motion:
        """Take the next picture (as `grey` gives it) and say whether it is worth a look."""
        if self._background is None or self._background.shape != cells.shape:
            self._background = cells.copy()
            self._open, self._quiet = False, 0
            return Motion(open=True, share=1.0)
        share = self._share(cells - self._background)
        self._background += self._rules.learn * (cells - self._background)
        if share >= self._rules.opens:
            self._open, self._quiet = True, 0
        elif self._open:
            self._quiet = self._quiet + 1 if share < self._rules.closes else 0
            self._open = self._quiet < self._rules.quiet
        return Motion(open=self._open, share=share)

    def _share(self, difference: Float32) -> float:
        light = np.median(difference)  # a cloud, the camera's own exposure
        difference -= np.clip(light, -self._rules.light, self._rules.light)
        return float(np.mean(np.abs(difference) > self._rules.level))
