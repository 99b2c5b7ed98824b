"""Small manifests and fits for tests of heads."""

from collections.abc import Callable
from typing import Any

import pytest

from sightline.manifest import Head, InputContract, Manifest, Thresholds
from sightline.types import Fit


@pytest.fixture
def manifest() -> Callable[..., Manifest]:
    """A manifest of a head with two labels; thresholds as keywords."""

    def make(
        kind: str,
        task: str = "detect",
        labels: tuple[str, ...] = ("cat", "dog"),
        options: dict[str, Any] | None = None,
        **thresholds: Any,
    ) -> Manifest:
        return Manifest(
            name="toy",
            task=task,  # type: ignore[arg-type]
            labels=labels,
            input=InputContract(width=32, height=32),
            head=Head(kind=kind, options=options or {}),
            thresholds=Thresholds(**({"min_score": 0.3} | thresholds)),
        )

    return make


@pytest.fixture
def half() -> Fit:
    """A picture of 64 x 64 on a canvas of 32 x 32."""
    return Fit(0.5, 0.5, 0, 0, 64, 64, 32, 32)
