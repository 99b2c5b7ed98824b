"""What a task gets to work with: warm models, the ledger, and the question whether to go on."""

import threading
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

from sightline.jobs.ledger import Ledger
from sightline.jobs.stops import Cancelled, HandBack, Lost
from sightline.settings import Settings
from sightline.storage.job_kept import Claim

if TYPE_CHECKING:
    from sightline.serving.road import Road
    from sightline.serving.scribe import Scribe


class Desk:
    """One for each worker process, for all the jobs of its life.

    A task is a function ``(desk, claim) -> result | None``, called in the main thread, one at a time.
    It should call `check` between two pictures (or frames, or steps).
    """

    def __init__(self, settings: Settings, ledger: Ledger) -> None:
        """Nothing is loaded yet."""
        self.settings = settings
        self.ledger = ledger
        self.stopping = threading.Event()
        """Set when the worker is being stopped."""
        self.take_ahead: Callable[[], Claim | None] = lambda: None
        """Takes the next job while the running one nears its end; it is this worker's next one."""
        self._ended: dict[str, str] = {}
        self._closers: list[Callable[[], None]] = []

    @cached_property
    def road(self) -> "Road":
        """The road, opened when the first task wants it; its models stay loaded over many jobs."""
        from sightline.serving.road import Road  # noqa: PLC0415 - a task without pictures needs no engines

        return Road.open(self.settings)

    @cached_property
    def scribe(self) -> "Scribe":
        """Turns results into JSON."""
        from sightline.serving.scribe import Scribe  # noqa: PLC0415

        return Scribe(self.settings.scribe_count)

    def check(self, claim: Claim) -> None:
        """Go on, or leave the job; cheap enough to be called for each picture.

        Raises:
            Lost: The lease was lost; nothing that this attempt writes counts any more.
            Cancelled: Somebody cancelled the job.
            HandBack: The worker is being stopped.
        """
        verdict = self._ended.get(claim.job.id)
        if verdict == "lost":
            raise Lost(claim.job.id)
        if verdict == "cancelled":
            raise Cancelled(claim.job.id)
        if self.stopping.is_set():
            raise HandBack(claim.job.id)

    def tell(self, claim: Claim, verdict: str) -> None:
        """Note what `Ledger.renew` answered; ``go`` forgets what was noted before."""
        if verdict == "go":
            self._ended.pop(claim.job.id, None)
        else:
            self._ended[claim.job.id] = verdict

    def at_close(self, close: Callable[[], None]) -> None:
        """Call this first when the worker ends: something of a task's own."""
        self._closers.append(close)

    def close(self) -> None:
        """Let go of what tasks keep, of models and of decoders."""
        while self._closers:
            self._closers.pop()()
        for name in ("scribe", "road"):
            kept = self.__dict__.pop(name, None)
            if kept is not None:
                kept.close()
