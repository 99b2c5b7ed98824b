"""What jobs of one piece say in their payloads: an evaluation, an import, a training run."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal

from sightline.jobs.version import VERSION, check_version

EVALUATE: Final = "evaluate"
IMPORT: Final = "import"
TRAIN: Final = "train"
LIMITS_S: Final[Mapping[str, float]] = {EVALUATE: 6 * 3600.0, IMPORT: 1800.0, TRAIN: 0.0}
"""Seconds that one attempt may take; 0: no limit. These jobs are not cut into parts."""


@dataclass(frozen=True, slots=True)
class Place:
    """A file that a job needs."""

    type: Literal["blob", "path"]
    """``path`` on the worker's machine; never from HTTP."""
    at: str
    """The digest, or the path."""
    name: str = ""
    """What it was called."""


@dataclass(frozen=True, slots=True)
class EvaluateOrder:
    """Judge a model on labelled pictures; a blob is a zip of what the path would be."""

    model: str
    data: Place
    pictures: str = ""
    """Folder of the pictures of a COCO file, on the worker's machine."""
    min_score: float = 0.01
    rounds: int = 200
    first: int = 0
    size: int | None = None


@dataclass(frozen=True, slots=True)
class ImportOrder:
    """Take a model in; ``hints`` are those of ``sightline models import``."""

    model: Place
    hints: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TrainOrder:
    """Train by a recipe: its name, or the path of a TOML file on the worker's machine."""

    recipe: str
    changes: tuple[str, ...] = ()
    """``KEY=VALUE``, as ``sightline train --change`` takes them."""
    judge: tuple[str, ...] = ()
    """Data sets to measure the finished model on."""
    add: bool = True
    """Import the finished model."""


Order = EvaluateOrder | ImportOrder | TrainOrder
_KINDS: Final[Mapping[type[Order], str]] = {
    EvaluateOrder: EVALUATE,
    ImportOrder: IMPORT,
    TrainOrder: TRAIN,
}


def kind_of(order: Order) -> str:
    """The kind of job that works on it."""
    return _KINDS[type(order)]


def to_json(order: Order) -> dict[str, Any]:
    """The payload."""
    return {"version": VERSION, **asdict(order)}


def blobs_of(order: Order) -> list[str]:
    """Digests that the job needs."""
    places = (getattr(order, "data", None), getattr(order, "model", None))
    return [place.at for place in places if isinstance(place, Place) and place.type == "blob"]


def read(kind: type[Any], payload: Mapping[str, Any]) -> Any:
    """The order of such a payload.

    Raises:
        ConfigError: It was written by another version.
    """
    check_version(payload)
    fields = dict(payload)
    del fields["version"]
    for name in ("data", "model"):
        if isinstance(fields.get(name), Mapping):
            fields[name] = Place(**fields[name])
    for name in ("changes", "judge"):
        if name in fields:
            fields[name] = tuple(fields[name])
    return kind(**fields)
