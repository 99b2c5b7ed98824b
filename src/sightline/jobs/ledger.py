"""The life of a job: submit, claim, renew, finish, cancel, retry, reap, expire.

The row in the database is the truth and a queue only carries ids. Delivery is at least once, effect exactly
once: two workers may run the same job after a kill, but only the one with the newest fence may write.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from sightline.settings import Settings
from sightline.storage.job_kept import (
    Claim,
    Event,
    Item,
    ItemPage,
    Job,
    JobPage,
    JobState,
    Reaped,
)
from sightline.storage.kept import ME


class Ledger:
    """All jobs of one database. Thread-safe; any number of processes may have it open."""

    @classmethod
    def open(cls, settings: Settings) -> "Ledger":
        """The ledger of the settings' database and queue; both are reached for when first needed.

        Raises:
            ConfigError: A database or queue of an unknown kind, or one whose libraries are missing.
        """
        raise NotImplementedError

    # For those who want something done

    def submit(  # noqa: PLR0913 - each says something else about the job
        self,
        kind: str,
        payload: Mapping[str, Any],
        *,
        owner: str = ME,
        priority: int = 0,
        total: int = 0,
        idempotency_key: str | None = None,
        limit_s: float | None = None,
    ) -> Job:
        """Write a job down, then offer it to the queue. When this returns, the job will not get lost.

        The same key within 24 h with the same kind and payload answers the same job.

        Raises:
            Conflict: The key was used for something else.
            Busy: ``jobs_max`` jobs wait already.
        """
        raise NotImplementedError

    def get(self, job_id: str, *, owner: str = ME) -> Job:
        """One job.

        Raises:
            NotFound: No such id, it is somebody else's, or it has expired.
        """
        raise NotImplementedError

    def page(
        self,
        *,
        owner: str = ME,
        state: JobState | None = None,
        kind: str | None = None,
        before: str = "",
        limit: int = 50,
    ) -> JobPage:
        """Whole jobs, newest first.

        Raises:
            BadOption: ``before`` is not the ``next`` of an earlier page.
        """
        raise NotImplementedError

    def cancel(self, job_id: str, *, owner: str = ME) -> Job:
        """Stop a job with all its parts; what runs is told in a second or two. Ended jobs stay as they are.

        Raises:
            NotFound: As `get`.
        """
        raise NotImplementedError

    def retry(self, job_id: str, *, owner: str = ME) -> Job:
        """Put a failed, dead or cancelled job in the line again, with all its attempts.

        Parts that are done stay done. Of a job that is ``done`` with failed items, the parts with failed
        items run again; tasks skip what is done (`done_indexes`).

        Raises:
            NotFound: As `get`.
            Conflict: It has not ended, or it is done and nothing of it failed.
        """
        raise NotImplementedError

    def remove(self, job_id: str, *, owner: str = ME) -> None:
        """Forget an ended job, its items and their blobs.

        Raises:
            NotFound: As `get`.
            Conflict: It has not ended.
        """
        raise NotImplementedError

    def items(
        self,
        job_id: str,
        *,
        owner: str = ME,
        after: int = -1,
        limit: int = 100,
        failed_only: bool = False,
    ) -> ItemPage:
        """What became of the inputs whose index is above ``after``, by index.

        Raises:
            NotFound: As `get`.
        """
        raise NotImplementedError

    def counts(self, job_id: str, *, owner: str = ME) -> dict[str, int]:
        """How many items are ``done`` and ``failed``.

        Raises:
            NotFound: As `get`.
        """
        raise NotImplementedError

    def events(self, job_id: str, after: int = 0, *, owner: str = ME, limit: int = 500) -> list[Event]:
        """What happened after the event ``after``, oldest first. Kept as long as the job.

        Raises:
            NotFound: As `get`.
        """
        raise NotImplementedError

    # For workers

    def claim(self, worker: str, kinds: Sequence[str], job_id: str | None = None) -> Claim | None:
        """Take a waiting job: this one, or the best of the line (priority, fairness over owners, age).

        Fairness: whoever has fewer jobs running goes first, then whoever was served longest ago.
        """
        raise NotImplementedError

    def split(self, claim: Claim, kind: str, parts: Sequence[Mapping[str, Any]], *, total: int) -> None:
        """Turn the claimed job into parts of ``kind``, one for each payload; this attempt ends with it.

        The whole job is ``done`` when all parts are, with ``{"parts": n}`` as its result; when a part fails
        or dies, the others go on, and the whole one ends as that part did.

        Raises:
            Lost: Somebody else has the job by now.
        """
        raise NotImplementedError

    def renew(self, claim: Claim) -> Literal["go", "cancelled", "lost"]:
        """Extend the lease by ``lease_s`` and say whether to go on."""
        raise NotImplementedError

    def progress(self, claim: Claim, done: int, total: int | None = None) -> None:
        """Say how far this row is (of a split job: how far this part is); nothing happens if it was lost."""
        raise NotImplementedError

    def put_items(self, claim: Claim, items: Sequence[Item]) -> None:
        """Keep items of the whole job, all or none; one for each index, the latest counts. Progress follows.

        Args:
            claim: The attempt.
            items: ``Item.job`` is ``claim.root``.

        Raises:
            Lost: Somebody else has the job by now; nothing was written.
        """
        raise NotImplementedError

    def done_indexes(self, claim: Claim, first: int, count: int) -> set[int]:
        """Which of the inputs ``first`` … ``first + count - 1`` an earlier attempt has done."""
        raise NotImplementedError

    def finish(self, claim: Claim, result: Mapping[str, Any] | None = None) -> bool:
        """The job is done; ``False`` when somebody else has it by now (the result is thrown away)."""
        raise NotImplementedError

    def fail(self, claim: Claim, error: Mapping[str, Any], *, retry: bool) -> bool:
        """The attempt failed.

        Args:
            claim: The attempt.
            error: ``{"code", "message", "next_step"}``.
            retry: Try again after a pause while attempts are left, then ``dead``; else ``failed`` at once.

        Returns:
            ``False`` when somebody else has the job by now.
        """
        raise NotImplementedError

    def hand_back(self, claim: Claim) -> bool:
        """Put the job back into the line, as if this attempt had not begun: the worker is being stopped."""
        raise NotImplementedError

    # For whoever looks after them

    def reap(self) -> Reaped:
        """Take jobs back whose lease has passed, bury those without attempts left, refill the queue."""
        raise NotImplementedError

    def expire(self) -> int:
        """Forget jobs past ``job_days`` with their blobs; how many."""
        raise NotImplementedError

    def unfinished(self) -> int:
        """How many rows wait or run: whether workers are needed."""
        raise NotImplementedError

    def close(self) -> None:
        """Let go of the database and the queue."""
        raise NotImplementedError
