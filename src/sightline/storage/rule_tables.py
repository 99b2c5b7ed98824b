"""The tables of rules and deliveries. Times are Unix seconds by the database's clock; JSON is text."""

from sqlalchemy import Column, Float, ForeignKey, Index, Integer, String, Table, Text

from sightline.storage.tables import metadata

rules = Table(
    "rules",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("owner", String(64), nullable=False, index=True),
    Column("name", String(200), nullable=False),
    Column("body", Text, nullable=False, comment="JSON: condition, actions, quiet_s, sources"),
    Column("secret", String(100), nullable=False),
    Column("created", Float, nullable=False),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("owner", String(64), nullable=False),
    Column("rule", String(32), ForeignKey("rules.id", ondelete="CASCADE"), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("target", Text, nullable=False, comment="Where it goes, for people"),
    Column("action", Text, nullable=False, comment="JSON of the action"),
    Column("payload", Text, nullable=False),
    Column("source", String(300), nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("created", Float, nullable=False),
    Column("due", Float, nullable=False),
    Column("lease_until", Float),
    Column("token", String(32), nullable=False),
    Column("finished", Float),
    Column("status", Integer),
    Column("answer", Text, nullable=False),
    Index("deliveries_by_line", "state", "due"),
    Index("deliveries_by_rule", "rule", "source", "created"),
    Index("deliveries_by_time", "owner", "created", "id"),
)
