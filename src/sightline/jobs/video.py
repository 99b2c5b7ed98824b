"""What a job of a video says in its payload: which video, who is to look, and what is to be made of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from sightline.errors import BadOption
from sightline.jobs.version import VERSION, check_version
from sightline.types import Ask

VIDEO: Final = "video"
"""The kind of such a job."""
LIMIT_S: Final = 6 * 3600.0
"""Seconds that one attempt may take: a video is not cut into parts, as objects go on from frame to frame."""
SUFFIXES: Final = frozenset(
    {".3gp", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm", ".wmv"}
)
"""What files of videos are called."""
SIDE: Final = 720
SIDE_MAX: Final = 1920


@dataclass(frozen=True, slots=True)
class VideoOrder:
    """The payload of a `VIDEO` job."""

    type: Literal["blob", "file"]
    """``blob``: ``place`` is the digest of a stored file. ``file``: its path on the worker's machine; never
    from HTTP."""
    place: str
    name: str
    """What it was called."""
    model: str | None = None
    ask: Ask = field(default_factory=Ask)
    every_s: float = 0.0
    """Seconds between two frames that are looked at; 0: every frame."""
    side: int = SIDE
    """Longest side of the annotated film; 0: none is made."""

    def __post_init__(self) -> None:
        if not 0 <= self.every_s <= 86_400:
            raise BadOption(f"every_s must be 0 to 86400 seconds, got {self.every_s}.")
        if not (self.side == 0 or 64 <= self.side <= SIDE_MAX):
            raise BadOption(f"side must be 0 (no film) or 64 to {SIDE_MAX} pixels, got {self.side}.")

    def to_json(self) -> dict[str, Any]:
        """The payload."""
        labels = sorted(self.ask.labels) if self.ask.labels is not None else None
        return {
            "version": VERSION,
            "model": self.model,
            "ask": {
                "min_score": self.ask.min_score,
                "max_results": self.ask.max_results,
                "labels": labels,
                "size": self.ask.size,
            },
            "video": {"type": self.type, "place": self.place, "name": self.name},
            "every_s": self.every_s,
            "side": self.side,
        }

    @classmethod
    def from_json(cls, payload: Mapping[str, Any]) -> "VideoOrder":
        """Read a payload.

        Raises:
            ConfigError: It was written by another version.
        """
        check_version(payload)
        ask, video = payload["ask"], payload["video"]
        labels = frozenset(ask["labels"]) if ask["labels"] is not None else None
        return cls(
            video["type"],
            video["place"],
            video["name"],
            payload["model"],
            Ask(ask["min_score"], ask["max_results"], labels, ask["size"]),
            payload["every_s"],
            payload["side"],
        )
