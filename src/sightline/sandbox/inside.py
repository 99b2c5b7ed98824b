"""What runs inside the children. Imports little: its time is part of every start.

Four lives:

- ``once``: a fresh interpreter that runs one function and ends;
- ``stream``: a fresh interpreter that runs one generator and gives its answers one by one;
- ``nursery``: a fresh interpreter with one thread that imports what the children need and forks them on
  demand. A new child costs milliseconds and shares the imported pages; the server itself, full of threads,
  is never forked;
- ``child``: forked from the nursery, serves jobs until its channel closes.
"""

import ctypes
import gc
import importlib
import math
import os
import resource
import signal
import socket
import struct
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any, Final

from sightline.errors import SightlineError
from sightline.sandbox.wire import Channel, Hangup

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_NO_NEW_PRIVS: Final = 38
_TRIM_AFTER_S: Final = 0.03
"""Jobs longer than this leave holes in the heap that are worth giving back."""

FORK: Final = b"F"
BURY: Final = b"B"
NUMBER: Final = struct.Struct("<q")


def once(socket_fd: int, memory_fd: int, memory_mb: int) -> None:
    """Take one job, run it, answer, end."""
    channel = Channel(socket.socket(fileno=socket_fd), memory_fd)
    _die_with(os.getppid())
    try:
        job = channel.receive(trusted=True)  # imports the module of the function
    except Hangup:
        return
    except Exception as error:  # noqa: BLE001 - whatever an import throws
        channel.send(("failed", f"the function could not be imported: {error!r}"))
        return
    _limit(memory_mb, descriptors=None)
    _work(channel, job)


def stream(socket_fd: int, memory_fd: int, memory_mb: int, spare: int) -> None:
    """Take one job, whose function is a generator; give an answer whenever one is asked for."""
    channel = Channel(socket.socket(fileno=socket_fd), memory_fd)
    _die_with(os.getppid())
    _be_quiet()
    try:
        answers = _answers(channel, memory_mb, spare)
        for answer in answers:
            channel.receive(trusted=True)
            channel.send(answer)
    except Hangup:
        return


def _answers(channel: Channel, memory_mb: int, spare: int) -> Iterator[tuple[str, Any]]:
    try:
        function, arguments, _ = channel.receive(trusted=True)  # imports the module of the function
        values = function(channel.asked, *arguments)
        next(values)  # loads its libraries
        _limit(memory_mb, descriptors=_end_of_spare(spare))
        for value in values:
            yield "done", value
    except Hangup:
        raise
    except SightlineError as error:
        yield "refused", error
    except MemoryError:
        yield "memory", ""
    except Exception as error:  # noqa: BLE001 - the border: everything becomes an answer
        yield "failed", f"{type(error).__name__}: {error}"[:2000]
    while True:
        yield "over", None


def _be_quiet() -> None:
    """Libraries print what they think of the bytes, and addresses with passwords in them."""
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    os.close(null)


def _end_of_spare(spare: int) -> int:
    """The limit under which exactly ``spare`` descriptors are free: it is a number, not a count."""
    taken = {int(name) for name in os.listdir("/proc/self/fd")}  # noqa: PTH208 - pathlib is not imported here
    taken = {fd for fd in taken if _is_open(fd)}  # the listing had one of its own
    end = 0
    while spare >= 0:
        spare -= end not in taken
        end += 1
    return end - 1


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def nursery(control_fd: int, modules: Iterable[str], memory_mb: int) -> None:
    """Import ``modules``, warm them up, then fork and bury children until the control socket closes."""
    control = socket.socket(fileno=control_fd)
    for name in modules:
        importlib.import_module(name).warm_up()
    gc.collect()
    gc.freeze()
    children: set[int] = set()
    while True:
        order, handed, _, _ = socket.recv_fds(control, 64, 2)
        if not order:
            os._exit(0)  # the server is gone; the children follow through PR_SET_PDEATHSIG
        if order[:1] == FORK:
            pid = _fork(control, handed, memory_mb)
            children.add(pid)
            control.send(NUMBER.pack(pid))
        else:
            control.send(NUMBER.pack(_bury(NUMBER.unpack(order[1:])[0], children)))


def _fork(control: socket.socket, handed: list[int], memory_mb: int) -> int:
    nursery_pid = os.getpid()
    pid = os.fork()
    if pid:
        for fd in handed:
            os.close(fd)
        return pid
    try:
        _child(control, handed, memory_mb, nursery_pid)
    finally:
        os._exit(1)


def _child(control: socket.socket, handed: list[int], memory_mb: int, nursery_pid: int) -> None:
    _die_with(nursery_pid)
    control.close()
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):  # decoders print warnings about what they read
        os.dup2(null, fd)
    for fd in range(3, max(handed)):  # the limit below is a number: holes under it could be opened
        if fd not in (*handed, null):
            os.dup2(null, fd)
    if null > max(handed):
        os.close(null)
    channel = Channel(socket.socket(fileno=handed[0]), handed[1])
    _limit(memory_mb, descriptors=max(handed) + 1)
    while True:
        try:
            job = channel.receive(trusted=True)
        except Hangup:
            os._exit(0)
        took_s = _work(channel, job)
        del job
        if took_s > _TRIM_AFTER_S:
            gc.collect()
            _LIBC.malloc_trim(0)


def _bury(pid: int, children: set[int]) -> int:
    """Make sure that a child is dead; its wait status."""
    if pid not in children:
        return 0
    children.remove(pid)
    os.kill(pid, signal.SIGKILL)  # it was not yet waited for, so the number is still its own
    return os.waitpid(pid, 0)[1]


def _work(channel: Channel, job: tuple[Any, tuple[Any, ...], float]) -> float:
    """Run a job and answer; the processor seconds that it took."""
    function, arguments, cpu_s = job
    started = time.process_time()
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(started + cpu_s), hard))
    answer = _answer(function, arguments)
    try:
        channel.send(answer)
    except Hangup:
        os._exit(0)
    except Exception as error:  # noqa: BLE001 - an answer that cannot be pickled
        channel.send(("failed", f"the answer cannot be sent: {error!r}"))
    return time.process_time() - started


def _answer(function: Any, arguments: tuple[Any, ...]) -> tuple[str, Any]:
    try:
        return "done", function(*arguments)
    except SightlineError as error:
        return "refused", error
    except MemoryError:
        return "memory", ""
    except Exception as error:  # noqa: BLE001 - the border: everything becomes an answer
        return "failed", f"{type(error).__name__}: {error}"[:2000]


_LIBC: Final = ctypes.CDLL(None, use_errno=True)


def _die_with(parent: int) -> None:
    """End when the parent ends, however it ends (prctl(2), PR_SET_PDEATHSIG)."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def _limit(memory_mb: int, descriptors: int | None) -> None:
    _LIBC.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with open("/proc/self/statm", "rb") as statm:  # noqa: PTH123 - pathlib is not imported here
        base = int(statm.read().split()[0]) * resource.getpagesize()
    most = base + (memory_mb << 20)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    # The memory file of the wire is memory too, of nobody's address space.
    resource.setrlimit(resource.RLIMIT_FSIZE, (memory_mb << 20, memory_mb << 20))
    if descriptors is not None:
        # From here on nothing can be opened, no file, no socket, no pipe, and no process or thread started
        # (the kernel does not hold root to the second one).
        resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))
        resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))


def main(arguments: list[str]) -> None:
    """Live one life: ``once <socket> <memory> <MB>``, ``stream <socket> <memory> <MB> <spare>`` or
    ``nursery <socket> <MB> <module>…``.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's business
    if arguments[0] == "once":
        once(*map(int, arguments[1:4]))
    elif arguments[0] == "stream":
        stream(*map(int, arguments[1:5]))
    else:
        nursery(int(arguments[1]), arguments[3:], int(arguments[2]))
    sys.exit(0)
