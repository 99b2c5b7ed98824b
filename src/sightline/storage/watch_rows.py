"""Watches as rows. Each function is one step of a transaction that the caller holds."""

import json
from typing import Final

from sqlalchemy import Connection, delete, func, insert, select

from sightline.errors import Busy, NotFound
from sightline.storage.database import clock
from sightline.storage.kept import ME
from sightline.storage.watch_kept import Watch
from sightline.storage.watch_tables import watches

WATCHES_MAX: Final = 64


def add(connection: Connection, watch: Watch) -> None:
    """Write a watch down.

    Raises:
        Busy: There are as many as may be.
    """
    here = connection.execute(select(func.count()).select_from(watches)).scalar_one()
    if here >= WATCHES_MAX:
        raise Busy(
            f"There are {WATCHES_MAX} watches, which is the most that may be.", next_step="Remove one first."
        )
    row = {"id": watch.id, "owner": watch.owner, "name": watch.name, "source": watch.source}
    connection.execute(insert(watches).values(**row, wish=json.dumps(dict(watch.wish)), created=clock()))


def every(connection: Connection) -> list[Watch]:
    """All watches, the oldest first."""
    rows = connection.execute(select(watches).order_by(watches.c.created, watches.c.id))
    return [Watch(row.id, row.name, row.source, json.loads(row.wish), row.created, row.owner) for row in rows]


def remove(connection: Connection, watch_id: str, owner: str = ME) -> None:
    """Forget a watch.

    Raises:
        NotFound: There is none, or it is somebody else's.
    """
    mine = delete(watches).where(watches.c.id == watch_id, watches.c.owner == owner)
    if not connection.execute(mine).rowcount:
        raise NotFound(f"There is no watch {watch_id[:64]!r}.")
