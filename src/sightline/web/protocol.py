"""uvicorn's HTTP protocol with the deadlines that it lacks.

uvicorn arms no timer before a request's first byte, none while headers or body arrive, and none while a
client does not read; llhttp sets no limit on headers. Each is one timer or counter here.
"""

import asyncio
import json
from typing import TYPE_CHECKING, Any, Final, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.wsproto_impl import WSProtocol

from sightline.web.door import Door, is_prediction
from sightline.web.lives import LIVE
from sightline.web.patience import allowed_s, is_large
from sightline.web.problems import MEDIA_TYPE, BadRequest, problem_of
from sightline.web.services import new_request_id

if TYPE_CHECKING:
    from starlette.types import Scope

HEAD_S: Final = 10.0
"""Seconds for a request's line and headers, counted from its first byte (or from the connection)."""
HEAD_BYTES: Final = 64 * 1024
GRACE_S: Final = 1.0
"""The application answers a late body itself (408); the connection is cut so much later."""
READ_S: Final = 30.0
"""Seconds for which a client may leave an answer unread."""
CONNECTIONS_MAX: Final = 1000
READ_AHEAD: Final = 1 << 20
"""Bytes of a body that are taken before the application asks for them."""
DROPPED_MAX: Final = 32 << 20
"""Bytes of a refused request's body that are read and dropped; closing earlier could lose the answer."""


class PatientProtocol(HttpToolsProtocol):
    """Patient, but not for ever."""

    receive_s: float = 30.0
    door: Door
    _turned_away: bool = False
    """Whether the request at hand is answered already; what still comes of it is dropped."""
    _kept: bool = True
    _dropped: int = 0
    _deadline: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None
    _head: int = 0
    _trailers: int = 0
    _in_head: bool = False
    _large: bool = False
    """Whether the body at hand may be as large as files for jobs are, and take its time."""
    _received: int = 0
    _body_begun: float = 0.0
    _ended: bool = False
    """Whether a request ended in the bytes at hand: they are not counted as its successor's head."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, unless there are too many."""
        super().connection_made(transport)
        if len(self.connections) > CONNECTIONS_MAX:
            transport.abort()
            return
        self._arm(HEAD_S)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timers."""
        self._disarm()
        if self._unread is not None:
            self._unread.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what comes before the headers end; whatever comes while idle begins a request."""
        if self._deadline is None and (self.cycle is None or self.cycle.response_complete):
            self._arm(HEAD_S)
        self._ended = False
        super().data_received(data)
        if self._in_head and not self._ended:
            self._head += len(data)
        if self._head > HEAD_BYTES and not self.transport.is_closing():
            self._refuse(431, f"A request's headers may have {HEAD_BYTES} bytes.")

    def on_message_begin(self) -> None:
        """A request begins; its headers have a deadline."""
        super().on_message_begin()
        self._in_head, self._head = True, 0
        self._arm(HEAD_S)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; what comes after a chunked body (trailers) is counted, and nobody reads it."""
        if self._in_head:
            super().on_header(name, value)
            return
        self._trailers += len(name) + len(value) + 4
        if self._trailers > HEAD_BYTES:
            self.transport.abort()

    def on_headers_complete(self) -> None:
        """The headers are there; the body has a deadline."""
        self._in_head, self._head, self._trailers = False, 0, 0
        self._large, self._received = is_large(self.parser.get_method(), self.url), 0
        self._body_begun = self.loop.time()
        self._arm(self.receive_s + GRACE_S)
        if self.cycle is None or self.cycle.response_complete:  # else it is not yet its turn to be answered
            self._kept = self.parser.get_http_version() != "1.0" and self.parser.should_keep_alive()
            refusal = self.door.refusal(self.parser.get_method(), self.url, keep=self._kept)
            if refusal is not None:
                self._turned_away, self._dropped = True, 0
                self._say(refusal)
                return
        super().on_headers_complete()

    def _should_upgrade(self) -> bool:
        """A WebSocket is opened at one address; at others the wish for one is ignored, as HTTP allows."""
        here = self.parser.get_method() == b"GET" and self.url.partition(b"?")[0] == LIVE.encode()
        return here and super()._should_upgrade()

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over; the deadlines of a request are not those of a conversation."""
        self._disarm()
        super().handle_websocket_upgrade()

    def _say(self, answer: bytes) -> None:
        """Write, unless the client sends and sends and never reads what it is told."""
        if self.flow.write_paused:
            self.transport.abort()
        else:
            self.transport.write(answer)

    def on_body(self, body: bytes) -> None:
        """A part of the body; uvicorn's limit would stop and restart reading for every photo."""
        if self._turned_away:
            self._dropped += len(body)
            if self._dropped > DROPPED_MAX:
                self.transport.close()
            return
        cycle = self.cycle
        if cycle.response_complete:
            return
        self._received += len(body)
        cycle.body += body
        if len(cycle.body) > READ_AHEAD:
            self.flow.pause_reading()
        cycle.message_event.set()

    def on_message_complete(self) -> None:
        """The request is whole."""
        self._ended = True
        self._disarm()
        if not self._turned_away:
            if is_prediction(self.parser.get_method(), self.url) and not self.cycle.response_complete:
                self.door.let_in(cast("Scope", self.cycle.scope))
            super().on_message_complete()
            return
        self._turned_away = False
        if self._kept:
            self._unset_keepalive_if_required()
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )
        else:
            self.transport.close()

    def pause_writing(self) -> None:
        """The client does not read."""
        super().pause_writing()
        self._unread = self.loop.call_later(READ_S, self.transport.abort)

    def resume_writing(self) -> None:
        """The client reads again."""
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """What the parser cannot read is refused in our shape."""
        self._refuse(400, "This is not an HTTP/1.1 request." if "Invalid" in msg else msg)

    def _arm(self, seconds: float) -> None:
        self._disarm()
        self._deadline = self.loop.call_later(seconds, self._late)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _late(self) -> None:
        """Nothing is left to say to a client that is this slow; a large body goes on as long as it comes."""
        if self._large and not self._in_head:
            left = self._body_begun + allowed_s(self.receive_s, self._received) + GRACE_S - self.loop.time()
            if left > 0:
                self._arm(left)
                return
        if not self.transport.is_closing():
            self.transport.abort()

    def _refuse(self, status: int, detail: str) -> None:
        request_id = new_request_id()
        body: dict[str, Any] = {**problem_of(BadRequest(detail), request_id).body, "status": status}
        data = json.dumps(body, separators=(",", ":")).encode()
        head = (
            f"HTTP/1.1 {status} Bad Request\r\ncontent-type: {MEDIA_TYPE}\r\ncontent-length: {len(data)}\r\n"
            f"x-request-id: {request_id}\r\nx-content-type-options: nosniff\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + data)
        self.transport.close()


class PatientSocket(WSProtocol):
    """A WebSocket whose client must read what it asked for."""

    _unread: asyncio.TimerHandle | None = None

    def pause_writing(self) -> None:
        """The client does not read."""
        super().pause_writing()
        self._unread = self.loop.call_later(READ_S, self.transport.abort)

    def resume_writing(self) -> None:
        """The client reads again."""
        self._calm()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timer."""
        self._calm()
        super().connection_lost(exc)

    def _calm(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None


def protocol_of(receive_s: float, door: Door) -> type[PatientProtocol]:
    """The protocol class with a body deadline and somebody at the door."""
    return type("PatientProtocol", (PatientProtocol,), {"receive_s": receive_s, "door": door})
