"""Rows of jobs as nouns, and what else belongs to a job: items, events, blobs.

Transactions that change several rows take a part's row before its whole's: two of them never wait for
each other in a ring. A job's events are numbered under the lock of its row, so they become visible in order.
"""

import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    and_,
    case,
    delete,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)

from sightline.errors import BadOption, NotFound
from sightline.storage.database import clock
from sightline.storage.job_kept import Event, Item, ItemPage, Job, JobPage, JobState, Progress
from sightline.storage.job_tables import events, gone, items, job_blobs, jobs
from sightline.storage.tables import blobs

_IN_ONE: Final = 500
"""Digests in one statement."""
NOW: Final = clock().label("now")
"""Selected beside a job's columns: rates are by the same clock as its times."""


def as_job(row: Any) -> Job:
    """A row of `jobs.c` and `NOW`."""
    return Job(
        id=row.id,
        kind=row.kind,
        owner=row.owner,
        state=row.state,
        priority=row.priority,
        payload=json.loads(row.payload),
        created=row.created,
        started=row.started,
        finished=row.finished,
        expires=row.expires,
        attempt=row.attempt,
        fence=row.fence,
        lease_until=row.lease_until,
        progress=Progress(row.done, row.total),
        error=json.loads(row.error) if row.error else None,
        parent=row.parent,
        result=json.loads(row.result) if row.result else None,
        idempotency_key=row.idempotency_key,
        rate=_rate(row),
        failed=row.failed,
        limit_s=row.limit_s,
        parts=row.parts,
    )


def _rate(row: Any) -> float | None:
    if row.started is None or not row.done or row.state == "queued":
        return None
    seconds = (row.finished or row.now) - row.started
    return round(row.done / seconds, 3) if seconds > 0 else None


def _theirs(owner: str) -> ColumnElement[bool]:
    """Whole jobs of an owner; one past its time is gone, also before it is swept."""
    fresh = or_(jobs.c.expires.is_(None), jobs.c.expires >= clock())
    return and_(jobs.c.owner == owner, jobs.c.parent.is_(None), fresh)


def was_here(connection: Connection, owner: str, job_id: str) -> bool:
    """Whether there was such a job that is gone by now."""
    for table in (gone, jobs):
        mine = select(table.c.id).where(table.c.id == job_id, table.c.owner == owner)
        if connection.execute(mine).one_or_none() is not None:
            return True
    return False


def get(connection: Connection, owner: str, job_id: str) -> Job:
    """One whole job.

    Raises:
        NotFound: No such id, it is a part, or it is somebody else's.
    """
    mine = select(*jobs.c, NOW).where(_theirs(owner), jobs.c.id == job_id)
    row = connection.execute(mine).one_or_none()
    if row is None:
        raise NotFound(
            f"There is no job {job_id[:64]!r}.",
            next_step="It may have expired or been removed; `sightline jobs list` shows those there are.",
        )
    return as_job(row)


def page(
    connection: Connection, owner: str, state: JobState | None, kind: str | None, before: str, limit: int
) -> JobPage:
    """Whole jobs, newest first.

    Raises:
        BadOption: ``before`` is not the ``next`` of an earlier page.
    """
    wanted = _theirs(owner)
    if state:
        wanted = and_(wanted, jobs.c.state == state)
    if kind:
        wanted = and_(wanted, jobs.c.kind == kind)
    total = connection.execute(select(func.count()).select_from(jobs).where(wanted)).scalar_one()
    if before:
        if not before.isdecimal() or len(before) > 18:
            raise BadOption(f"before must be the `next` of an earlier page, got {before[:80]!r}.")
        wanted = and_(wanted, jobs.c.number < int(before))
    newest = select(*jobs.c, NOW).where(wanted).order_by(jobs.c.number.desc()).limit(limit + 1)
    rows = connection.execute(newest).all()
    shown = rows[:limit]
    return JobPage(
        tuple(as_job(row) for row in shown), str(shown[-1].number) if len(rows) > limit else None, total
    )


def add_event(connection: Connection, job_id: str, kind: str, data: Mapping[str, Any] | None = None) -> None:
    """Note what happened to a whole job; without data, its own JSON as it is now."""
    raised = update(jobs).where(jobs.c.id == job_id).values(seq=jobs.c.seq + 1).returning(*jobs.c, NOW)
    row = connection.execute(raised).one_or_none()
    if row is None:
        return
    text = json.dumps(as_job(row).to_json() if data is None else data, separators=(",", ":"))
    new = {"job": job_id, "seq": row.seq, "type": kind, "data": text, "time": clock()}
    connection.execute(insert(events).values(**new))


def add_progress(connection: Connection, job_id: str) -> None:
    """Note how far a whole job is."""
    row = connection.execute(
        select(jobs.c.done, jobs.c.total, jobs.c.failed).where(jobs.c.id == job_id)
    ).one_or_none()
    if row is not None:
        data = {"done": row.done, "total": row.total, "failed": row.failed}
        add_event(connection, job_id, "progress", data)


def events_after(connection: Connection, job_id: str, after: int, limit: int) -> list[Event]:
    """Oldest first."""
    wanted = select(events).where(events.c.job == job_id, events.c.seq > after)
    rows = connection.execute(wanted.order_by(events.c.seq).limit(limit))
    return [Event(row.seq, row.type, json.loads(row.data), row.time) for row in rows]


def put_items(connection: Connection, root: str, new: Sequence[Item]) -> tuple[int, int]:
    """Insert or replace items of a whole job.

    Returns:
        How many more there are now, and how many more of them failed.
    """
    mine = and_(items.c.job == root, items.c.position.in_([item.index for item in new]))
    found = {row.position: row.state for row in connection.execute(select(items).where(mine))}
    connection.execute(delete(items).where(mine))
    connection.execute(insert(items), [_item_row(root, item) for item in new])
    point_to(connection, root, [digest for item in new for digest in (item.thumbnail, item.image) if digest])
    failures = sum(item.state == "failed" for item in new)
    before = sum(state == "failed" for state in found.values())
    return len(new) - len(found), failures - before


def _item_row(root: str, item: Item) -> dict[str, Any]:
    result = None if item.result is None else json.dumps(dict(item.result), separators=(",", ":")).encode()
    return {
        "job": root,
        "position": item.index,
        "source": item.source[:2000],
        "state": item.state,
        "result": None if result is None else zlib.compress(result, 1),
        "error": None if item.error is None else json.dumps(dict(item.error)),
        "thumbnail": item.thumbnail,
        "image": item.image,
    }


def items_page(connection: Connection, root: str, after: int, limit: int, *, failed_only: bool) -> ItemPage:
    """Items by index."""
    wanted = items.c.job == root
    if failed_only:
        wanted = and_(wanted, items.c.state == "failed")
    total = connection.execute(select(func.count()).select_from(items).where(wanted)).scalar_one()
    later = select(items).where(wanted, items.c.position > after)
    rows = connection.execute(later.order_by(items.c.position).limit(limit + 1)).all()
    shown = tuple(_as_item(row) for row in rows[:limit])
    return ItemPage(shown, shown[-1].index if len(rows) > limit else None, total)


def _as_item(row: Row[Any]) -> Item:
    return Item(
        job=row.job,
        index=row.position,
        source=row.source,
        state=row.state,
        result=None if row.result is None else json.loads(zlib.decompress(row.result)),
        error=json.loads(row.error) if row.error else None,
        thumbnail=row.thumbnail,
        image=row.image,
    )


def counts(connection: Connection, root: str) -> dict[str, int]:
    """How many items are ``done`` and ``failed``."""
    by_state = select(items.c.state, func.count().label("n")).where(items.c.job == root)
    found = {row.state: row.n for row in connection.execute(by_state.group_by(items.c.state))}
    return {"done": found.get("done", 0), "failed": found.get("failed", 0)}


def done_positions(connection: Connection, root: str, first: int, count: int) -> set[int]:
    """Positions of this stretch whose items are done."""
    stretch = and_(items.c.position >= first, items.c.position < first + count)
    done = select(items.c.position).where(items.c.job == root, stretch, items.c.state == "done")
    return set(connection.execute(done).scalars())


def point_to(connection: Connection, root: str, digests: Iterable[str]) -> None:
    """The job needs these blobs from now on, each once however often it is named.

    Raises:
        NotFound: One of them is not kept.
    """
    wanted = sorted(set(digests))
    for start in range(0, len(wanted), _IN_ONE):
        stretch = wanted[start : start + _IN_ONE]
        there = set(connection.execute(select(blobs.c.digest).where(blobs.c.digest.in_(stretch))).scalars())
        if missing := [digest for digest in stretch if digest not in there]:
            raise NotFound(
                f"There is no stored file {missing[0][:64]!r}.", next_step="Store it again, then ask again."
            )
        both = (
            select(literal(root), blobs.c.digest).where(blobs.c.digest.in_(stretch)).order_by(blobs.c.digest)
        )
        new = _new(connection, job_blobs).from_select(["job", "digest"], both).on_conflict_do_nothing()
        added = list(connection.execute(new.returning(job_blobs.c.digest)).scalars())
        connection.execute(update(blobs).where(blobs.c.digest.in_(added)).values(refs=blobs.c.refs + 1))


def media_type_of(connection: Connection, root: str, digest: str) -> str:
    """The media type of a blob that belongs to the job.

    Raises:
        NotFound: It does not.
    """
    both = select(blobs.c.media_type).join(job_blobs, job_blobs.c.digest == blobs.c.digest)
    mine = both.where(job_blobs.c.job == root, job_blobs.c.digest == digest)
    found = connection.execute(mine).scalar_one_or_none()
    if found is None:
        raise NotFound("The job has no such stored file.")
    return str(found)


def drop(connection: Connection, root: str) -> None:
    """Forget a whole job with all that belongs to it; blobs that nothing else needs become loose."""
    mine = select(job_blobs.c.digest).where(job_blobs.c.job == root)
    fewer = update(blobs).where(blobs.c.digest.in_(mine))
    connection.execute(fewer.values(refs=case((blobs.c.refs > 0, blobs.c.refs - 1), else_=0)))
    owner = connection.execute(select(jobs.c.owner).where(jobs.c.id == root)).scalar_one_or_none()
    if owner is not None:
        insert_new(connection, gone, {"id": root, "owner": owner, "time": clock()})
    connection.execute(delete(jobs).where(jobs.c.id == root))


def insert_new(connection: Connection, table: Any, row: Mapping[str, Any]) -> bool:
    """Insert the row unless its primary key is taken; whether it was inserted."""
    return bool(connection.execute(_new(connection, table).values(**row).on_conflict_do_nothing()).rowcount)


def _new(connection: Connection, table: Any) -> Any:
    """An insert that knows what to do about conflicts; the other database.s stays unloaded."""
    return import_module(f"sqlalchemy.dialects.{connection.dialect.name}").insert(table)
