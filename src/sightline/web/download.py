"""A file that is written while it is sent: nothing is made before the client has taken what came before."""

import asyncio
import contextlib
from collections.abc import Iterator

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from sightline.web.services import HEAD, Services, disconnected


class Download(Response):
    """An attachment from chunks that are made in a thread, one at a time."""

    def __init__(self, services: Services, name: str, media_type: str, chunks: Iterator[bytes]) -> None:
        """Nothing is made yet."""
        super().__init__()
        self._services, self._chunks = services, chunks
        self._head = [
            (b"content-type", media_type.encode("latin-1")),
            (b"content-disposition", f'attachment; filename="{name}"'.encode("latin-1")),
            (b"cache-control", b"private, no-cache"),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it until it ends or the client leaves; nothing is made for who asked for the head only."""
        if HEAD in scope:
            self._chunks = iter(())
        gone = asyncio.create_task(disconnected(receive))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self._head})
            while (
                not gone.done() and (chunk := await asyncio.to_thread(next, self._chunks, None)) is not None
            ):
                if chunk:
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
            if not gone.done():
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            gone.cancel()
            await asyncio.to_thread(self._close)

    def _close(self) -> None:
        close = getattr(self._chunks, "close", None)
        if close is not None:
            with contextlib.suppress(RuntimeError):
                close()
