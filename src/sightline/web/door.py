"""The door: while the road is full, predictions are turned away before anything of them is parsed.

Under ten times the load that a machine can bear, nine of ten requests are refusals. Taking each through the
application would cost as much as answering it; here one costs the reading of its headers.
"""

import time
from typing import Final

from starlette.types import Scope

from sightline.web.gate import security_headers
from sightline.web.problems import MEDIA_TYPE, problem_of
from sightline.web.services import ARRIVED, Services, new_request_id

PREDICT: Final = "/api/v1/predict"
_PATHS: Final = (PREDICT.encode(), PREDICT.encode() + b"?")
_ID: Final = "0" * 16
"""Where each refusal's own id goes."""
_TELL_S: Final = 1.0


class Door:
    """Answers for the application while ``Services.full``; lives on the event loop's thread."""

    def __init__(self, services: Services) -> None:
        """Write the answer down once."""
        self._services = services
        problem = problem_of(services.too_many(), _ID)
        head = f"HTTP/1.1 {problem.status} Service Unavailable\r\ncontent-type: {MEDIA_TYPE}\r\n"
        head += f"content-length: {len(problem.data)}\r\nx-request-id: {_ID}\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in problem.headers.items())
        safe = b"".join(b"%b: %b\r\n" % pair for pair in security_headers(services))
        self._head, self._body = head.encode() + safe, b"\r\n" + problem.data
        self._told = float("-inf")
        self._untold = 0

    def refusal(self, method: bytes, url: bytes, *, keep: bool) -> bytes | None:
        """The whole answer to a request that need not come in, or nothing.

        Args:
            method: Of the request.
            url: Its target as it was sent.
            keep: Whether the connection stays open after it.
        """
        if not is_prediction(method, url) or not self._services.full:
            return None
        self._count()
        close = b"" if keep else b"connection: close\r\n"
        return (self._head + close + self._body).replace(_ID.encode(), new_request_id().encode())

    def let_in(self, scope: Scope) -> None:
        """Count a prediction that is there, body and all, as on the road until it is or has failed.

        Requests come in bursts: without this, each of a burst would see the one place that is free.
        """
        self._services.arriving += 1
        scope[ARRIVED] = _Once(self._services)

    def _count(self) -> None:
        """Metrics know every refusal; the log has a line a second, or it would be the load."""
        self._services.metrics.turned_away(PREDICT)
        self._untold += 1
        now = time.monotonic()
        if now - self._told >= _TELL_S:
            self._services.journal.write("turned_away", path=PREDICT, status=503, requests=self._untold)
            self._told, self._untold = now, 0


class _Once:
    """Takes one request from the count, the first time that it is called."""

    __slots__ = ("_services",)

    def __init__(self, services: Services) -> None:
        self._services: Services | None = services

    def __call__(self) -> None:
        services, self._services = self._services, None
        if services is not None:
            services.arriving -= 1


def is_prediction(method: bytes, url: bytes) -> bool:
    """Whether a request is for the one address that the door watches."""
    return method == b"POST" and (url == _PATHS[0] or url.startswith(_PATHS[1]))
