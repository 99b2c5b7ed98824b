"""The nouns of storage, without the database: importing them costs nothing."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

ME = "me"
"""The one owner of solo mode."""
FOLDER = "results"
"""Of the data folder: the database and the pictures."""
DATABASE = "results.sqlite"
"""In that folder, unless the setting ``database`` names another one."""


@dataclass(frozen=True, slots=True)
class Picture:
    """An encoded picture that is safe to serve: upright, re-encoded, without metadata."""

    data: bytes
    media_type: str


@dataclass(frozen=True, slots=True)
class Draft:
    """What is to be kept of one answer."""

    id: str
    payload: Mapping[str, Any]
    """The result's JSON with every score above the storage floor."""
    min_score: float
    """The threshold that was asked for, or the model's own."""
    counts: Mapping[str, int]
    """How many objects (or classes) of each label at ``min_score``."""
    input_sha256: str
    image: Picture
    thumbnail: Picture
    owner: str = ME


@dataclass(frozen=True, slots=True)
class Summary:
    """One line of the history."""

    id: str
    created: float
    source: str
    task: str
    model: str
    version: str
    width: int
    height: int
    min_score: float
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Record(Summary):
    """One stored result, whole."""

    input_sha256: str = ""
    image: str = ""
    thumbnail: str = ""
    payload: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Page:
    """A stretch of the history, newest first; ``next`` continues it."""

    items: tuple[Summary, ...]
    next: str | None
    total: int


@dataclass(frozen=True, slots=True)
class Search:
    """What of the history is wanted."""

    label: str = ""
    text: str = ""
    """Part of the source's name."""
    model: str = ""
    before: str = ""
    """``next`` of the page before."""
    limit: int = 50
