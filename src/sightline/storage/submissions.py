"""What people do to jobs: submit, cancel, retry, forget."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, and_, delete, func, insert, or_, select, update

from sightline.errors import Busy, Conflict
from sightline.storage import job_rows
from sightline.storage.claims import Terms
from sightline.storage.database import clock
from sightline.storage.job_kept import ENDED, Ask, Job
from sightline.storage.job_rows import add_event
from sightline.storage.job_tables import gone, jobs, keys

_KEY_S: Final = 24 * 3600.0
"""How long an idempotency key is remembered."""
_GONE_S: Final = 90 * 86_400.0
"""How long the id of a job that was removed or expired is remembered."""


def submit(
    connection: Connection, ask: Ask, job_id: str, *, limit_s: float, most: int, blobs: Sequence[str]
) -> Job:
    """Write a job down, or find the one that the same key made.

    Raises:
        Conflict: The key was used for something else.
        Busy: ``most`` jobs wait.
        NotFound: One of the blobs is not kept.
    """
    payload = json.dumps(dict(ask.payload), separators=(",", ":"), sort_keys=True)
    earlier = _known(connection, ask, payload, job_id) if ask.idempotency_key else None
    if earlier is not None:
        return job_rows.get(connection, ask.owner, earlier)
    line = select(func.count()).select_from(jobs).where(jobs.c.state == "queued", jobs.c.parent.is_(None))
    if connection.execute(line).scalar_one() >= most:
        raise Busy(f"{most} jobs are waiting, which is the most that may.", retry_after_s=30)
    row = {
        "id": job_id,
        "kind": ask.kind,
        "owner": ask.owner,
        "state": "queued",
        "priority": ask.priority,
        "payload": payload,
        "total": ask.total,
        "limit_s": limit_s,
        "idempotency_key": ask.idempotency_key,
    }
    connection.execute(insert(jobs).values(created=clock(), ready=clock(), **row))
    job_rows.point_to(connection, job_id, blobs)
    add_event(connection, job_id, "state")
    return job_rows.get(connection, ask.owner, job_id)


def _known(connection: Connection, ask: Ask, payload: str, job_id: str) -> str | None:
    """The job that this key stands for; ``None`` after noting that it stands for the new one."""
    body = hashlib.sha256(f"{ask.kind}\n{payload}".encode()).hexdigest()
    row = {"owner": ask.owner, "key": ask.idempotency_key, "job": job_id, "body_sha256": body}
    if job_rows.insert_new(connection, keys, {**row, "created": clock()}):
        return None
    same = and_(keys.c.owner == ask.owner, keys.c.key == ask.idempotency_key)
    stale = update(keys).where(same, keys.c.created < clock() - _KEY_S)
    if connection.execute(stale.values(job=job_id, body_sha256=body, created=clock())).rowcount:
        return None
    found = connection.execute(select(keys).where(same)).one()
    if found.body_sha256 != body:
        raise Conflict(
            f"The idempotency key {str(ask.idempotency_key)[:80]!r} was used for another request.",
            next_step="Send the same request again, or use a new key.",
        )
    return str(found.job)


def cancel(connection: Connection, terms: Terms, owner: str, job_id: str) -> Job:
    """Stop a job with its parts; one that has ended stays as it is.

    Raises:
        NotFound: No such job of this owner.
    """
    job = job_rows.get(connection, owner, job_id)
    running = jobs.c.state.in_(("queued", "running"))
    end = {"state": "cancelled", "lease_until": None, "finished": clock()}
    connection.execute(update(jobs).where(jobs.c.parent == job.id, running).values(**end))
    mine = update(jobs).where(jobs.c.id == job.id, running)
    if connection.execute(mine.values(**end, expires=terms.expires)).rowcount:
        add_event(connection, job.id, "state")
    return job_rows.get(connection, owner, job_id)


def retry(connection: Connection, owner: str, job_id: str) -> list[Job]:
    """Put what did not succeed in the line again.

    Returns:
        The whole job, then the rows that wait now.

    Raises:
        NotFound: No such job of this owner.
        Conflict: It has not ended, or nothing of it failed.
    """
    job = job_rows.get(connection, owner, job_id)
    if not job.ended or (job.state == "done" and not job.failed):
        why = "nothing of it failed" if job.ended else "it has not ended"
        raise Conflict(f"Job {job.id} cannot be tried again: {why}.", next_step="Submit a new job instead.")
    again: dict[str, Any] = {"attempt": 0, "losses": 0, "ready": clock(), "error": None}
    again |= {"finished": None, "expires": None}
    again["started"] = clock() - (jobs.c.finished - jobs.c.started)  # rates leave the time in between out
    bad = or_(jobs.c.state.in_(("failed", "dead", "cancelled")), jobs.c.failed > 0)
    parts = connection.execute(
        update(jobs).where(jobs.c.parent == job.id, bad).values(**again, state="queued").returning(jobs.c.id)
    ).all()
    whole = {"state": "running", "parts": len(parts)} if parts else {"state": "queued"}
    connection.execute(update(jobs).where(jobs.c.id == job.id).values(**again, **whole, result=None))
    add_event(connection, job.id, "state")
    now = job_rows.get(connection, owner, job_id)
    rows = select(*jobs.c, job_rows.NOW).where(jobs.c.id.in_([row.id for row in parts]))
    return [now, *(map(job_rows.as_job, connection.execute(rows)) if parts else [now])]


def remove(connection: Connection, owner: str, job_id: str) -> None:
    """Forget an ended job.

    Raises:
        NotFound: No such job of this owner.
        Conflict: It has not ended.
    """
    job = job_rows.get(connection, owner, job_id)
    if not job.ended:
        raise Conflict(f"Job {job.id} has not ended.", next_step="Cancel it first.")
    _forget(connection, job.id)


def expired(connection: Connection, limit: int = 100) -> list[tuple[str, str]]:
    """(owner, id) of whole jobs past their time."""
    late = select(jobs.c.owner, jobs.c.id).where(jobs.c.expires < clock(), jobs.c.state.in_(ENDED))
    return [(row.owner, row.id) for row in connection.execute(late.limit(limit))]


def forget(connection: Connection, owner: str, job_id: str) -> bool:
    """Forget a job that is past its time; false when it was tried again meanwhile."""
    late = select(jobs.c.id).where(jobs.c.id == job_id, jobs.c.owner == owner, jobs.c.expires < clock())
    found = connection.execute(late.with_for_update()).one_or_none()
    if found is not None:
        _forget(connection, job_id)
    return found is not None


def forget_keys(connection: Connection) -> None:
    """Forget idempotency keys that are too old to count, and ids of jobs that nobody will ask for."""
    connection.execute(delete(keys).where(keys.c.created < clock() - _KEY_S))
    connection.execute(delete(gone).where(gone.c.time < clock() - _GONE_S))


def _forget(connection: Connection, job_id: str) -> None:
    connection.execute(delete(keys).where(keys.c.job == job_id))
    job_rows.drop(connection, job_id)
