"""Server-sent events of one job.

Every event carries the number under which the database keeps it, so a client that comes back with
Last-Event-ID misses nothing, also after the server was started again.
"""

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sightline.errors import NotFound
from sightline.storage.job_kept import Event, Job
from sightline.storage.kept import ME
from sightline.web.event_stream import event_text
from sightline.web.job_view import item_body, job_body

if TYPE_CHECKING:
    from sightline.jobs.ledger import Ledger

_AT_ONCE: Final = 100


@dataclass(slots=True)
class JobFeed:
    """What one client has been told so far."""

    ledger: "Ledger"
    job_id: str
    after: int | None
    """Number of the last event that it knows; None: none, and it wants to begin with how things are."""

    of: str = "jobs"

    async def more(self) -> tuple[str, bool]:
        """See `Feed`; that the job was removed is the last event."""
        try:
            return await asyncio.to_thread(self.look)
        except NotFound:
            return f"event: gone\ndata: {json.dumps({'id': self.job_id})}\n\n", True

    async def handed(self) -> None:
        """Nobody keeps account of who has heard of a job."""

    def look(self) -> tuple[str, bool]:
        """Further events as text, and whether they were the last.

        Raises:
            NotFound: The job is gone.
        """
        if self.after is None:
            return self._now()
        job = self.ledger.get(self.job_id)  # before the events: if it has ended now, its last event is there
        events = self.ledger.events(self.job_id, self.after, limit=_AT_ONCE)
        if events:
            self.after = events[-1].seq
        text = "".join(event_text(event.type, self._data(event, job), event.seq) for event in events)
        return text, job.ended and len(events) < _AT_ONCE

    def _now(self) -> tuple[str, bool]:
        from sightline.storage.job_events import last_seq  # noqa: PLC0415 - the database's library

        seq = self.ledger.database.read(lambda it: last_seq(it, ME, self.job_id))
        job = self.ledger.get(self.job_id)  # after the number: it is at least as new
        self.after = seq
        return event_text("state", job_body(job), seq), job.ended

    def _data(self, event: Event, job: Job) -> dict[str, Any]:
        if event.type == "progress":
            return dict(event.data) | {"rate": job.rate, "left_s": job.left_s}
        if event.type == "items":
            return {"items": self._items(event.data["indexes"]), "failed": event.data["failed"]}
        return dict(event.data)

    def _items(self, indexes: list[int]) -> list[dict[str, Any]]:
        if not indexes:
            return []
        wanted, first, last = set(indexes), min(indexes), max(indexes)
        found = []
        while first <= last:
            page = self.ledger.items(self.job_id, after=first - 1, limit=200)
            found += [item for item in page.items if item.index in wanted]
            if page.next is None:
                break
            first = page.next + 1
        return [item_body(item, brief=True) for item in found]
