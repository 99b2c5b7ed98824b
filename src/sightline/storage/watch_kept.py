"""The noun of watches inside the server, without the database."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sightline.storage.kept import ME


@dataclass(frozen=True, slots=True)
class Watch:
    """A source that the server watches for as long as it runs, and again after a restart."""

    id: str
    name: str
    source: str = field(repr=False)
    """As it was typed: with the camera's name and password, which opening it again takes."""
    wish: Mapping[str, Any]
    """``every_s``, ``motion``, ``model``, ``min_score``, ``labels``, ``size`` and ``store``."""
    created: float = 0.0
    owner: str = ME
