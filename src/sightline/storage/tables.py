"""The tables, and how a database is opened. Changes to them are additive only.

Every row that belongs to somebody has an ``owner`` from the start, "me" as long as there is one person.
"""

import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    create_engine,
    event,
)

metadata = MetaData()

results = Table(
    "results",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("owner", String(64), nullable=False),
    Column("created", Float, nullable=False, comment="Unix seconds"),
    Column("source", String(300), nullable=False),
    Column("task", String(16), nullable=False),
    Column("model", String(64), nullable=False),
    Column("version", String(32), nullable=False),
    Column("model_digest", String(80), nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("input_sha256", String(64), nullable=False, index=True),
    Column("image", String(64), ForeignKey("blobs.digest"), nullable=False),
    Column("thumbnail", String(64), ForeignKey("blobs.digest"), nullable=False),
    Column("min_score", Float, nullable=False, comment="The model's or the caller's threshold"),
    Column("counts", String, nullable=False, comment='JSON: {"label": how many at min_score}'),
    Column(
        "payload",
        LargeBinary,
        nullable=False,
        comment="zlib of the result's JSON, every score above the floor",
    ),
    Index("results_by_time", "owner", "created", "id"),
)

labels = Table(
    "result_labels",
    metadata,
    Column("result", String(64), ForeignKey("results.id", ondelete="CASCADE"), primary_key=True),
    Column("label", String(200), primary_key=True),
    Index("results_by_label", "label", "result"),
)

blobs = Table(
    "blobs",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("media_type", String(40), nullable=False),
    Column("bytes", Integer, nullable=False),
    Column("refs", Integer, nullable=False, comment="Rows of results that point here"),
)


def open_database(path: Path) -> Engine:
    """SQLite in WAL mode, durable at each commit; the tables exist afterwards."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": 10})
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    with engine.execution_options(write=True).begin() as connection:
        metadata.create_all(connection)
    return engine


def _prepare(connection: sqlite3.Connection, _record: Any) -> None:
    connection.isolation_level = None  # sqlite3's own BEGIN comes too late; ours is in _begin
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    """Writers take the lock at the start, so two of them never meet half-way."""
    write = connection.get_execution_options().get("write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
