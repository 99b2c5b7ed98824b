"""The handshake of a live connection: checked like a request that changes something; then the talk."""

import time
from typing import Any, Final

from starlette.types import Message, Receive, Scope, Send

from sightline.web.guards import check_origin
from sightline.web.live import Conversation
from sightline.web.lives import LIVE
from sightline.web.problems import MEDIA_TYPE, NoSuchAddress, Stopping, problem_of
from sightline.web.services import Services, new_request_id

_LIKE: Final = "POST"
"""A WebSocket opens with GET but may cause anything, and browsers let any page open one: so Origin counts."""


class Handshake:
    """One WebSocket on its way in."""

    def __init__(self, services: Services, scope: Scope, receive: Receive, send: Send) -> None:
        """Nothing is checked yet."""
        self._services, self._scope = services, scope
        self._receive, self._send = receive, send
        self._id = new_request_id()

    async def go(self) -> None:
        """Refuse with a problem, or accept and talk; both are logged."""
        self._services.running += 1
        begun = time.perf_counter()
        note: dict[str, Any] = {}
        try:
            note = await self._enter()
        except Exception as error:  # noqa: BLE001 - the one choke point, as for requests
            note = await self._refuse(error)
        finally:
            self._services.running -= 1
            seconds = time.perf_counter() - begun
            self._services.metrics.answered(LIVE, "GET", note.get("status", 499), seconds)
            client, path = self._client, self._scope["path"]
            line = {"request_id": self._id, "path": path, "ms": round(1e3 * seconds, 2), "client": client}
            self._services.journal.write("live", **line, **note)

    @property
    def _client(self) -> str:
        return str((self._scope.get("client") or ("",))[0])

    async def _enter(self) -> dict[str, Any]:
        self._check()
        with self._services.lives.place(self._client) as ending:
            message = await self._receive()
            assert message["type"] == "websocket.connect"
            await self._send({"type": "websocket.accept", "headers": [(b"x-request-id", self._id.encode())]})
            talk = Conversation(self._services, self._id, self._receive, self._send)
            code = await talk.run(ending)
        count = talk.count
        self._services.metrics.live(count.answered, count.replaced)
        figures = {"captures": count.captures, "answered": count.answered, "replaced": count.replaced}
        return {"status": 101, "closed": code} | figures

    def _check(self) -> None:
        headers = self._scope["headers"]
        check_origin(_LIKE, headers, self._services.hosts.check(headers))
        if self._scope["path"] != LIVE:
            raise NoSuchAddress("No WebSocket is at this address.")
        self._services.keyring.check(headers)
        if self._services.phase == "stopping":
            raise Stopping("The server is finishing its last requests and takes no new ones.")

    async def _refuse(self, error: Exception) -> dict[str, Any]:
        """An answer to the handshake, in the shape of every refusal."""
        problem = problem_of(error, self._id)
        code = str(problem.body["code"])
        if problem.status == 500:
            self._services.journal.failure(self._id, error)
        self._services.metrics.refused(code)
        headers = [(b"content-type", MEDIA_TYPE.encode()), (b"x-request-id", self._id.encode())]
        headers += [(b"connection", b"close"), (b"content-length", str(len(problem.data)).encode())]
        headers += [
            (name.encode("latin-1"), value.encode("latin-1")) for name, value in problem.headers.items()
        ]
        start: Message = {
            "type": "websocket.http.response.start",
            "status": problem.status,
            "headers": headers,
        }
        try:
            await self._send(start)
            await self._send({"type": "websocket.http.response.body", "body": problem.data})
        except (OSError, RuntimeError):  # the talk had begun, or the client has gone
            return {"status": 499, "code": code}
        return {"status": problem.status, "code": code}
