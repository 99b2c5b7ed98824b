"""A WebSocket client for the tests, over wsproto and a plain socket."""

import json
import socket
from typing import Any, Self

from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    RejectConnection,
    RejectData,
    Request,
    TextMessage,
)


class Refused(Exception):
    """The handshake was refused; ``status`` and the problem that came with it."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(f"{status} {body!r}")
        self.status = status
        self.problem: dict[str, Any] = json.loads(body) if body else {}


class Closed(Exception):
    """The server closed the connection."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code} {reason}")
        self.code, self.reason = code, reason


class Talk:
    """One live connection."""

    def __init__(
        self,
        port: int,
        path: str = "/api/v1/live",
        *,
        host: str = "",
        headers: dict[str, str] | None = None,
        timeout: float = 20,
    ) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self._connection = WSConnection(ConnectionType.CLIENT)
        self._events: list[Event] = []
        self._text = ""
        pairs = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
        self._put(Request(host=host or f"127.0.0.1:{port}", target=path, extra_headers=pairs))
        event = self._next()
        if isinstance(event, RejectConnection):
            body = b""
            while event.has_body:
                data = self._next()
                assert isinstance(data, RejectData)
                body += data.data
                if data.body_finished:
                    break
            self.socket.close()
            raise Refused(event.status_code, body)
        assert isinstance(event, AcceptConnection)
        self.headers = {name.decode().lower(): value.decode() for name, value in event.extra_headers}

    def send(self, data: bytes) -> None:
        """A picture."""
        self._put(BytesMessage(data))

    def options(self, **wishes: Any) -> dict[str, Any]:
        """Options, and what the server says to them."""
        self.say(json.dumps(wishes))
        return self.hear()

    def say(self, text: str) -> None:
        """A text message."""
        self._put(TextMessage(text))

    def part(self, data: bytes) -> None:
        """A part of a picture that never ends."""
        self._put(BytesMessage(data, message_finished=False))

    def hear(self) -> dict[str, Any]:
        """The next message; raises Closed at the end."""
        while True:
            event = self._next()
            if isinstance(event, TextMessage):
                self._text += event.data
                if event.message_finished:
                    text, self._text = self._text, ""
                    found: dict[str, Any] = json.loads(text)
                    return found
            elif isinstance(event, CloseConnection):
                raise Closed(event.code, event.reason or "")

    def close(self) -> None:
        """Leave without a word."""
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _put(self, event: Event) -> None:
        self.socket.sendall(self._connection.send(event))

    def _next(self) -> Event:
        while not self._events:
            data = self.socket.recv(65536)
            if not data:
                raise Closed(1006, "cut")
            self._connection.receive_data(data)
            for event in self._connection.events():
                if isinstance(event, Ping):
                    self._put(event.response())
                else:
                    self._events.append(event)
        return self._events.pop(0)
