"""Jobs take turns, and ids that are gone are remembered for a while."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the column and the table; parts are found in their order."""
    op.add_column("jobs", sa.Column("turn", sa.Float, comment="When a worker last took it, or a part of it"))
    op.drop_index("jobs_by_parent", "jobs")
    op.create_index("jobs_by_parent", "jobs", ["parent", "state", "number"])
    op.create_table(
        "job_gone",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("time", sa.Float, nullable=False, index=True),
    )
