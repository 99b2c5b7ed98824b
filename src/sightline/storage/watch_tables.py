"""The table of watches inside the server."""

from sqlalchemy import Column, Float, String, Table, Text

from sightline.storage.tables import metadata

watches = Table(
    "watches",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("owner", String(64), nullable=False, index=True),
    Column("name", String(200), nullable=False),
    Column("source", Text, nullable=False, comment="With the camera's name and password"),
    Column("wish", Text, nullable=False, comment="JSON: how it is watched"),
    Column("created", Float, nullable=False),
)
