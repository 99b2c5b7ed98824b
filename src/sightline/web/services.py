"""What the routes share: the road, the store, the guards, and the life of the server."""

import asyncio
import contextlib
import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, TypeVar

from starlette.requests import Request
from starlette.types import Receive

from sightline.errors import Busy
from sightline.serving.call import Call
from sightline.settings import Settings
from sightline.web.guards import HostList
from sightline.web.journal import Journal
from sightline.web.keys import Keyring
from sightline.web.metrics import Metrics

if TYPE_CHECKING:
    from sightline.serving.road import Road
    from sightline.storage.store import Store

T = TypeVar("T")

_WORKERS_MAX: Final = 32
_BODIES: Final = 12
"""Whole request bodies of the largest size that may be held in memory at once."""
_MB: Final = 1024 * 1024


class ClientGone(Exception):
    """The client closed its connection before the answer."""


@dataclass(slots=True)
class Services:
    """One application's parts. ``road`` exists between startup and shutdown."""

    settings: Settings
    keyring: Keyring
    hosts: HostList
    journal: Journal = field(default_factory=Journal)
    metrics: Metrics = field(default_factory=Metrics)
    phase: Literal["starting", "ready", "stopping"] = "starting"
    running: int = 0
    held: int = 0
    """Bytes of request bodies in memory."""
    _road: "Road | None" = None
    _store: "Store | None" = None
    _opening: threading.Lock = field(default_factory=threading.Lock)
    _workers: ThreadPoolExecutor | None = None

    @property
    def road(self) -> "Road":
        """The road.

        Raises:
            Busy: The server is still starting.
        """
        if self._road is None:
            raise Busy("The server is still starting.", retry_after_s=1)
        return self._road

    @property
    def store(self) -> "Store":
        """The store, opened (and the database library loaded) when it is first wanted."""
        with self._opening:
            if self._store is None:
                from sightline.storage.store import Store  # noqa: PLC0415 - a server that stores nothing starts faster

                self._store = Store.open(self.settings)
            return self._store

    @property
    def has_results(self) -> bool:
        """Whether anything was ever stored."""
        return (self.settings.data_path / "results").is_dir()

    def open(self, road: "Road") -> None:
        """Begin to serve."""
        self._road = road
        self._workers = ThreadPoolExecutor(min(_WORKERS_MAX, self.settings.waiting_max), "look")

    def close(self) -> "Road | None":
        """Stop serving; the road is handed back to whoever opened it."""
        self.phase = "stopping"
        if self._workers is not None:
            self._workers.shutdown(wait=True, cancel_futures=True)
        road, self._road, self._workers = self._road, None, None
        if self._store is not None:
            self._store.close()
        return road

    @contextlib.contextmanager
    def receiving(self) -> Iterator["Ticket"]:
        """Begin to receive a body, or say at once that the line is full.

        A request takes its place on the road (``road.enter``) only when its body is there: a client that
        sends one byte a second must not keep others out.

        Raises:
            Busy: As many requests as allowed wait for an answer; their bodies are not even read.
        """
        road = self.road
        if road.inside >= self.settings.waiting_max:
            raise Busy(f"{self.settings.waiting_max} requests are waiting, which is the most that may.")
        ticket = Ticket(self)
        try:
            yield ticket
        finally:
            self.held -= ticket.bytes

    async def run(self, receive: Receive, work: Sequence[Callable[[], T]], call: Call) -> list[T | Exception]:
        """Do the work on worker threads; stop caring, and cancel, when the client leaves.

        Raises:
            ClientGone: The client left first; what had not begun never will.
        """
        loop = asyncio.get_running_loop()
        jobs = [loop.run_in_executor(self._workers, item) for item in work]
        done = asyncio.gather(*jobs, return_exceptions=True)
        gone = loop.create_task(_disconnected(receive))
        try:
            await asyncio.wait((done, gone), return_when=asyncio.FIRST_COMPLETED)
            if not done.done():
                raise ClientGone
        finally:
            gone.cancel()
            if not done.done():
                call.cancel()
                for job in jobs:
                    job.cancel()
        outcomes = done.result()
        for outcome in outcomes:
            if isinstance(outcome, BaseException) and not isinstance(outcome, Exception):
                raise outcome
        return [
            item for item in outcomes if not isinstance(item, BaseException) or isinstance(item, Exception)
        ]


class Ticket:
    """One request that is being received; counts the bytes that it holds."""

    __slots__ = ("_services", "bytes")

    def __init__(self, services: Services) -> None:
        """Nothing is held yet."""
        self._services = services
        self.bytes = 0

    def hold(self, count: int) -> None:
        """So many bytes more are in memory.

        Raises:
            Busy: All requests together hold too much.
        """
        self.bytes += count
        self._services.held += count
        if self._services.held > _BODIES * self._services.settings.upload_max_mb * _MB:
            raise Busy("The server holds as many uploads as it can.", retry_after_s=2)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def services_of(request: Request) -> Services:
    """The services of the application that got this request."""
    found: Services = request.app.state.services
    return found


def new_request_id() -> str:
    """16 hex digits, made here: an id from outside could be anybody's."""
    return secrets.token_hex(8)
