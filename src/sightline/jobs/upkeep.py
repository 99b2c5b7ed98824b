"""What keeps jobs from getting lost or staying for ever. Any number of processes may do it at once."""

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from sightline.jobs.queue import JobQueue
from sightline.storage import claims, records, submissions
from sightline.storage.blobs import Blobs
from sightline.storage.claims import Terms
from sightline.storage.database import Database
from sightline.storage.job_kept import Reaped

_REFILL: Final = 2000
"""Rows that one round of reaping offers again at most."""
_SWEEP: Final = 40
"""Files that are deleted under one lock: with an object store each takes a while, and writers wait."""
_SWEEPS: Final = 25


def reap(database: Database, queue: JobQueue, terms: Terms) -> Reaped:
    """Take jobs back whose lease has passed, bury those without attempts left, refill the queue."""
    states = [
        database.write(partial(claims.take_back, terms=terms, lost=late))
        for late in database.read(claims.overdue)
    ]
    return Reaped(states.count("queued"), states.count("dead"), _refill(database, queue))


def _refill(database: Database, queue: JobQueue) -> int:
    """Offer what waits and the queue does not know."""
    known = queue.waiting()
    if known is None:
        return 0
    count = 0
    for job in database.read(partial(claims.waiting, limit=_REFILL)):
        if job.id not in known:
            if not queue.offer(job.id, job.priority):
                break
            count += 1
    return count


def expire(database: Database, blobs: Blobs, *, stopped: Callable[[], bool] = lambda: False) -> int:
    """Forget jobs that are past their time, keys that are too old, and files that nothing points to.

    Ends early when it is ``stopped``; the rest is done next time.
    """
    gone = 0
    for who, it in database.read(submissions.expired):
        if stopped():
            return gone
        gone += database.write(partial(submissions.forget, owner=who, job_id=it))
    database.write(submissions.forget_keys)

    def sweep(connection: Any) -> int:
        loose = records.forget_loose(connection, _SWEEP)
        for digest in loose:
            blobs.delete(digest)
        return len(loose)

    for _ in range(_SWEEPS):
        if stopped():
            break
        if database.write(sweep, alone=True) < _SWEEP:  # alone: nobody can put a file here again meanwhile
            break
    return gone
