"""What a task gets to work with: warm models, the ledger, and the question whether to go on."""

import threading
from functools import cached_property
from typing import TYPE_CHECKING

from sightline.jobs.ledger import Ledger
from sightline.jobs.stops import Cancelled, HandBack, Lost
from sightline.settings import Settings
from sightline.storage.job_kept import Claim

if TYPE_CHECKING:
    from sightline.serving.road import Road


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
        self._ended: dict[str, str] = {}

    @cached_property
    def road(self) -> "Road":
        """The road, opened when the first task wants it; its models stay loaded over many jobs."""
        from sightline.serving.road import Road  # noqa: PLC0415 - a task without pictures needs no engines

        return Road.open(self.settings)

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

    def close(self) -> None:
        """Let go of models and decoders."""
        road = self.__dict__.pop("road", None)
        if road is not None:
            road.close()
