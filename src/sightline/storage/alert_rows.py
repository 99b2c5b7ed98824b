"""Notifications for pages: deliveries of the kind ``browser``, and who has them.

Each function is one step of a transaction that the caller holds.
"""

from collections.abc import Collection
from typing import Final

from sqlalchemy import Connection, select, update

from sightline.storage.database import clock
from sightline.storage.rule_kept import Notice
from sightline.storage.rule_rows import delivery_of
from sightline.storage.rule_tables import deliveries
from sightline.storage.tables import results

RECENT_MAX: Final = 200
"""So many at once say no more than that a rule fires too often."""


def recent(connection: Connection, owner: str, *, within_s: float) -> tuple[Notice, ...]:
    """The notifications of the last seconds, whoever has them already, the oldest first."""
    now = connection.execute(select(clock())).scalar_one()
    wanted = (
        select(deliveries)
        .where(
            deliveries.c.owner == owner,
            deliveries.c.created > now - within_s,
            deliveries.c.kind == "browser",
        )
        .order_by(deliveries.c.created.desc())
        .limit(RECENT_MAX)
    )
    found = [delivery_of(row) for row in connection.execute(wanted)][::-1]
    seen = {one.id: str(one.payload["data"].get("result", {}).get("id", "")) for one in found}
    ids = set(filter(None, seen.values()))
    kept = select(results.c.id).where(results.c.owner == owner, results.c.id.in_(ids))
    there = set(connection.execute(kept).scalars()) if ids else set()
    return tuple(
        Notice(round(one.created * 1000), one, seen[one.id] if seen[one.id] in there else "") for one in found
    )


def taken(connection: Connection, ids: Collection[str], answer: str) -> None:
    """A page has them: whatever was going to become of them, they are delivered."""
    connection.execute(
        update(deliveries)
        .where(deliveries.c.id.in_(ids), deliveries.c.kind == "browser", deliveries.c.state != "delivered")
        .values(state="delivered", answer=answer, attempts=1, finished=clock(), lease_until=None)
    )
