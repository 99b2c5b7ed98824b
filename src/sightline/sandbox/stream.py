"""One function, one fresh child, many answers: for work on untrusted bytes that goes on for hours.

The function is a generator. What it does before its first ``yield`` (loading libraries) runs without limits;
from there on it has those of every child. Each further ``yield`` answers one ``Stream.next``.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from sightline.sandbox.once import died, read
from sightline.sandbox.start import start
from sightline.sandbox.wire import Channel, ChildTimeout, Hangup

START_S = 30.0
"""Longest time that the child may take to load its libraries on a busy machine."""
_END_S = 2.0


class Over(Exception):
    """The child's function has returned: there is nothing more."""


class Stream:
    """The parent's end of such a child. One thread asks; any thread may close it."""

    def __init__(
        self,
        function: Callable[..., Iterator[Any]],
        *args: Any,
        memory_mb: int,
        spare: int,
        files: Sequence[int] = (),
    ) -> None:
        """Start the child.

        Args:
            function: Importable; called with ``asked``, which says whether somebody waits for an answer, and
                ``args``.
            args: Anything that can be pickled; the numbers of ``files`` mean the same there.
            memory_mb: Address space over what the child has once its libraries are loaded.
            spare: How many descriptors it may open; 0: no file and no socket.
            files: Descriptors that it inherits. They stay the caller's to close.
        """
        self._channel, theirs = Channel.pair()
        self._memory = memory_mb << 20
        words = ["stream", *map(str, theirs.descriptors), str(memory_mb), str(spare)]
        try:
            self._process = start(words, [*theirs.descriptors, *files])
        finally:
            theirs.close()
        self._asking = threading.Lock()
        with suppress(Hangup):  # whoever asks next is told
            self._channel.send((function, args, 0.0))
        self._patience = time.monotonic() + START_S

    def next(self, wait_s: float) -> Any:
        """The function's next answer; loading its libraries does not count against ``wait_s``.

        Raises:
            SightlineError: Whatever of that family the function raised.
            Over: It has returned.
            ChildTimeout: Nothing came in time; the child was killed.
            ChildDied: It died, or raised something else.
        """
        with self._asking:
            return self._next(wait_s)

    def _next(self, wait_s: float) -> Any:
        if self._process.returncode is not None:
            raise died(self._process.returncode)
        wait_s += max(0.0, self._patience - time.monotonic())
        self._patience = 0.0
        try:
            self._channel.send(None)
            answer = self._channel.receive(timeout_s=wait_s, largest=self._memory, trusted=False)
        except TimeoutError as error:
            self._kill()
            raise ChildTimeout(f"The child was killed after {wait_s:g} s without an answer.") from error
        except Hangup as error:
            raise died(self._wait()) from error
        if answer == ("over", None):
            raise Over
        return read(answer)

    def close(self) -> None:
        """End the child. Whoever waits in ``next`` gets ``ChildDied``."""
        self._channel.hang_up()
        with self._asking:
            self._wait()
            self._channel.close()

    def _wait(self) -> int:
        """Give the child a moment to end by itself, so that it can say goodbye to its camera."""
        end = time.monotonic() + _END_S
        while self._process.poll() is None and time.monotonic() < end:
            time.sleep(0.01)
        self._kill()
        return self._process.wait()

    def _kill(self) -> None:
        if self._process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
