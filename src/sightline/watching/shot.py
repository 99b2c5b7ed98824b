"""The noun of this room: one picture of a source, and the ways to get the next."""

from dataclasses import dataclass
from typing import Protocol, TypeAlias

from sightline.types import Frame

Picture: TypeAlias = bytes | Frame
"""What the road takes: a file's bytes, or pixels."""


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """One picture."""

    picture: Picture
    index: int
    """Number of the frame since the source was opened, from 0; live sources skip those that nobody had time
    for."""
    time_s: float
    """Seconds since the beginning of the video, or since the camera was opened."""
    taken: float
    """When it came, Unix seconds."""


class Eye(Protocol):
    """A source that is open. One thread looks; any thread may close it."""

    def look(self) -> Shot | None:
        """The next frame of a file, the newest of a camera; ``None`` when a file is over.

        Raises:
            SightlineError: The source is lost; open it again or give it up.
        """

    def close(self) -> None:
        """Let go of it; whoever looks is told so by an error."""
