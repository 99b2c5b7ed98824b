"""Who is connected live: how many, from where, and how all of them are told that the server stops."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Iterator
from typing import Final

from sightline.errors import Busy

LIVE: Final = "/api/v1/live"
MESSAGE_MB: Final = 8.0
"""Of one message at most; less where `upload_max_mb` is less. A camera's picture has a tenth of that."""
PER_CLIENT_MAX: Final = 4
"""Live connections of one address. Each holds a place in the line while it sends."""
ALL_MAX: Final = 32


class Lives:
    """The live connections of one server; used on the event loop's thread only."""

    def __init__(self) -> None:
        """Nobody is connected."""
        self._clients: Counter[str] = Counter()
        self._endings: set[asyncio.Event] = set()

    def __len__(self) -> int:
        return len(self._endings)

    def check(self, client: str) -> None:
        """Say whether one more may come from this address.

        Raises:
            Busy: It has as many as it may, or all together have.
        """
        if self._clients[client] >= PER_CLIENT_MAX:
            raise Busy(f"{PER_CLIENT_MAX} live connections come from this address, and no more may.")
        if len(self._endings) >= ALL_MAX:
            raise Busy(f"{ALL_MAX} live connections are open, which is the most that may.")

    @contextlib.contextmanager
    def place(self, client: str) -> Iterator[asyncio.Event]:
        """A place for one connection, and the event that asks it to end.

        Raises:
            Busy: See ``check``.
        """
        self.check(client)
        ending = asyncio.Event()
        self._clients[client] += 1
        self._endings.add(ending)
        try:
            yield ending
        finally:
            self._endings.discard(ending)
            self._clients[client] -= 1
            if not self._clients[client]:
                del self._clients[client]

    def end(self) -> None:
        """Ask all of them to finish the picture at hand and to close."""
        for ending in self._endings:
            ending.set()
