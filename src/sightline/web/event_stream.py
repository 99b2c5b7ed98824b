"""Server-sent events (HTML Living Standard, section 9.2): one way to send them, whatever they tell of.

What a client does not read is not made: the next look waits until the last bytes have left.
"""

import asyncio
import contextlib
import json
import re
from typing import Any, Final, Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from sightline.errors import BadOption, Busy, SightlineError
from sightline.web.guards import check_page
from sightline.web.services import HEAD, Services, disconnected, services_of

STREAMS_MAX: Final = 100
LOOK_S: Final = 0.4
_HEARTBEAT_S: Final = 10.0
"""Proxies drop connections that are silent for longer than 30 or 60 seconds."""
_RETRY_MS: Final = 2000
_HEADERS: Final = (
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
)


class Feed(Protocol):
    """What one client is told."""

    @property
    def of(self) -> str:
        """What it tells of, such as ``jobs``: each kind has room of its own."""

    async def more(self) -> tuple[str, bool]:
        """Further events as text, and whether they were the last.

        Raises:
            SightlineError: They cannot be had now. The stream ends, and who comes back is told why.
        """

    async def handed(self) -> None:
        """What `more` gave has left for the client, as far as anybody can know."""


def event_text(kind: str, data: dict[str, Any], number: int) -> str:
    """One event; its ``number`` comes back as Last-Event-ID."""
    return f"id: {number}\nevent: {kind}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n"


def last_event(header: str | None, after: int | None) -> int | None:
    """The number of the last event that a client knows; None: it knows none.

    Raises:
        BadOption: The header is none of ours.
    """
    if header is None or header == "":
        return after
    if not re.fullmatch(r"[0-9]{1,15}", header):
        raise BadOption(f"Last-Event-ID must be the id of an earlier event, got {header[:60]!r}.")
    return int(header)


def admit(request: Request, of: str) -> Services:
    """The services, for one more who may listen.

    Raises:
        OriginRefused: A page of another site wants to listen.
        Busy: As many as may listen already.
    """
    services = services_of(request)
    check_page(request.scope["headers"], request.headers["host"])
    if services.streams[of] >= STREAMS_MAX:
        raise Busy(f"{STREAMS_MAX} connections watch {of}, which is the most that may.", retry_after_s=5)
    return services


class EventStream(Response):
    """The answer; begins with ``first``, which was read before, so that refusals are still possible."""

    def __init__(self, services: Services, feed: Feed, first: str, *, ended: bool = False) -> None:
        """Nothing is sent yet."""
        super().__init__()
        self._services, self._feed = services, feed
        self._first, self._ended = first, ended

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Tell what happens until there is no more to tell, the client leaves, or the server stops."""
        if HEAD in scope:
            await send({"type": "http.response.start", "status": 200, "headers": list(_HEADERS)})
            await send({"type": "http.response.body", "body": b""})
            return
        self._services.streams[self._feed.of] += 1
        gone = asyncio.create_task(disconnected(receive))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": list(_HEADERS)})
            with contextlib.suppress(SightlineError):
                await self._tell(send, gone)
            if not gone.done():
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self._services.streams[self._feed.of] -= 1
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
                if not gone.done():
                    await self._feed.handed()
            if ended or gone.done() or self._services.phase == "stopping":
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(gone), LOOK_S if not text else 0.05)
            if gone.done():
                return
            text, ended = await self._feed.more()
