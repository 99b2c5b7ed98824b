"""The gate: the first and last code of every request, as plain ASGI, because refusals must be cheap.

It gives the request its id, checks Host and Origin, turns every error into a problem, adds the security
headers, and writes the log line and the metrics.
"""

import asyncio
import contextlib
import time
from typing import Any, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sightline.web.guards import check_origin
from sightline.web.handshake import Handshake
from sightline.web.problems import MEDIA_TYPE, Problem, Stopping, problem_of
from sightline.web.services import HEAD, ClientGone, Services, arrived, new_request_id
from sightline.web.small_pages import problem_page, wants_page

CONTENT_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; font-src 'self'; media-src 'self' blob:; manifest-src 'self'; worker-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
SECURITY_HEADERS: Final = (
    (b"content-security-policy", CONTENT_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"permissions-policy", b"camera=(self), microphone=(), geolocation=()"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_INSIST: Final = (b"strict-transport-security", b"max-age=31536000")
"""HSTS, RFC 6797. Never with a certificate that was made here: nobody could pass the warning then."""
_DRAIN_S: Final = 1.0
_ALWAYS: Final = frozenset({"/health/live", "/health/ready"})


def security_headers(services: Services) -> tuple[tuple[bytes, bytes], ...]:
    """The headers of every answer."""
    return (*SECURITY_HEADERS, _INSIST) if services.own_certificate else SECURITY_HEADERS


class Gate:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp, services: Services) -> None:
        """Guard ``app``."""
        self._app = app
        self._services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, one WebSocket, or the lifespan, which passes."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] == "websocket":
            await Handshake(self._services, scope, receive, send).go()
            return
        await _Visit(self._services, scope, send).go(self._app, receive)


class _Visit:
    """One request on its way through."""

    __slots__ = ("_begun", "_code", "_method", "_scope", "_send", "_services", "_status", "id")

    def __init__(self, services: Services, scope: Scope, send: Send) -> None:
        self.id = new_request_id()
        self._method = scope["method"]
        if self._method == "HEAD":  # answered as GET; the server leaves the body out
            scope = {**scope, "method": "GET", HEAD: True}
        self._services, self._scope, self._send = services, scope, send
        self._begun = time.perf_counter()
        self._status = 0
        self._code = ""
        self._scope["request_id"] = self.id

    async def go(self, app: ASGIApp, receive: Receive) -> None:
        self._services.running += 1
        try:
            self._check()
            await app(self._scope, receive, self.send)
        except ClientGone:
            self._status = 499
            self._services.metrics.gone.inc()
        except Exception as error:  # noqa: BLE001 - the one choke point: nothing else may reach the client
            if isinstance(error, Stopping):
                await _drain(receive)
            await self._refuse(error)
        finally:
            arrived(self._scope)
            self._services.running -= 1
            self._note()

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            headers = list(message.get("headers", ()))
            headers.append((b"x-request-id", self.id.encode()))
            if self._services.phase == "stopping":
                headers.append((b"connection", b"close"))
            headers.extend(security_headers(self._services))
            message = {**message, "headers": headers}
        await self._send(message)

    def _check(self) -> None:
        headers = self._scope["headers"]
        host = self._services.hosts.check(headers)
        check_origin(self._scope["method"], headers, host)
        if self._services.phase == "stopping" and self._scope["path"] not in _ALWAYS:
            raise Stopping("The server is finishing its last requests and takes no new ones.")

    async def _refuse(self, error: Exception) -> None:
        problem = problem_of(error, self.id)
        if problem.status == 500:
            self._services.journal.failure(self.id, error)
        if self._status:
            raise error  # the answer has begun: all that is left is to cut it off
        self._code = str(problem.body["code"])
        self._services.metrics.refused(self._code)
        await send_problem(self.send, problem, page=wants_page(self._scope))

    def _note(self) -> None:
        seconds = time.perf_counter() - self._begun
        scope: dict[str, Any] = dict(self._scope)
        route = getattr(scope.get("route"), "path_format", "unmatched")
        self._services.metrics.answered(route, _method(self._method), self._status, seconds)
        fields: dict[str, Any] = {
            "request_id": self.id,
            "method": self._method,
            "path": scope["path"],
            "status": self._status,
            "ms": round(seconds * 1000, 2),
            "client": (scope.get("client") or ("",))[0],
        }
        if self._code:
            fields["code"] = self._code
        self._services.journal.write("request", **fields)


async def _drain(receive: Receive) -> None:
    """Read what a client is still sending: closing on it would reset the connection before it sees why."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_DRAIN_S):
            while (await receive()).get("more_body", False):
                pass


async def send_problem(send: Send, problem: Problem, *, page: bool = False) -> None:
    """Send a problem as an ASGI response: JSON, or a page for somebody who reads it in a browser."""
    data, kind = (
        (problem_page(problem).encode(), "text/html; charset=utf-8") if page else (problem.data, MEDIA_TYPE)
    )
    headers = [(b"content-type", kind.encode()), (b"content-length", str(len(data)).encode())]
    headers += [(b"cache-control", b"no-store"), (b"vary", b"accept")]
    headers += [(name.encode("latin-1"), value.encode("latin-1")) for name, value in problem.headers.items()]
    await send({"type": "http.response.start", "status": problem.status, "headers": headers})
    await send({"type": "http.response.body", "body": data})


def _method(method: str) -> str:
    return method if method in {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} else "other"
