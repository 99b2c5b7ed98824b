"""Rules and their deliveries."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "rules",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("owner", sa.String(64), nullable=False, index=True),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("secret", sa.String(100), nullable=False),
        sa.Column("created", sa.Float, nullable=False),
    )
    op.create_table(
        "deliveries",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("rule", sa.String(32), sa.ForeignKey("rules.id", ondelete="CASCADE"), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("payload", sa.Text, nullable=False),
        sa.Column("source", sa.String(300), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("created", sa.Float, nullable=False),
        sa.Column("due", sa.Float, nullable=False),
        sa.Column("lease_until", sa.Float),
        sa.Column("token", sa.String(32), nullable=False),
        sa.Column("finished", sa.Float),
        sa.Column("status", sa.Integer),
        sa.Column("answer", sa.Text, nullable=False),
    )
    op.create_index("deliveries_by_line", "deliveries", ["state", "due"])
    op.create_index("deliveries_by_rule", "deliveries", ["rule", "source", "created"])
    op.create_index("deliveries_by_time", "deliveries", ["owner", "created", "id"])
