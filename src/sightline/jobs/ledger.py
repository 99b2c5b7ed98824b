"""The life of a job: submit, claim, renew, finish, cancel, retry, reap, expire.

The row in the database is the truth and a queue only carries ids. Delivery is at least once, effect exactly
once: two workers may run the same job after a kill, but only the one with the newest fence may write.
"""

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final, Literal, Self

from sightline.errors import BadOption
from sightline.jobs import upkeep
from sightline.jobs.local_queue import LocalQueue
from sightline.jobs.queue import JobQueue
from sightline.jobs.stops import Lost
from sightline.settings import Settings
from sightline.storage import claims, job_rows, records, submissions
from sightline.storage.blobs import Blobs, Stored, digest_of
from sightline.storage.claims import Terms
from sightline.storage.database import Database
from sightline.storage.job_kept import (
    Ask,
    Claim,
    Event,
    Item,
    ItemPage,
    Job,
    JobPage,
    JobState,
    Reaped,
)
from sightline.storage.kept import FOLDER, ME, Picture

_TELL_S: Final = 0.5
"""Progress is told to those who watch no more often than this."""
_DAY_S: Final = 86_400.0


def open_queue(settings: Settings) -> JobQueue:
    """The queue that the settings name.

    Raises:
        ConfigError: Of an unknown kind, or its libraries are missing.
    """
    if settings.queue == "local":
        return LocalQueue()
    from sightline.jobs.redis_queue import RedisQueue  # noqa: PLC0415 - most installations have no Redis

    return RedisQueue(settings.queue)


class Ledger:
    """All jobs of one database. Thread-safe; any number of processes may have it open."""

    def __init__(self, settings: Settings, queue: JobQueue) -> None:
        """Nothing is opened yet.

        Raises:
            ConfigError: A database of an unknown kind.
        """
        folder = settings.data_path / FOLDER
        self.queue = queue
        self.database = Database.of(settings)
        self._place: Any = settings.blobs or folder / "blobs"
        self._reserve_mb = settings.disk_reserve_mb
        self._blobs: Blobs | None = None
        self._opening = threading.Lock()
        self._closed = threading.Event()
        self._terms = Terms(settings.lease_s, settings.job_attempts, settings.job_days * _DAY_S)
        self._limit_s, self._most = settings.job_s, settings.jobs_max
        self._told: OrderedDict[str, float] = OrderedDict()

    @classmethod
    def open(cls, settings: Settings) -> "Ledger":
        """The ledger of the settings' database and queue; both are reached for when first needed.

        Raises:
            ConfigError: A database or queue of an unknown kind, or one whose libraries are missing.
        """
        return cls(settings, open_queue(settings))

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
        blobs: Sequence[str] = (),
    ) -> Job:
        """Write a job down, then offer it to the queue. When this returns, the job will not get lost.

        The same key within 24 h with the same kind and payload answers the same job.

        Args:
            kind: Of the table of tasks.
            payload: What the kind needs to know, as JSON values.
            owner: Whose job it is.
            priority: Higher goes first, -100 to 100.
            total: How much there is to do, if that is known.
            idempotency_key: At most 200 characters.
            limit_s: Seconds that one attempt may take, 0 for no limit; ``None``: the setting ``job_s``.
            blobs: Digests that `keep` answered and the payload names; they live as long as the job.

        Raises:
            BadOption: The priority or the key is out of bounds.
            Conflict: The key was used for something else.
            Busy: ``jobs_max`` jobs wait already.
            NotFound: One of the blobs is not kept.
            StorageFull: The database's disk is full.
        """
        if not -100 <= priority <= 100 or len(idempotency_key or "") > 200:
            raise BadOption("priority must be -100 to 100, and an idempotency key at most 200 characters.")
        ask = Ask(kind, payload, owner, priority, total, idempotency_key or None, limit_s)
        limit = self._limit_s if limit_s is None else limit_s
        new = secrets.token_hex(16)
        work = partial(submissions.submit, ask=ask, job_id=new, limit_s=limit, most=self._most, blobs=blobs)
        job = self.database.write(work)
        if job.id == new:
            self.queue.offer(job.id, priority)
        return job

    def get(self, job_id: str, *, owner: str = ME) -> Job:
        """One job.

        Raises:
            NotFound: No such id, it is somebody else's, or it has expired.
        """
        return self.database.read(lambda it: job_rows.get(it, owner, job_id))

    def was_here(self, job_id: str, *, owner: str = ME) -> bool:
        """Whether there was such a job that was removed or has expired, as far as that is remembered."""
        return self.database.read(lambda it: job_rows.was_here(it, owner, job_id))

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
        return self.database.read(lambda it: job_rows.page(it, owner, state, kind, before, limit))

    def cancel(self, job_id: str, *, owner: str = ME) -> Job:
        """Stop a job with all its parts; what runs is told in a second or two. Ended jobs stay as they are.

        Raises:
            NotFound: As `get`.
        """
        return self.database.write(lambda it: submissions.cancel(it, self._terms, owner, job_id))

    def retry(self, job_id: str, *, owner: str = ME) -> Job:
        """Put a failed, dead or cancelled job in the line again, with all its attempts.

        Parts that are done stay done. Of a job that is ``done`` with failed items, the parts with failed
        items run again; tasks skip what is done (`done_indexes`).

        Raises:
            NotFound: As `get`.
            Conflict: It has not ended, or it is done and nothing of it failed.
        """
        job, *rows = self.database.write(lambda it: submissions.retry(it, owner, job_id))
        for row in rows:
            self.queue.offer(row.id, row.priority)
        return job

    def remove(self, job_id: str, *, owner: str = ME) -> None:
        """Forget an ended job, its items and their blobs.

        Raises:
            NotFound: As `get`.
            Conflict: It has not ended.
        """
        self.database.write(lambda it: submissions.remove(it, owner, job_id))

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
        job = self.get(job_id, owner=owner)
        read = partial(job_rows.items_page, root=job.id, after=after, limit=limit, failed_only=failed_only)
        return self.database.read(read)

    def counts(self, job_id: str, *, owner: str = ME) -> dict[str, int]:
        """How many items are ``done`` and ``failed``.

        Raises:
            NotFound: As `get`.
        """
        job = self.get(job_id, owner=owner)
        return self.database.read(lambda it: job_rows.counts(it, job.id))

    def events(self, job_id: str, after: int = 0, *, owner: str = ME, limit: int = 500) -> list[Event]:
        """What happened after the event ``after``, oldest first. Kept as long as the job.

        Raises:
            NotFound: As `get`.
        """
        job = self.get(job_id, owner=owner)
        return self.database.read(lambda it: job_rows.events_after(it, job.id, after, limit))

    # Files of jobs

    def keep(self, picture: Picture) -> str:
        """Store bytes that a job needs or has made; name the digest in `submit` or an item within an hour.

        Raises:
            StorageFull: The disk is at its reserve, or full.
        """
        digest = digest_of(picture.data)
        noted = partial(records.keep, digest=digest, media_type=picture.media_type, size=len(picture.data))
        self.blobs.check_space(len(picture.data))
        self.database.write(noted, alone=True)  # first: from now on nobody deletes the file
        return self.blobs.put(picture.data)

    def picture(self, job_id: str, digest: str, *, owner: str = ME) -> Picture:
        """A file that belongs to the job.

        Raises:
            NotFound: As `get`, or the job has no such file.
        """
        found = self.file(job_id, digest, owner=owner)
        return Picture(self.blobs.get(digest), found.media_type)

    def file(self, job_id: str, digest: str, *, owner: str = ME) -> Stored:
        """The same, not read yet: films are large.

        Raises:
            NotFound: As `picture`.
        """
        job = self.get(job_id, owner=owner)
        kind = self.database.read(lambda it: job_rows.media_type_of(it, job.id, digest))
        return Stored(self.blobs, digest, kind)

    # For workers

    def claim(self, worker: str, kinds: Sequence[str], job_id: str | None = None) -> Claim | None:
        """Take a waiting job: this one, or the best of the line.

        Priority first, then fairness over owners, then over the jobs of one owner, then age. Fairness:
        whoever has less running goes first, then whoever was served longest ago. So a small job need not
        wait for all parts of a large one.
        """
        if job_id is None and not self.database.read(lambda it: claims.any_waiting(it, kinds)):
            return None  # looking is cheaper than asking for the right to write
        return self.database.write(lambda it: claims.claim(it, self._terms, worker, kinds, job_id))

    def attempt(self, job_id: str, fence: int) -> Claim | None:
        """The claim that this fence belongs to, for a supervisor whose child died; ``None``: it was lost."""
        return self.database.read(lambda it: claims.attempt(it, job_id, fence))

    def split(self, claim: Claim, kind: str, parts: Sequence[Mapping[str, Any]], *, total: int) -> None:
        """Turn the claimed job into parts of ``kind``, one for each payload; this attempt ends with it.

        The whole job is ``done`` when all parts are, with ``{"parts": n}`` as its result; when a part fails
        or dies, the others go on, and the whole one ends as that part did.

        Raises:
            Lost: Somebody else has the job by now.
        """
        rows = [(secrets.token_hex(16), payload) for payload in parts]
        if not self.database.write(lambda it: claims.split(it, self._terms, claim, (kind, rows, total))):
            raise Lost(claim.job.id)
        for part_id, _ in rows:
            if not self.queue.offer(part_id, claim.job.priority):
                break  # out of reach: the reaper offers them

    def renew(self, claim: Claim) -> Literal["go", "cancelled", "lost"]:
        """Extend the lease by ``lease_s`` and say whether to go on."""
        if self.database.write(lambda it: claims.renew(it, self._terms, claim)):
            return "go"
        return self.verdict(claim)

    def verdict(self, claim: Claim) -> Literal["go", "cancelled", "lost"]:
        """Whether to go on, without extending the lease."""
        return self.database.read(lambda it: claims.verdict(it, claim))

    def progress(self, claim: Claim, done: int, total: int | None = None) -> None:
        """Say how far this row is (of a split job: how far this part is); nothing happens if it was lost."""
        tell = self._may_tell(claim.root) or done == (claim.job.progress.total if total is None else total)
        self.database.write(lambda it: claims.progress(it, claim, done, total, tell=tell))

    def _may_tell(self, root: str) -> bool:
        now = time.monotonic()
        if now - self._told.get(root, -_TELL_S) < _TELL_S:
            return False
        self._told[root] = now
        while len(self._told) > 100:
            self._told.popitem(last=False)
        return True

    def put_items(self, claim: Claim, items: Sequence[Item]) -> None:
        """Keep items of the whole job, all or none; one for each index, the latest counts. Progress follows.

        Args:
            claim: The attempt.
            items: ``Item.job`` is ``claim.root``.

        Raises:
            Lost: Somebody else has the job by now; nothing was written.
        """
        if items and not self.database.write(lambda it: claims.put_items(it, claim, items)):
            raise Lost(claim.job.id)

    def done_indexes(self, claim: Claim, first: int, count: int) -> set[int]:
        """Which of the inputs ``first`` … ``first + count - 1`` an earlier attempt has done."""
        return self.database.read(lambda it: job_rows.done_positions(it, claim.root, first, count))

    def finish(self, claim: Claim, result: Mapping[str, Any] | None = None) -> bool:
        """The job is done; ``False`` when somebody else has it by now (the result is thrown away)."""
        return self.database.write(lambda it: claims.finish(it, self._terms, claim, result))

    def fail(self, claim: Claim, error: Mapping[str, Any], *, retry: bool) -> bool:
        """The attempt failed.

        Args:
            claim: The attempt.
            error: ``{"code", "message", "next_step"}``.
            retry: Try again after a pause while attempts are left, then ``dead``; else ``failed`` at once.

        Returns:
            ``False`` when somebody else has the job by now.
        """
        return self.database.write(lambda it: claims.fail(it, self._terms, claim, error, retry=retry))

    def hand_back(self, claim: Claim) -> bool:
        """Put the job back into the line, as if this attempt had not begun: the worker is being stopped."""
        done = self.database.write(lambda it: claims.hand_back(it, claim))
        if done:
            self.queue.offer(claim.job.id, claim.job.priority)
        return done

    # For whoever looks after them

    def reap(self) -> Reaped:
        """Take jobs back whose lease has passed, bury those without attempts left, refill the queue."""
        return upkeep.reap(self.database, self.queue, self._terms)

    def expire(self) -> int:
        """Forget jobs past ``job_days`` with their blobs; how many. Ends early when the ledger is closed."""
        return upkeep.expire(self.database, self.blobs, stopped=self._closed.is_set)

    def unfinished(self) -> int:
        """How many rows wait or run: whether workers are needed."""
        return self.database.read(claims.unfinished)

    def close(self) -> None:
        """Let go of the database and the queue; an `expire` that runs ends soon."""
        self._closed.set()
        self.queue.close()
        self.database.close()

    @property
    def blobs(self) -> Blobs:
        """The files, opened at first use."""
        with self._opening:
            if self._blobs is None:
                self._blobs = Blobs(self._place, reserve_mb=self._reserve_mb)
            return self._blobs

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
