"""The tables. Changes to them are additive only, and each is a file of ``migrations/versions``.

Every row that belongs to somebody has an ``owner`` from the start, "me" as long as there is one person.
"""

from sqlalchemy import Column, Float, ForeignKey, Index, Integer, LargeBinary, MetaData, String, Table

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
    Column("refs", Integer, nullable=False, comment="Rows of results and jobs that point here"),
    Column("kept", Float, comment="When it was last put here for a job; it stays for an hour without refs"),
)
