"""The stamps of notifications: times that number them, so that a stream of them can be resumed."""

from math import floor
from typing import Final

from sqlalchemy import Connection, select

from sightline.storage.database import clock
from sightline.storage.rule_tables import deliveries

_PUT_BACK_S: Final = 1.0


def stamp(connection: Connection, owner: str) -> float:
    """When a notification is written down: the database's clock in whole milliseconds, none of them twice.

    The caller writes alone (`Database.write`), so the stamps of one owner rise in the order in which others
    see the rows: whoever knows one has been told of all before it. A clock that was put back by more than a
    second begins anew.
    """
    now = connection.execute(select(clock())).scalar_one()
    newest = select(deliveries.c.created).where(deliveries.c.owner == owner)
    last = connection.execute(newest.order_by(deliveries.c.created.desc()).limit(1)).scalar_one_or_none()
    number = round(now * 1000)
    if last is not None and last - now <= _PUT_BACK_S:
        number = max(number, floor(last * 1000) + 1)
    return number / 1000
