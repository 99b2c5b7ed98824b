"""Watches as rows. Each function is one step of a transaction that the caller holds."""

import json
from typing import Final

from sqlalchemy import Connection, delete, func, insert, select, update

from sightline.errors import Busy, Conflict, NotFound
from sightline.storage.database import clock
from sightline.storage.kept import ME
from sightline.storage.watch_kept import Watch
from sightline.storage.watch_tables import watches

WATCHES_MAX: Final = 64


def add(connection: Connection, watch: Watch) -> None:
    """Write a watch down.

    Raises:
        Busy: There are as many as may be.
        Conflict: Another one has this name.
    """
    here = connection.execute(select(func.count()).select_from(watches)).scalar_one()
    if here >= WATCHES_MAX:
        raise Busy(
            f"There are {WATCHES_MAX} watches, which is the most that may be.", next_step="Remove one first."
        )
    _check_name(connection, watch)
    row = {"id": watch.id, "owner": watch.owner, "name": watch.name, "source": watch.source}
    connection.execute(insert(watches).values(**row, wish=json.dumps(dict(watch.wish)), created=clock()))


def every(connection: Connection) -> list[Watch]:
    """All watches, the oldest first."""
    rows = connection.execute(select(watches).order_by(watches.c.created, watches.c.id))
    return [Watch(row.id, row.name, row.source, json.loads(row.wish), row.created, row.owner) for row in rows]


def change(connection: Connection, watch: Watch) -> None:
    """Write down what has become of a watch: its name, source and wish.

    Raises:
        NotFound: There is none, or it is somebody else's.
        Conflict: Another one has this name.
    """
    _check_name(connection, watch)
    mine = update(watches).where(watches.c.id == watch.id, watches.c.owner == watch.owner)
    changed = mine.values(name=watch.name, source=watch.source, wish=json.dumps(dict(watch.wish)))
    if not connection.execute(changed).rowcount:
        raise NotFound(f"There is no watch {watch.id[:64]!r}.")


def _check_name(connection: Connection, watch: Watch) -> None:
    """Rules know a camera by its name, so two of one name would be counted as one."""
    others = select(watches.c.id).where(
        watches.c.owner == watch.owner, watches.c.id != watch.id, watches.c.name == watch.name
    )
    if connection.execute(others).first() is not None:
        raise Conflict(
            f"There is a watch called {watch.name[:200]!r} already; rules tell cameras apart by their names.",
            next_step="Give this one another name.",
            field="name",
        )


def remove(connection: Connection, watch_id: str, owner: str = ME) -> None:
    """Forget a watch.

    Raises:
        NotFound: There is none, or it is somebody else's.
    """
    mine = delete(watches).where(watches.c.id == watch_id, watches.c.owner == owner)
    if not connection.execute(mine).rowcount:
        raise NotFound(f"There is no watch {watch_id[:64]!r}.")
