"""The tables of jobs. Times are Unix seconds by the database's clock; JSON is text in both databases."""

from sqlalchemy import BigInteger, Column, Float, ForeignKey, Index, Integer, LargeBinary, String, Table, Text

from sightline.storage.tables import metadata

_NUMBER = BigInteger().with_variant(Integer(), "sqlite")
"""SQLite counts up by itself only in a column of exactly this type."""

jobs = Table(
    "jobs",
    metadata,
    Column("number", _NUMBER, primary_key=True, autoincrement=True, comment="Age, without ties"),
    Column("id", String(32), nullable=False, unique=True),
    Column("kind", String(64), nullable=False),
    Column("owner", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("priority", Integer, nullable=False, default=0),
    Column("payload", Text, nullable=False),
    Column("created", Float, nullable=False),
    Column("ready", Float, nullable=False, comment="Not to be claimed before"),
    Column("started", Float),
    Column("finished", Float),
    Column("expires", Float),
    Column("attempt", Integer, nullable=False, default=0, comment="Attempts that have begun"),
    Column("losses", Integer, nullable=False, default=0, comment="Of these: the whole worker vanished"),
    Column("fence", Integer, nullable=False, default=0, comment="Raised by each claim"),
    Column("lease_until", Float),
    Column("worker", String(120)),
    Column("limit_s", Float, nullable=False, default=0.0),
    Column("done", Integer, nullable=False, default=0),
    Column("total", Integer, nullable=False, default=0),
    Column("failed", Integer, nullable=False, default=0),
    Column("error", Text),
    Column("result", Text),
    Column("parent", String(32), ForeignKey("jobs.id", ondelete="CASCADE")),
    Column("parts", Integer, nullable=False, default=0, comment="Parts that have not ended"),
    Column("idempotency_key", String(200)),
    Column("seq", Integer, nullable=False, default=0, comment="Number of the newest event"),
    Column("turn", Float, comment="When a worker last took it, or a part of it"),
    Index("jobs_by_line", "state", "priority", "number"),
    Index("jobs_by_owner", "owner", "parent", "number"),
    Index("jobs_by_parent", "parent", "state", "number"),
    Index("jobs_by_end", "expires"),
)

keys = Table(
    "job_keys",
    metadata,
    Column("owner", String(64), primary_key=True),
    Column("key", String(200), primary_key=True),
    Column("job", String(32), nullable=False, index=True),
    Column("body_sha256", String(64), nullable=False),
    Column("created", Float, nullable=False),
)

items = Table(
    "job_items",
    metadata,
    Column("job", String(32), ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("source", Text, nullable=False),
    Column("state", String(8), nullable=False),
    Column("result", LargeBinary, comment="zlib of the native JSON"),
    Column("error", Text),
    Column("thumbnail", String(64)),
    Column("image", String(64)),
)

events = Table(
    "job_events",
    metadata,
    Column("job", String(32), ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("type", String(16), nullable=False),
    Column("data", Text, nullable=False),
    Column("time", Float, nullable=False),
)

job_blobs = Table(
    "job_blobs",
    metadata,
    Column("job", String(32), ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("digest", String(64), ForeignKey("blobs.digest"), primary_key=True),
)

owners = Table(
    "job_owners",
    metadata,
    Column("owner", String(64), primary_key=True),
    Column("served", Float, nullable=False, comment="When a worker last took one of their jobs"),
)

gone = Table(
    "job_gone",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("owner", String(64), nullable=False),
    Column("time", Float, nullable=False, index=True),
)
"""Jobs that were removed or expired, so that asking for one is told apart from asking for nothing."""
