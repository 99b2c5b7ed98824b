"""Jobs: their rows, keys, items, events and blobs; blobs remember when they were put there."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the tables."""
    op.add_column("blobs", sa.Column("kept", sa.Float))
    _jobs()
    op.create_table(
        "job_keys",
        sa.Column("owner", sa.String(64), primary_key=True),
        sa.Column("key", sa.String(200), primary_key=True),
        sa.Column("job", sa.String(32), nullable=False, index=True),
        sa.Column("body_sha256", sa.String(64), nullable=False),
        sa.Column("created", sa.Float, nullable=False),
    )
    op.create_table(
        "job_items",
        sa.Column("job", sa.String(32), sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("result", sa.LargeBinary),
        sa.Column("error", sa.Text),
        sa.Column("thumbnail", sa.String(64)),
        sa.Column("image", sa.String(64)),
    )
    op.create_table(
        "job_events",
        sa.Column("job", sa.String(32), sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("type", sa.String(16), nullable=False),
        sa.Column("data", sa.Text, nullable=False),
        sa.Column("time", sa.Float, nullable=False),
    )
    op.create_table(
        "job_blobs",
        sa.Column("job", sa.String(32), sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("digest", sa.String(64), sa.ForeignKey("blobs.digest"), primary_key=True),
    )
    op.create_table(
        "job_owners",
        sa.Column("owner", sa.String(64), primary_key=True),
        sa.Column("served", sa.Float, nullable=False),
    )


def _jobs() -> None:
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "jobs",
        sa.Column("number", number, primary_key=True, autoincrement=True),
        sa.Column("id", sa.String(32), nullable=False, unique=True),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("payload", sa.Text, nullable=False),
        sa.Column("created", sa.Float, nullable=False),
        sa.Column("ready", sa.Float, nullable=False),
        *(sa.Column(name, sa.Float) for name in ("started", "finished", "expires")),
        *(sa.Column(name, sa.Integer, nullable=False) for name in ("attempt", "losses", "fence")),
        sa.Column("lease_until", sa.Float),
        sa.Column("worker", sa.String(120)),
        sa.Column("limit_s", sa.Float, nullable=False),
        *(sa.Column(name, sa.Integer, nullable=False) for name in ("done", "total", "failed")),
        sa.Column("error", sa.Text),
        sa.Column("result", sa.Text),
        sa.Column("parent", sa.String(32), sa.ForeignKey("jobs.id", ondelete="CASCADE")),
        sa.Column("parts", sa.Integer, nullable=False),
        sa.Column("idempotency_key", sa.String(200)),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Index("jobs_by_line", "state", "priority", "number"),
        sa.Index("jobs_by_owner", "owner", "parent", "number"),
        sa.Index("jobs_by_parent", "parent", "state"),
        sa.Index("jobs_by_end", "expires"),
    )
