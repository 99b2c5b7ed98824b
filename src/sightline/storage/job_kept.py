"""The nouns of jobs, without the database: importing them costs nothing.

A job is a row. A small job is one row that a worker claims. A large one is split: its row stays, without a
lease, until the last of its parts (rows whose ``parent`` it is) has ended. People see the whole only.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from sightline.storage.kept import ME

JobState = Literal["queued", "running", "done", "failed", "cancelled", "dead"]
ENDED: Final[tuple[JobState, ...]] = ("done", "failed", "cancelled", "dead")
"""``failed``: the work itself said no. ``dead``: every attempt broke; the error says how."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is, in its own unit (pictures, frames, epochs); ``total`` 0: not known yet."""

    done: int = 0
    total: int = 0


@dataclass(frozen=True, slots=True)
class Job:
    """One job as it is now. Times are Unix seconds by the database's clock."""

    id: str
    kind: str
    """Name in the table of tasks: what a worker does with it."""
    owner: str
    state: JobState
    priority: int
    """Higher goes first; 0 is usual."""
    payload: Mapping[str, Any]
    """What the kind needs to know, as JSON values."""
    created: float
    started: float | None
    """When the first attempt began."""
    finished: float | None
    expires: float | None
    """When the job and its results will be forgotten; ``None`` while it has not ended, or for ever."""
    attempt: int
    """Attempts that have begun, the running one included."""
    fence: int
    """Raised by each claim: only who holds the newest one may write."""
    lease_until: float | None
    progress: Progress
    error: Mapping[str, Any] | None = None
    """``{"code", "message", "next_step"}``: why it failed, or why its last attempt did."""
    parent: str | None = None
    result: Mapping[str, Any] | None = None
    """What the kind answered at the end; pictures' results are items."""
    idempotency_key: str | None = None
    rate: float | None = None
    """Units of progress a second since the first attempt began."""
    failed: int = 0
    """Items that failed."""
    limit_s: float = 0.0
    """Seconds that one attempt may take; 0: no limit."""
    parts: int = 0
    """Parts of a split job that have not ended."""

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it by itself."""
        return self.state in ENDED

    @property
    def left_s(self) -> float | None:
        """Seconds until it is done at its rate, while it runs."""
        if self.state != "running" or not self.rate or not self.progress.total:
            return None
        return max(0.0, (self.progress.total - self.progress.done) / self.rate)

    @property
    def model(self) -> str | None:
        """Who is to look, as it was asked for; of an import what the file is called, never where it lies."""
        given = self.payload.get("model")
        if isinstance(given, Mapping):
            return str(given.get("name") or "") or None
        return given or None

    @property
    def name(self) -> str | None:
        """What it is about, for people: a file, folder, zip, address or recipe; None: nobody said."""
        given = self.payload
        places = [given.get("inputs"), given.get("data"), given.get("model"), given]
        names = [place.get("name") for place in places if isinstance(place, Mapping)]
        recipe = str(given.get("recipe") or "").replace("\\", "/").rpartition("/")[2]
        return next((str(name) for name in [*names, recipe] if name), None)

    def to_json(self) -> dict[str, Any]:
        """The same JSON in the API, the command line and the page. ``payload`` is not part of it."""
        return {
            "id": self.id,
            "kind": self.kind,
            "name": self.name,
            "state": self.state,
            "priority": self.priority,
            "progress": {"done": self.progress.done, "total": self.progress.total},
            "failed": self.failed,
            "attempt": self.attempt,
            "created": self.created,
            "started": self.started,
            "finished": self.finished,
            "expires": self.expires,
            "rate": self.rate,
            "left_s": self.left_s,
            "model": self.model,
            "error": dict(self.error) if self.error else None,
            "result": dict(self.result) if self.result is not None else None,
        }


@dataclass(frozen=True, slots=True)
class Item:
    """What became of one input of a job, most often one picture. At most one for each (job, index)."""

    job: str
    """The whole job, never a part of it."""
    index: int
    """Place of the input in the whole job, from 0."""
    source: str
    state: Literal["done", "failed"]
    result: Mapping[str, Any] | None = None
    """The native JSON of the picture's result."""
    error: Mapping[str, Any] | None = None
    """``{"code", "message", "next_step"}``."""
    thumbnail: str | None = None
    """Digest of a blob."""
    image: str | None = None
    """Digest of a blob: the picture itself, where it is kept."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One attempt that a worker may make, as long as ``fence`` is the job's newest."""

    job: Job
    fence: int
    worker: str

    @property
    def root(self) -> str:
        """The whole job's id: items and events belong to it."""
        return self.job.parent or self.job.id


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened to a job. ``seq`` counts from 1 in each job and is never used twice.

    Types: ``state`` (data: the job's JSON), ``progress`` (``{"done", "total", "failed"}``) and
    ``items`` (``{"indexes": [...], "failed": how many of them}``).
    """

    seq: int
    type: str
    data: Mapping[str, Any]
    time: float


@dataclass(frozen=True, slots=True)
class JobPage:
    """A stretch of the jobs, newest first; ``next`` continues it as ``before``."""

    items: tuple[Job, ...]
    next: str | None
    total: int


@dataclass(frozen=True, slots=True)
class ItemPage:
    """A stretch of a job's items by index; ``next`` continues it as ``after``."""

    items: tuple[Item, ...]
    next: int | None
    total: int


@dataclass(frozen=True, slots=True)
class Ask:
    """What is to be submitted."""

    kind: str
    payload: Mapping[str, Any] = field(default_factory=dict)
    owner: str = ME
    priority: int = 0
    total: int = 0
    idempotency_key: str | None = None
    limit_s: float | None = None
    """``None``: the setting ``job_s``."""


@dataclass(frozen=True, slots=True)
class Reaped:
    """What one round of reaping did."""

    requeued: int = 0
    """Their worker vanished; they are in the line again."""
    buried: int = 0
    """They had no attempt left."""
    offered: int = 0
    """They waited, but the queue did not know them."""
