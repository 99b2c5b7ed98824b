"""Addresses in rows of jobs lose their names and passwords, as those of newer jobs never have them.

Nothing opens an address with a login in it, so no job that waits needs them. Cameras of watches keep theirs.
"""

import json
import re
import zlib
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_LOGIN = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*://)[^/?#\s]*@")
_MAYBE = "%://%@%"

_TEXTS = {
    ("jobs", "id"): ("payload", "error", "result"),
    ("job_events", "job", "seq"): ("data",),
    ("job_items", "job", "position"): ("error",),
}
"""Columns of JSON, by table and key."""
_items = sa.table(
    "job_items",
    sa.column("job", sa.String),
    sa.column("position", sa.Integer),
    sa.column("source", sa.Text),
    sa.column("result", sa.LargeBinary),
)


def upgrade() -> None:
    """Rewrite the rows that hold such an address; columns of JSON keep their meaning."""
    connection = op.get_bind()
    if connection.dialect.name == "sqlite":
        connection.execute(sa.text("PRAGMA secure_delete = ON"))  # else the old text stays in the file's gaps
    for (table, *key), columns in _TEXTS.items():
        for column in columns:
            _mask_json(connection, table, key, column)
    _mask_items(connection)


def _mask_json(connection: sa.Connection, table: str, key: list[str], column: str) -> None:
    rows = sa.table(table, *(sa.column(name) for name in key), sa.column(column, sa.Text))
    found = connection.execute(sa.select(rows).where(rows.c[column].like(_MAYBE))).all()
    for *values, text in found:
        without = json.dumps(_without(json.loads(text)), separators=(",", ":"))
        this = [rows.c[name] == value for name, value in zip(key, values, strict=True)]
        connection.execute(sa.update(rows).where(*this).values({column: without}))


def _mask_items(connection: sa.Connection) -> None:
    """What became of a picture names its source once more, compressed."""
    rows = connection.execute(sa.select(_items).where(_items.c.source.like(_MAYBE))).all()
    for row in rows:
        result = row.result
        if result is not None:
            body = _without(json.loads(zlib.decompress(result)))
            result = zlib.compress(json.dumps(body, separators=(",", ":")).encode(), 1)
        this = sa.update(_items).where(_items.c.job == row.job, _items.c.position == row.position)
        connection.execute(this.values(source=_without(row.source), result=result))


def _without(value: Any) -> Any:
    """The same, without logins in its texts."""
    if isinstance(value, str):
        return _LOGIN.sub(r"\1", value)
    if isinstance(value, dict):
        return {key: _without(one) for key, one in value.items()}
    return [_without(one) for one in value] if isinstance(value, list) else value
