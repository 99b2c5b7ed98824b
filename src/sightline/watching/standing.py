"""How a watch is doing, as what its watcher tells changes it."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from sightline.errors import SightlineError
from sightline.formats import native
from sightline.storage.watch_kept import Watch
from sightline.types import Result
from sightline.watching.loop import Ended, Event, Lost, Missed, Seen

State = Literal["starting", "watching", "lost", "ended"]


@dataclass(slots=True)
class Standing:
    """How a watch is doing. Changed by its thread, read by others."""

    watch: Watch
    shown: str
    """The source without name and password."""
    state: State = "starting"
    answers: int = 0
    error: SightlineError | None = None
    last: Seen | None = None
    counts: dict[str, int] = field(default_factory=dict)
    """Of the last answer."""

    def hear(
        self, event: Event, keep: Callable[[Seen], object], tell: Callable[[str, Result], object]
    ) -> None:
        """Note what has happened.

        Args:
            event: What the watcher tells.
            keep: Gets each answer first.
            tell: Gets the watch's name and what counts of each answer (for rules). Errors of both are noted.
        """
        match event:
            case Seen():
                self._see(event, keep, tell)
            case Missed(_, error):
                self.error = error
            case Lost(_, error, _):
                self.state, self.error = "lost", error
            case Ended(_, error):
                self.state, self.error = "ended", error or self.error

    def _see(self, seen: Seen, keep: Callable[[Seen], object], tell: Callable[[str, Result], object]) -> None:
        error: SightlineError | None = None
        try:
            keep(seen)
        except SightlineError as problem:
            error = problem
        self.state, self.error = "watching", error
        self.counts = dict(Counter(row["label"] for row in native.plain(seen.result)))
        self.last = seen
        self.answers += 1
        try:
            tell(self.watch.name, seen.result)
        except SightlineError as problem:
            self.error = problem
