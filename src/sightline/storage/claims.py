"""What workers do to a row. Each is one compare-and-set: it changes the row that is still theirs, or none.

"Theirs" means: running, with the fence that their claim raised. The lease is by the database's clock.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Literal

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Subquery,
    Update,
    and_,
    case,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.sql.selectable import FromClause

from sightline.storage import job_rows
from sightline.storage.database import clock
from sightline.storage.job_kept import Claim, Item, Job, JobState
from sightline.storage.job_rows import NOW, add_event, add_progress, as_job
from sightline.storage.job_tables import jobs, owners

LOSSES: Final = 3
"""An attempt whose whole worker vanished (a power cut, a machine taken away) says little about the job: so
many times more of them are allowed than of attempts that the job itself broke."""
_PAUSE_MAX_S: Final = 30


Plan = tuple[str, Sequence[tuple[str, Mapping[str, Any]]], int]
"""Kind, (id, payload) of each part, and how much there is to do in all."""


@dataclass(frozen=True, slots=True)
class Terms:
    """The settings that decide what becomes of a row."""

    lease_s: float = 20.0
    attempts: int = 3
    keep_s: float = 0.0
    """How long ended jobs are kept; 0: for ever."""

    @property
    def expires(self) -> ColumnElement[Any]:
        """When a job that ends now is forgotten."""
        return clock() + self.keep_s if self.keep_s else literal(None)


def claim(
    connection: Connection, terms: Terms, worker: str, kinds: Sequence[str], job_id: str | None
) -> Claim | None:
    """Take this waiting row, or the best of the line."""
    wanted = job_id or _next(connection, kinds)
    if wanted is None:
        return None
    taken = (
        update(jobs)
        .where(jobs.c.id == wanted, jobs.c.kind.in_(kinds), _waits(jobs))
        .values(
            state="running",
            attempt=jobs.c.attempt + 1,
            fence=jobs.c.fence + 1,
            started=func.coalesce(jobs.c.started, clock()),
            lease_until=clock() + terms.lease_s,
            worker=worker[:120],
        )
        .returning(*jobs.c, NOW)
    )
    row = connection.execute(taken).one_or_none()
    if row is None:
        return None
    _served(connection, row)
    if row.parent is None:
        add_event(connection, row.id, "state")
    return Claim(as_job(row), row.fence, worker)


def any_waiting(connection: Connection, kinds: Sequence[str]) -> bool:
    """Whether the line has anything for these kinds."""
    some = select(jobs.c.number).where(_waits(jobs), jobs.c.kind.in_(kinds)).limit(1)
    return connection.execute(some).one_or_none() is not None


def attempt(connection: Connection, job_id: str, fence: int) -> Claim | None:
    """A running row as the claim that this fence belongs to."""
    mine = and_(jobs.c.id == job_id, jobs.c.fence == fence, jobs.c.state == "running")
    row = connection.execute(select(*jobs.c, NOW).where(mine)).one_or_none()
    return None if row is None else Claim(as_job(row), fence, row.worker or "")


def _waits(table: FromClause) -> ColumnElement[bool]:
    return and_(table.c.state == "queued", table.c.ready <= clock())


@cache  # built once: making so long a statement takes ten times as long as running it
def _best(kinds: tuple[str, ...]) -> Select[Any]:
    """The job that is next. It has a row that waits: itself, or a part.

    Priority first, then fairness over owners, then over the jobs of one owner, then age. Fair means, of
    owners and of jobs: who has less running goes first, then who was served longest ago. So a small job gets
    between the parts of a large one; and since a job that was never served counts from its submission, a
    stream of small ones does not keep the large one waiting either. A job that lost its worker
    counts from its submission again, or it would go on only after all that were never served.

    Only whole jobs are put in order: a large one may have ten thousand parts in the line.
    """
    whole, part = jobs.alias("whole"), jobs.alias("part")
    running, busy = _running(jobs.c.owner, "running"), _running(_root(jobs), "busy")
    has_part = exists().where(part.c.parent == whole.c.id, _waits(part), part.c.kind.in_(kinds))
    has_row = or_(
        and_(_waits(whole), whole.c.kind.in_(kinds)),
        and_(whole.c.state == "running", whole.c.parts > 0, has_part),
    )
    return (
        select(whole.c.id, whole.c.state)
        .outerjoin(running, running.c.who == whole.c.owner)
        .outerjoin(owners, owners.c.owner == whole.c.owner)
        .outerjoin(busy, busy.c.who == whole.c.id)
        .where(whole.c.parent.is_(None), whole.c.state.in_(("queued", "running")), has_row)
        .order_by(
            whole.c.priority.desc(),
            func.coalesce(running.c.n, 0),
            func.coalesce(owners.c.served, 0.0),
            func.coalesce(busy.c.n, 0),
            func.coalesce(whole.c.turn, whole.c.created),
            whole.c.number,
        )
        .limit(1)
    )


def _row_of(root: Any, kinds: Sequence[str]) -> Select[Any]:
    """The first row of the job that waits, and that nobody is taking just now."""
    waiting = jobs.alias("waiting")
    mine = waiting.c.id == root.id if root.state == "queued" else waiting.c.parent == root.id
    first = select(waiting.c.id).where(mine, _waits(waiting), waiting.c.kind.in_(kinds))
    return first.order_by(waiting.c.number).limit(1).with_for_update(of=waiting, skip_locked=True)


def _any_row(kinds: Sequence[str]) -> Select[Any]:
    """A row that nobody is taking just now, where another worker was faster at the best one."""
    waiting = jobs.alias("waiting")
    first = select(waiting.c.id).where(_waits(waiting), waiting.c.kind.in_(kinds))
    order = first.order_by(waiting.c.priority.desc(), waiting.c.number)
    return order.limit(1).with_for_update(of=waiting, skip_locked=True)


def _next(connection: Connection, kinds: Sequence[str]) -> str | None:
    """The row to take, if there is one."""
    root = connection.execute(_best(tuple(kinds))).one_or_none()
    if root is None:
        return None
    row = connection.execute(_row_of(root, kinds)).scalar_one_or_none()
    return row or connection.execute(_any_row(kinds)).scalar_one_or_none()


def _root(table: FromClause) -> ColumnElement[Any]:
    """The job that a row is, or is a part of."""
    return func.coalesce(table.c.parent, table.c.id)


def _running(who: ColumnElement[Any], name: str) -> Subquery:
    """(who, n): how much each has running."""
    return (
        select(who.label("who"), func.count().label("n"))
        .where(jobs.c.state == "running", jobs.c.lease_until.is_not(None))
        .group_by(who)
        .subquery(name)
    )


def _served(connection: Connection, row: Any) -> None:
    """Owner and job have had their turn."""
    connection.execute(update(jobs).where(jobs.c.id == (row.parent or row.id)).values(turn=clock()))
    noted = connection.execute(update(owners).where(owners.c.owner == row.owner).values(served=clock()))
    if not noted.rowcount:
        job_rows.insert_new(connection, owners, {"owner": row.owner, "served": clock()})


def _mine(claim: Claim) -> ColumnElement[bool]:
    return and_(jobs.c.id == claim.job.id, jobs.c.fence == claim.fence, jobs.c.state == "running")


def _change(connection: Connection, claim: Claim, **values: Any) -> bool:
    changed: Update = update(jobs).where(_mine(claim)).values(**values)
    return bool(connection.execute(changed).rowcount)


def renew(connection: Connection, terms: Terms, claim: Claim) -> bool:
    """Extend the lease; false when the row is not theirs any more."""
    return _change(connection, claim, lease_until=clock() + terms.lease_s)


def verdict(connection: Connection, claim: Claim) -> Literal["go", "cancelled", "lost"]:
    """``go``, ``cancelled`` or ``lost``, without changing anything."""
    row = connection.execute(
        select(jobs.c.state, jobs.c.fence).where(jobs.c.id == claim.job.id)
    ).one_or_none()
    if row is None or row.fence != claim.fence or row.state not in ("running", "cancelled"):
        return "lost"
    return "go" if row.state == "running" else "cancelled"


def progress(connection: Connection, claim: Claim, done: int, total: int | None, *, tell: bool) -> bool:
    """Set how far the row is; its whole follows by the difference."""
    before = connection.execute(
        select(jobs.c.done).where(_mine(claim)).with_for_update()
    ).scalar_one_or_none()
    if before is None:
        return False
    values = {"done": done} if total is None else {"done": done, "total": total}
    _change(connection, claim, **values)
    if claim.job.parent:
        _add_to(connection, claim.job.parent, done - before, 0)
    if tell:
        add_progress(connection, claim.root)
    return True


def _add_to(connection: Connection, job_id: str, done: int, failed: int) -> None:
    more = {"done": jobs.c.done + done, "failed": jobs.c.failed + failed}
    connection.execute(update(jobs).where(jobs.c.id == job_id).values(**more))


def put_items(connection: Connection, claim: Claim, items: Sequence[Item]) -> bool:
    """Keep items where the row is theirs; false, and nothing written, where it is not."""
    if not _change(connection, claim, attempt=jobs.c.attempt):  # takes the row's lock
        return False
    more, failed = job_rows.put_items(connection, claim.root, items)
    for row in (claim.job.id, claim.job.parent):
        if row:
            _add_to(connection, row, more, failed)
    failures = sum(item.state == "failed" for item in items)
    add_event(
        connection, claim.root, "items", {"indexes": [item.index for item in items], "failed": failures}
    )
    add_progress(connection, claim.root)
    return True


def split(connection: Connection, terms: Terms, claim: Claim, plan: Plan) -> bool:
    """The row waits, without a lease, for its parts."""
    kind, parts, total = plan
    if not parts:
        return finish(connection, terms, claim, {"parts": 0})
    open_parts = {"parts": len(parts), "total": total, "fence": jobs.c.fence + 1}  # this attempt is over
    if not _change(connection, claim, lease_until=None, worker=None, **open_parts):
        return False
    whole = claim.job
    rows = [
        {
            "id": part_id,
            "kind": kind,
            "owner": whole.owner,
            "state": "queued",
            "priority": whole.priority,
            "payload": json.dumps(dict(payload)),
            "limit_s": whole.limit_s,
            "parent": whole.id,
        }
        for part_id, payload in parts
    ]
    connection.execute(insert(jobs).values(created=clock(), ready=clock()), rows)
    add_event(connection, whole.id, "state")
    return True


def finish(connection: Connection, terms: Terms, claim: Claim, result: Mapping[str, Any] | None) -> bool:
    """Done, with this result."""
    text = None if result is None else json.dumps(dict(result), separators=(",", ":"))
    return _end(connection, terms, claim, "done", {"result": text, "error": None})


def fail(
    connection: Connection, terms: Terms, claim: Claim, error: Mapping[str, Any], *, retry: bool
) -> bool:
    """Again after a pause, or failed, or dead."""
    broken = _broken(connection, claim)
    if broken is None:
        return False
    text = json.dumps(dict(error))
    if retry and broken < terms.attempts:
        pause = min(_PAUSE_MAX_S, 2 ** (broken - 1))
        return _again(connection, claim, error=text, ready=clock() + pause)
    return _end(connection, terms, claim, "dead" if retry else "failed", {"error": text})


def _broken(connection: Connection, claim: Claim) -> int | None:
    """Attempts that the job itself broke, this one included."""
    broken = select(jobs.c.attempt - jobs.c.losses).where(_mine(claim)).with_for_update()
    return connection.execute(broken).scalar_one_or_none()


def hand_back(connection: Connection, claim: Claim) -> bool:
    """In the line again, as if the attempt had not begun."""
    return _again(connection, claim, attempt=jobs.c.attempt - 1, ready=clock())


def _again(connection: Connection, claim: Claim, **values: Any) -> bool:
    """In the line again, at its old place: an attempt that came to nothing was no turn."""
    changed = _change(connection, claim, state="queued", lease_until=None, worker=None, **values)
    if changed:
        connection.execute(update(jobs).where(jobs.c.id == claim.root).values(turn=None))
    if changed and claim.job.parent is None:
        add_event(connection, claim.root, "state")
    return changed


def _end(
    connection: Connection, terms: Terms, claim: Claim, state: JobState, values: Mapping[str, Any]
) -> bool:
    whole = claim.job.parent is None
    end = {"finished": clock(), "expires": terms.expires if whole else None}
    if not _change(connection, claim, state=state, lease_until=None, worker=None, **end, **values):
        return False
    if whole:
        add_event(connection, claim.root, "state")
    else:
        part_ended(connection, terms, claim.root)
    return True


def part_ended(connection: Connection, terms: Terms, root: str) -> None:
    """One part less; the last one ends the whole."""
    fewer = (
        update(jobs)
        .where(jobs.c.id == root, jobs.c.state == "running")
        .values(parts=jobs.c.parts - 1, turn=clock())
    )
    left = connection.execute(fewer.returning(jobs.c.parts)).scalar_one_or_none()
    if left is None or left > 0:
        return
    parts = select(jobs.c.state, jobs.c.error).where(jobs.c.parent == root)
    rows = connection.execute(parts.order_by(case((jobs.c.state == "dead", 0), else_=1), jobs.c.number)).all()
    bad = next((row for row in rows if row.state in ("dead", "failed")), None)
    end: dict[str, Any] = (
        {"state": bad.state, "error": bad.error} if bad else {"state": "done", "error": None}
    )
    end["result"] = json.dumps({"parts": len(rows)})
    connection.execute(
        update(jobs).where(jobs.c.id == root).values(**end, finished=clock(), expires=terms.expires)
    )
    add_event(connection, root, "state")


def overdue(connection: Connection, limit: int = 200) -> list[Claim]:
    """Attempts whose lease has passed: their workers vanished."""
    late = select(*jobs.c, NOW).where(jobs.c.state == "running", jobs.c.lease_until < clock())
    rows = connection.execute(late.order_by(jobs.c.lease_until).limit(limit))
    return [Claim(as_job(row), row.fence, row.worker or "") for row in rows]


def take_back(connection: Connection, terms: Terms, lost: Claim) -> JobState | None:
    """Put such an attempt's row into the line again, or bury it; ``None`` if it was not late after all."""
    late = and_(_mine(lost), jobs.c.lease_until < clock())
    noted = update(jobs).where(late).values(losses=jobs.c.losses + 1).returning(jobs.c.losses)
    losses = connection.execute(noted).scalar_one_or_none()
    if losses is None:
        return None
    if losses < LOSSES * terms.attempts:
        return "queued" if _again(connection, lost, ready=clock()) else None
    error = {
        "code": "worker_lost",
        "message": f"Its worker vanished {losses} times while it worked on this job.",
        "next_step": "Look at the workers' machines (memory, power), then retry the job.",
    }
    return "dead" if _end(connection, terms, lost, "dead", {"error": json.dumps(error)}) else None


def waiting(connection: Connection, limit: int) -> list[Job]:
    """Rows that could be claimed now, oldest first."""
    rows = connection.execute(select(*jobs.c, NOW).where(_waits(jobs)).order_by(jobs.c.number).limit(limit))
    return [as_job(row) for row in rows]


def unfinished(connection: Connection) -> int:
    """Rows that wait or run, those that only wait for their parts left out."""
    open_rows = or_(jobs.c.state == "queued", and_(jobs.c.state == "running", jobs.c.parts == 0))
    return int(connection.execute(select(func.count()).select_from(jobs).where(open_rows)).scalar_one())
