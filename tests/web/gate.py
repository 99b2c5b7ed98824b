"""A picture is held on the road: the test knows when it is at work there, and says when it goes on.

What happens while a server is busy can only be told of a server that is busy for certain: a slow picture is
slow on one machine and quick on the next. Here the server stops before it decodes its first picture, calls
the gate, and goes on when the call ends.
"""

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from sightline.serving.decoder import Decoder

COME_S: Final = 60.0
"""Longest time until a picture comes, on a machine that runs many tests."""
HELD_S: Final = 120.0
"""Longest time that a picture is held; far more than a test takes."""


class Gate:
    """Holds the first picture that a server looks at; those after it go through."""

    def __init__(self) -> None:
        """Open for one call, on a free port of this machine."""
        self._door = socket.create_server(("127.0.0.1", 0))
        self._door.settimeout(COME_S)

    @property
    def port(self) -> int:
        """Where the server calls."""
        return int(self._door.getsockname()[1])

    @contextmanager
    def held(self) -> Iterator[None]:
        """From the moment that a picture is at work on the road; it goes on when the context ends.

        Raises:
            TimeoutError: None came.
        """
        caller, _ = self._door.accept()
        self.close()
        with caller:
            yield

    def close(self) -> None:
        """No picture is held from now on."""
        self._door.close()


def hold_at(port: int) -> None:
    """In the server: pictures call the gate at ``port`` before they are decoded, while it takes calls."""
    prepare = Decoder.prepare

    def held(self: Decoder, *args: Any, **options: Any) -> Any:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), HELD_S) as caller:
            caller.recv(1)
        return prepare(self, *args, **options)

    Decoder.prepare = held  # type: ignore[method-assign]
