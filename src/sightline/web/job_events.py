"""Server-sent events of one job (HTML Living Standard, section 9.2).

Every event carries the number under which the database keeps it, so a client that comes back with
Last-Event-ID misses nothing, also after the server was started again. What a client does not read is not
made: the next look into the database waits until the last bytes have left.
"""

import asyncio
import contextlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from sightline.errors import NotFound
from sightline.storage.job_kept import Event, Job
from sightline.storage.kept import ME
from sightline.web.job_view import item_body, job_body
from sightline.web.services import Services

if TYPE_CHECKING:
    from sightline.jobs.ledger import Ledger

STREAMS_MAX: Final = 100
_LOOK_S: Final = 0.4
_HEARTBEAT_S: Final = 10.0
"""Proxies drop connections that are silent for longer than 30 or 60 seconds."""
_AT_ONCE: Final = 100
_RETRY_MS: Final = 2000
_HEADERS: Final = (
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
)


@dataclass(slots=True)
class Feed:
    """What one client has been told so far."""

    ledger: "Ledger"
    job_id: str
    after: int | None
    """Number of the last event that it knows; None: none, and it wants to begin with how things are."""

    def more(self) -> tuple[str, bool]:
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
        text = "".join(_text(event.type, self._data(event, job), event.seq) for event in events)
        return text, job.ended and len(events) < _AT_ONCE

    def _now(self) -> tuple[str, bool]:
        from sightline.storage.job_events import last_seq  # noqa: PLC0415 - the database's library

        seq = self.ledger.database.read(lambda it: last_seq(it, ME, self.job_id))
        job = self.ledger.get(self.job_id)  # after the number: it is at least as new
        self.after = seq
        return _text("state", job_body(job), seq), job.ended

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


def _text(kind: str, data: dict[str, Any], seq: int) -> str:
    return f"id: {seq}\nevent: {kind}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n"


class EventStream(Response):
    """The answer; begins with ``first``, which was read before, so that refusals are still possible."""

    def __init__(self, services: Services, feed: Feed, first: str, *, ended: bool) -> None:
        """Nothing is sent yet."""
        super().__init__()
        self._services, self._feed = services, feed
        self._first, self._ended = first, ended

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's
        """Tell what happens until the job ends, the client leaves, or the server stops."""
        self._services.streams += 1
        gone = asyncio.create_task(_left(receive))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": list(_HEADERS)})
            await self._tell(send, gone)
        finally:
            self._services.streams -= 1
            gone.cancel()

    async def _tell(self, send: Send, gone: "asyncio.Task[None]") -> None:
        loop = asyncio.get_running_loop()
        text, ended, said = f"retry: {_RETRY_MS}\n\n{self._first}", self._ended, loop.time()
        while True:
            if not text and loop.time() - said >= _HEARTBEAT_S:
                text = ": still here\n\n"
            if text:
                await send({"type": "http.response.body", "body": text.encode(), "more_body": True})
                said = loop.time()
            if ended or gone.done() or self._services.phase == "stopping":
                break
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(gone), _LOOK_S if not text else 0.05)
            if gone.done():
                break
            text, ended = await asyncio.to_thread(self._look)
        if not gone.done():
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _look(self) -> tuple[str, bool]:
        try:
            return self._feed.more()
        except NotFound:
            return f"event: gone\ndata: {json.dumps({'id': self._feed.job_id})}\n\n", True


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
