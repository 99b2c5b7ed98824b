"""Run the server: bind, print the address, serve, and stop cleanly."""

import asyncio
import contextlib
import logging
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Final

import uvicorn

from sightline.errors import ConfigError
from sightline.runtime.allocator import share_heaps
from sightline.settings import Settings
from sightline.web.app import create_app
from sightline.web.door import Door
from sightline.web.greeting import greeting
from sightline.web.journal import Journal, JournalHandler
from sightline.web.lives import MESSAGE_MB
from sightline.web.loop import EventLoop
from sightline.web.protocol import PatientSocket, protocol_of
from sightline.web.services import Services
from sightline.web.tls import identity

_BACKLOG: Final = 1024
_KEEP_ALIVE_S: Final = 75
_SWITCH_S: Final = 0.0005
"""How long a thread may keep the interpreter's lock while others want it. A thread that comes back from an
engine should not idle for Python's 5 ms while another one parses requests."""
_ANSWERING_S: Final = 0.3
"""After a stop signal the door stays open so long at least, so that probes see the 503."""


def serve(settings: Settings, draw: Callable[[str], str] | None = None) -> None:
    """Serve until SIGTERM or SIGINT; returns when everything that had begun is answered.

    Args:
        settings: All of them.
        draw: Makes a picture of a link that phones can read, for terminals.

    Raises:
        ConfigError: The address cannot be bound, the data folder's secret is weak, or the certificate is
            unusable.
    """
    sys.setswitchinterval(_SWITCH_S)
    share_heaps()
    shown = identity(settings)
    listener = _bind(settings)
    journal = Journal()
    logging.basicConfig(handlers=[JournalHandler(journal)], level=logging.WARNING, force=True)
    with contextlib.closing(listener):
        app = create_app(settings, journal=journal)
        services: Services = app.state.services
        services.own_certificate = shown is not None and shown.own
        config = uvicorn.Config(
            app,
            http=protocol_of(settings.receive_s, Door(services)),
            loop=f"{EventLoop.__module__}:{EventLoop.__name__}",  # not uvloop, see there
            ws=PatientSocket,
            ws_max_size=int(min(settings.upload_max_mb, MESSAGE_MB) * 1024 * 1024),
            ws_per_message_deflate=False,  # a picture is compressed already, and a bomb could hide in it
            ssl_context_factory=(lambda _config, _default: shown.context) if shown else None,
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=max(1, round(settings.stop_s)),
        )
        words = greeting(settings, listener.getsockname()[:2], shown, draw)
        _Server(config, services, words).run([listener])


class _Server(uvicorn.Server):
    """uvicorn's server, with our way to stop: say so, finish, leave with exit code 0."""

    def __init__(self, config: uvicorn.Config, services: Services, words: str) -> None:
        super().__init__(config)
        self._services = services
        self._words = words

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            print(self._words, flush=True)  # noqa: T201 - the address is this command's output

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer what has begun while the door is still open and says 503, then close it."""
        self._services.phase = "stopping"
        self._services.lives.end()
        begun = time.monotonic()
        end = begun + self._services.settings.stop_s
        while time.monotonic() < end and not self.force_exit:
            if not self._services.running and time.monotonic() > begun + _ANSWERING_S:
                break
            await asyncio.sleep(0.02)
        self.config.timeout_graceful_shutdown = max(1, round(end - time.monotonic()))  # what is left of it
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """As uvicorn's, but a signal that was obeyed is not raised again: that would end in exit code 143."""
        before = {number: signal.signal(number, self._told) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _told(self, _number: int, _frame: FrameType | None) -> None:
        """The first signal asks to stop, the second one insists."""
        self.force_exit = self.should_exit
        self._services.phase = "stopping"
        self.should_exit = True


def _bind(settings: Settings) -> socket.socket:
    host = settings.host.strip("[]")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host or None, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        with contextlib.ExitStack() as undo:
            undo.callback(listener.close)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(_BACKLOG)
            undo.pop_all()
    except OSError as error:
        raise ConfigError(
            f"The server cannot listen on {settings.host} port {settings.port}: {error.strerror or error}.",
            next_step="Choose another --port (0 takes a free one) or --host, or stop what uses it.",
        ) from error
    listener.setblocking(False)  # noqa: FBT003 - the standard library's name for it
    return listener
