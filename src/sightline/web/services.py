"""What the routes share: the road, the store, the guards, and the life of the server."""

import asyncio
import contextlib
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

from starlette.requests import Request
from starlette.types import Receive, Scope

from sightline.errors import Busy
from sightline.serving.call import Call
from sightline.settings import Settings
from sightline.web.guards import HostList
from sightline.web.journal import Journal
from sightline.web.keys import Keyring
from sightline.web.lives import Lives
from sightline.web.metrics import Metrics

if TYPE_CHECKING:
    from sightline.jobs.ledger import Ledger
    from sightline.jobs.pictures import Pictures
    from sightline.rules import RuleDesk
    from sightline.serving.road import Road
    from sightline.storage.store import Store
    from sightline.watching.manager import Watches
    from sightline.web.alert_events import Board

T = TypeVar("T")

_FETCHING_MAX: Final = 32
"""Requests that may wait for other servers; further ones are refused."""
_FILING_MAX: Final = 128
"""Bodies with files for jobs that may be on their way."""
_WAITERS_MAX: Final = 16
"""Threads that wait for other servers: slow ones must not keep pictures from being looked at."""
_BODIES: Final = 12
"""Whole request bodies of the largest size that may be held in memory at once."""
_MB: Final = 1024 * 1024
_IDS: Final = random.Random()  # noqa: S311 - ids; asking the kernel each time costs more than a refusal


HEAD: Final = "sightline.head"
"""Key of an ASGI scope: it is answered as GET, but only its head will be sent."""
ARRIVED: Final = "sightline.arrived"
"""Key of an ASGI scope: what to call when the request is on the road, or will never be."""


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
    own_certificate: bool = False
    """Whether https is spoken with a certificate that browsers know: they are told to insist on it then."""
    running: int = 0
    arriving: int = 0
    """Predictions whose bodies are there and that will be on the road in a moment."""
    lives: Lives = field(default_factory=Lives)
    fetching: int = 0
    """Addresses that are being fetched or wait for it."""
    filing: int = 0
    """Bodies with files for jobs that are being received."""
    streams: Counter[str] = field(default_factory=Counter)
    """Connections that are told what happens, by what they are told of."""
    held: int = 0
    """Bytes of request bodies in memory."""
    _road: "Road | None" = None
    _store: "Store | None" = None
    _ledger: "Ledger | None" = None
    _pictures: "Pictures | None" = None
    _rules: "RuleDesk | None" = None
    _board: "Board | None" = None
    _watches: "Watches | None" = None
    _opening: threading.Lock = field(default_factory=threading.Lock)
    _workers: ThreadPoolExecutor | None = None
    _width: int = 0
    _waiters: ThreadPoolExecutor | None = None

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
    def ledger(self) -> "Ledger":
        """The jobs, opened when they are first wanted."""
        with self._opening:
            if self._ledger is None:
                from sightline.jobs.ledger import Ledger  # noqa: PLC0415 - loads the database's library

                self._ledger = Ledger.open(self.settings)
            return self._ledger

    @property
    def pictures(self) -> "Pictures":
        """The pictures that jobs were asked to look at."""
        ledger = self.ledger
        with self._opening:
            if self._pictures is None:
                from sightline.jobs.pictures import Pictures  # noqa: PLC0415

                self._pictures = Pictures(self.settings, ledger.blobs)
            return self._pictures

    @property
    def rules(self) -> "RuleDesk":
        """The rules, opened when they are first wanted."""
        with self._opening:
            if self._rules is None:
                from sightline.rules import RuleDesk  # noqa: PLC0415 - loads the database's library

                self._rules = RuleDesk.open(self.settings)
            return self._rules

    @property
    def board(self) -> "Board":
        """The notifications of rules, for whoever listens."""
        if self._board is None:
            from sightline.web.alert_events import Board  # noqa: PLC0415 - it builds on this module

            self._board = Board(lambda: self.rules)
        return self._board

    @property
    def watches(self) -> "Watches":
        """What this server watches."""
        with self._opening:
            if self._watches is None:
                from sightline.watching.manager import Watches  # noqa: PLC0415 - most servers watch nothing

                self._watches = Watches(
                    self.settings,
                    lambda: self.road,
                    lambda: self.store,
                    lambda source, seen: self.rules.seen(source, seen),  # noqa: PLW0108 - opened when needed
                )
            return self._watches

    @property
    def has_results(self) -> bool:
        """Whether anything was ever stored."""
        return bool(self.settings.database) or (self.settings.data_path / "results").is_dir()

    def open(self, road: "Road") -> None:
        """Begin to serve."""
        self._road = road
        self._waiters = ThreadPoolExecutor(_WAITERS_MAX, "wait")

    def close(self) -> None:
        """Stop serving; the road is closed by whoever opened it."""
        self.phase = "stopping"
        if self._watches is not None:
            self._watches.close()
        for executor in (self._workers, self._waiters):
            if executor is not None:
                executor.shutdown(wait=True, cancel_futures=True)
        self._road = self._workers = self._waiters = None
        for opened in (self._store, self._pictures, self._ledger, self._rules):
            if opened is not None:
                opened.close()

    @property
    def full(self) -> bool:
        """Whether as many requests as allowed are on the road, or about to be."""
        return self._road is not None and self._road.inside + self.arriving >= self.settings.waiting_max

    def too_many(self) -> Busy:
        """What is said while the road is full."""
        return Busy(f"{self.settings.waiting_max} requests are waiting, which is the most that may.")

    def _crew(self) -> ThreadPoolExecutor:
        """As many threads as keep engines and decoders busy; the others' pictures wait as they came.

        More only push each other out of the processor's caches: on four cores, eight answer a tenth more
        pictures a second than 32, and hold fewer decoded pictures.
        """
        width = self.road.width
        if self._workers is None or width != self._width:
            if self._workers is not None:
                self._workers.shutdown(wait=False)  # it finishes what it has
            self._workers, self._width = ThreadPoolExecutor(width, "look"), width
        return self._workers

    @contextlib.contextmanager
    def receiving(self) -> Iterator["Ticket"]:
        """Begin to receive a body, or say at once that the line is full.

        A request takes its place on the road (``road.enter``) only when its body is there: a client that
        sends one byte a second must not keep others out.

        Raises:
            Busy: As many requests as allowed wait for an answer; their bodies are not even read.
        """
        if self.road.inside >= self.settings.waiting_max:
            raise self.too_many()
        ticket = Ticket(self)
        try:
            yield ticket
        finally:
            ticket.release()

    @contextlib.contextmanager
    def receiving_files(self) -> Iterator["Ticket"]:
        """Begin to receive files for jobs; they are kept as they come and take no place on the road.

        Raises:
            Busy: As many such bodies as may are being received.
        """
        if self.filing >= _FILING_MAX:
            raise Busy(f"{_FILING_MAX} uploads for jobs are being received, which is the most that may.")
        self.filing += 1
        ticket = Ticket(self)
        try:
            yield ticket
        finally:
            self.filing -= 1
            ticket.release()

    @contextlib.contextmanager
    def waiting(self) -> Iterator[Call]:
        """A place among those who wait for another server; it takes none on the road.

        Raises:
            Busy: As many wait as may.
        """
        if self.fetching >= _FETCHING_MAX:
            raise Busy(f"{_FETCHING_MAX} addresses are being fetched, which is the most that may.")
        self.fetching += 1
        try:
            with Call(self.settings.deadline_s) as call:
                yield call
        finally:
            self.fetching -= 1

    async def run(
        self, receive: Receive, work: Sequence[Callable[[], T]], call: Call, *, waits: bool = False
    ) -> list[T | Exception]:
        """Do the work on worker threads; stop caring, and cancel, when the client leaves.

        Args:
            receive: Tells when the client leaves.
            work: What is done, each for itself.
            call: Is cancelled when the client leaves.
            waits: The work is mostly waiting for another server, and keeps no worker from looking.

        Raises:
            ClientGone: The client left first; what had not begun never will.
        """
        loop = asyncio.get_running_loop()
        workers = self._waiters if waits else self._crew()
        jobs = [loop.run_in_executor(workers, item) for item in work]
        gone = loop.create_task(disconnected(receive))
        waited: set[asyncio.Future[Any]] = set(jobs)
        try:
            while waited and not gone.done():
                done, _ = await asyncio.wait({*waited, gone}, return_when=asyncio.FIRST_COMPLETED)
                waited -= done
            if waited:
                raise ClientGone
        finally:
            gone.cancel()
            if waited:
                call.cancel()
            for job in waited:
                job.cancel()
        return [_outcome(job) for job in jobs]


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

    def release(self) -> None:
        """They are gone. Releasing twice is harmless."""
        self._services.held -= self.bytes
        self.bytes = 0


def _outcome(job: "asyncio.Future[Any]") -> Any:
    try:
        return job.result()
    except Exception as error:  # noqa: BLE001 - a picture that fails does not fail the others
        return error


def arrived(scope: Scope) -> None:
    """The request is on the road now, or never will be: the door need not count it any more."""
    tell = scope.get(ARRIVED)
    if tell is not None:
        tell()


async def disconnected(receive: Receive) -> None:
    """Return when the client has left; what it still sends is dropped."""
    while (await receive())["type"] != "http.disconnect":
        pass


def services_of(request: Request) -> Services:
    """The services of the application that got this request."""
    found: Services = request.app.state.services
    return found


def new_request_id() -> str:
    """16 hex digits, made here: an id from outside could be anybody's. It need not be secret."""
    return f"{_IDS.getrandbits(64):016x}"
