"""A few warm children for short jobs."""

import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from sightline.errors import Busy, SightlineError
from sightline.sandbox.inside import BURY, FORK, NUMBER
from sightline.sandbox.once import died, read
from sightline.sandbox.start import start
from sightline.sandbox.wire import Channel, ChildTimeout, Hangup, Limits

T = TypeVar("T")

START_S = 30.0
"""Longest time that the nursery may take to import its modules on a busy machine."""


class Claim(Protocol):
    """Whoever waits for a job: how long the answer is worth something, and whether it still is."""

    @property
    def left_s(self) -> float: ...

    def check(self) -> None:
        """Raise the error that says why nobody waits any more; return while somebody does."""

    def on_cancel(self, listener: Callable[[], None]) -> None:
        """Call ``listener`` once when the waiting ends early, from any thread; at once if it has ended."""


@dataclass(slots=True, eq=False)
class _Child:
    pid: int
    channel: Channel
    idle_since: float = 0.0


class _Nursery:
    """The parent's handle of the process that forks children. Restarted when it has died."""

    def __init__(self, modules: Sequence[str], memory_mb: int) -> None:
        self._arguments = (str(memory_mb), *modules)
        self._lock = threading.Lock()
        self._closed = False
        self._start()

    def _start(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = start(["nursery", str(theirs.fileno()), *self._arguments], [theirs.fileno()])
        ours.settimeout(START_S)
        self._control = ours

    def fork(self) -> _Child:
        """A new child; a dead nursery is replaced first, a closed one never: ``Busy``."""
        with self._lock:
            if self._closed:
                raise _closed()
            try:
                return self._fork()
            except OSError:
                self._stop()
                self._start()
            try:
                return self._fork()
            except OSError as error:
                raise SightlineError(
                    "The child processes cannot be started; the log has the reason."
                ) from error

    def _fork(self) -> _Child:
        ours, theirs = Channel.pair()
        try:
            socket.send_fds(self._control, [FORK], theirs.descriptors)
            return _Child(self._reply(), ours)
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()

    def bury(self, pid: int) -> int:
        """Kill a child if it still lives; its return code, negative for a signal, 0 if nobody knows."""
        with self._lock:
            try:
                self._control.send(BURY + NUMBER.pack(pid))
                return os.waitstatus_to_exitcode(self._reply())
            except OSError:
                self._stop()  # out of step: its children end with it, the next fork starts another
        return 0

    def _reply(self) -> int:
        reply = self._control.recv(64)
        if len(reply) != NUMBER.size:
            raise ConnectionResetError("The nursery is gone.")
        return int(NUMBER.unpack(reply)[0])

    def _stop(self) -> None:
        self._control.close()
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """End the nursery; whatever children it has end with it."""
        with self._lock:
            self._closed = True
            self._control.close()
            try:
                self._process.wait(2)
            except subprocess.TimeoutExpired:
                self._stop()


class Pool:
    """Up to ``size`` warm children that run importable functions, one job at a time each.

    Grows from none while all are busy and shrinks to one after ``idle_s`` without need. ``modules`` are
    imported before the first fork and have a function ``warm_up()`` each. Thread-safe.
    """

    def __init__(
        self, size: int, modules: Sequence[str], limits: Limits, *, wait_s: float = 30.0, idle_s: float = 60.0
    ) -> None:
        self._size = max(1, size)
        self._limits = limits
        self._wait_s = wait_s
        self._idle_s = idle_s
        self._changed = threading.Condition()
        self._idle: list[_Child] = []
        self._count = 0
        self._closed = False
        self._tidier: threading.Thread | None = None
        self._nursery = _Nursery(modules, limits.memory_mb)

    @property
    def children(self) -> int:
        """How many children there are now."""
        return self._count

    def call(self, function: Callable[..., T], *args: Any, claim: Claim | None = None) -> T:
        """Run ``function(*args)`` in a child; no longer than ``claim`` says that somebody waits for it.

        Raises:
            SightlineError: Whatever of that family the function raised, or what ``claim`` says.
            ChildTimeout: It overran its wall time; the child was killed.
            ChildDied: The child died of it, or the function raised something else.
            Busy: No child came free in time, or the pool is closed.
        """
        job = (function, args, self._limits.cpu_s)
        child = self._take(claim)
        try:
            child = self._offer(child, job)
            answer = self._await(child, claim)
        except TimeoutError as error:
            self._replace(child)
            _check(claim)
            raise ChildTimeout(f"The job was killed after {self._limits.wall_s:g} s.") from error
        except Hangup as error:
            ended = died(self._replace(child))
            _check(claim)
            raise _closed() if self._closed else ended from error
        except BaseException:  # KeyboardInterrupt and the like: the child is in the middle of a job
            self._replace(child)
            raise
        self._give_back(child)
        return read(answer)  # type: ignore[no-any-return]

    def close(self) -> None:
        """End all children. Running jobs fail with ``Busy``."""
        with self._changed:
            self._closed = True
            idle, self._idle = self._idle, []
            self._count -= len(idle)
            self._changed.notify_all()
        for child in idle:
            child.channel.close()
        self._nursery.close()

    def _offer(self, child: _Child, job: object) -> _Child:
        """Send the job; a child that died while idle is replaced, for the job is not to blame."""
        try:
            child.channel.send(job)
        except Hangup:
            self._nursery.bury(child.pid)
            child.channel.close()
            fresh = self._nursery.fork()
            child.pid, child.channel = fresh.pid, fresh.channel
            child.channel.send(job)
        return child

    def _await(self, child: _Child, claim: Claim | None) -> Any:
        """The child's answer; a claim that ends early hangs up on the child."""
        wall_s = self._limits.wall_s if claim is None else min(self._limits.wall_s, claim.left_s)
        working = threading.Lock()  # held by whoever decides what becomes of the child
        done = False

        def leave() -> None:
            with working:
                if not done:
                    child.channel.hang_up()

        if claim is not None:
            claim.on_cancel(leave)
        try:
            return child.channel.receive(
                timeout_s=wall_s, largest=self._limits.memory_mb << 20, trusted=False
            )
        finally:
            with working:
                done = True

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _take(self, claim: Claim | None) -> _Child:
        deadline = time.monotonic() + self._wait_s
        if claim is not None:
            deadline = min(deadline, time.monotonic() + claim.left_s)
            claim.on_cancel(self._wake)
        with self._changed:
            while not self._closed:
                _check(claim)
                if self._idle:
                    return self._idle.pop()  # the one that worked last: its caches are warm
                if self._count < self._size:
                    self._count += 1
                    break
                if not self._changed.wait(deadline - time.monotonic()):
                    _check(claim)
                    raise Busy("All child processes are busy with other jobs.")
            else:
                raise _closed()
        try:
            return self._nursery.fork()
        except BaseException:
            self._forget()
            raise

    def _give_back(self, child: _Child) -> None:
        child.idle_since = time.monotonic()
        with self._changed:
            if not self._closed:
                self._idle.append(child)
                self._changed.notify_all()  # the tidier waits here too
                if self._count > 1 and self._tidier is None:
                    self._tidier = threading.Thread(target=self._tidy, name="sightline-decoders", daemon=True)
                    self._tidier.start()
                return
        self._replace(child)

    def _replace(self, child: _Child) -> int:
        """Take a child out; the next job that needs one forks it."""
        code = self._nursery.bury(child.pid)
        child.channel.close()
        self._forget()
        return code

    def _forget(self) -> None:
        with self._changed:
            self._count -= 1
            self._changed.notify_all()  # the tidier waits here too

    def _tidy(self) -> None:
        """Send children home that had nothing to do for a while; ends when one is left."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed, self._idle_s / 4)
                if self._closed or self._count <= 1:
                    self._tidier = None
                    return
                longest = (
                    self._idle[0] if self._idle else None
                )  # the list is a stack: the bottom rests longest
                if longest is None or time.monotonic() - longest.idle_since < self._idle_s:
                    continue
                self._idle.pop(0)
            with suppress(SightlineError):
                self._replace(longest)


def _check(claim: Claim | None) -> None:
    if claim is not None:
        claim.check()


def _closed() -> Busy:
    return Busy("The child processes are gone: the server is stopping.")
