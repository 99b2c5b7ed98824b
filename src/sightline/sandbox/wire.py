"""How parent and child talk: a notice over a socket, the bytes through a file in memory.

A message is a pickle (protocol 5) and its large buffers. The buffers lie one after the other in a memory
file that the two share (``memfd_create``); the socket carries the pickle and their lengths. Pixels are
therefore copied twice, once in and once out, and never pass through a pipe. The file is read and written,
not mapped: a child that cuts it short gives its parent a short read, where a mapping would give it SIGBUS.
Few system calls, for in a server with many threads each of them may cost a wait for the interpreter's lock.

The child trusts its parent. The parent does not trust the child: answers may hold plain values, arrays,
frozen values of Sightline and its errors, and nothing that runs.
"""

import os
import pickle
import select
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass, is_dataclass
from io import BytesIO
from typing import Any, Final

from sightline.errors import SightlineError

IN_BAND_MAX: Final = 4096
"""Buffers up to this many bytes travel inside the pickle."""
KEPT_MAX: Final = 8 << 20
"""A memory file that grew beyond this is emptied after use."""
HEAD_MAX: Final = 32 << 10
"""Pickles up to this many bytes travel in the notice."""
_NOTICE_MAX: Final = 64 << 10
_COUNT: Final = struct.Struct("<I")
_TIMEOUT_MIN_S: Final = 1e-3


@dataclass(frozen=True, slots=True)
class Limits:
    """What one job may take."""

    memory_mb: int = 512
    """Address space over what the child has before the job."""
    cpu_s: float = 5.0
    wall_s: float = 8.0


class ChildTimeout(SightlineError):
    """The child did not answer within its wall time and was killed."""


class ChildDied(SightlineError):
    """The child ended without an answer, or its function failed in a way that is no error of Sightline.

    ``signal`` is the signal that ended it, 0 if none did; ``memory`` is true where it ran out of memory,
    ``failed`` where the function raised something else.
    """

    signal: int = 0
    memory: bool = False
    failed: bool = False


class Hangup(Exception):
    """The other end is gone."""


class Channel:
    """One end of the wire. Owns its socket and its memory file."""

    def __init__(self, sock: socket.socket, memory_fd: int) -> None:
        self._sock = sock
        self._memory_fd = memory_fd
        self._timeout_s: float | None = None

    @classmethod
    def pair(cls) -> tuple["Channel", "Channel"]:
        """Two ends that share one memory file."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        memory_fd = os.memfd_create("sightline", os.MFD_CLOEXEC)
        return cls(ours, memory_fd), cls(theirs, os.dup(memory_fd))

    @property
    def descriptors(self) -> tuple[int, int]:
        """Socket and memory file, to be handed to a child."""
        return self._sock.fileno(), self._memory_fd

    def send(self, value: object) -> int:
        """Write the message and tell the other end; returns its size in bytes.

        Raises:
            Hangup: Nobody is there.
        """
        buffers: list[memoryview] = []

        def aside(buffer: pickle.PickleBuffer) -> bool:
            raw = buffer.raw()
            if raw.nbytes <= IN_BAND_MAX or len(buffers) >= 1000:
                return True
            buffers.append(raw)
            return False

        head = pickle.dumps(value, protocol=5, buffer_callback=aside)
        within = len(head) <= HEAD_MAX
        parts: list[bytes | memoryview] = [*buffers] if within else [head, *buffers]
        offset = 0
        for part in parts:
            offset = _write(self._memory_fd, part, offset)
        sizes = [memoryview(part).nbytes for part in parts]
        notice = _COUNT.pack(len(sizes)) + struct.pack(f"<{len(sizes)}Q", *sizes)
        try:
            self._sock.send(notice + head if within else notice)
        except OSError as error:
            raise Hangup from error
        return offset + len(head) * within

    def receive(self, *, timeout_s: float | None = None, largest: int = 1 << 40, trusted: bool) -> Any:
        """Wait for a message.

        Raises:
            Hangup: The other end is gone, or lied about what it sent.
            TimeoutError: Nothing came in time.
        """
        self._patience(timeout_s)
        try:
            notice = self._sock.recv(_NOTICE_MAX)
        except BlockingIOError as error:
            raise TimeoutError from error
        except OSError as error:
            raise Hangup from error
        sizes, head = _unpack(notice)
        total = sum(sizes)
        if total > largest:
            raise Hangup
        parts, offset = [head] if head else [], 0
        for size in sizes:
            parts.append(_read(self._memory_fd, size, offset))
            offset += size
        if total > KEPT_MAX:
            os.ftruncate(self._memory_fd, 0)
        if not parts:
            raise Hangup
        return _loads(parts[0], parts[1:], trusted=trusted)

    def _patience(self, timeout_s: float | None) -> None:
        """Let the kernel keep the time: Python's own timeout takes a second system call each time."""
        if timeout_s == self._timeout_s:
            return
        whole, rest = divmod(timeout_s or 0.0, 1.0)
        if timeout_s is not None and timeout_s < _TIMEOUT_MIN_S:
            whole, rest = 0.0, _TIMEOUT_MIN_S  # 0 would be no limit
        self._sock.setsockopt(
            socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("@ll", int(whole), int(rest * 1e6))
        )
        self._timeout_s = timeout_s

    def asked(self) -> bool:
        """Whether a message waits to be received, or the other end is gone."""
        return bool(select.select([self._sock], [], [], 0)[0])

    def hang_up(self) -> None:
        """Let whoever waits in ``receive``, here and at the other end, see a hangup. From any thread."""
        with suppress(OSError):  # the other end may have been faster
            self._sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close both descriptors; the other end sees a hangup."""
        self._sock.close()
        if self._memory_fd >= 0:
            os.close(self._memory_fd)
            self._memory_fd = -1


def _unpack(notice: bytes) -> tuple[tuple[int, ...], bytes]:
    """Sizes of what lies in the memory file, and the pickle if it came along."""
    if len(notice) < _COUNT.size:
        raise Hangup
    end = _COUNT.size + 8 * _COUNT.unpack_from(notice)[0]
    if len(notice) < end:
        raise Hangup
    return struct.unpack(f"<{(end - _COUNT.size) // 8}Q", notice[_COUNT.size : end]), notice[end:]


def _write(fd: int, part: bytes | memoryview, offset: int) -> int:
    view = memoryview(part).cast("B")
    while view:
        done = os.pwrite(fd, view, offset)
        view, offset = view[done:], offset + done
    return offset


def _read(fd: int, size: int, offset: int) -> bytes:
    first = os.pread(fd, size, offset)
    if len(first) == size:
        return first
    parts = [first]
    while parts[-1] and sum(map(len, parts)) < size:
        done = sum(map(len, parts))
        parts.append(os.pread(fd, size - done, offset + done))
    whole = b"".join(parts)
    if len(whole) != size:
        raise Hangup
    return whole


def _loads(head: bytes, buffers: list[bytes], *, trusted: bool) -> Any:
    if trusted:
        return pickle.loads(head, buffers=buffers)  # noqa: S301 - a child reads what its own parent wrote
    try:
        return _Answer(BytesIO(head), buffers=buffers).load()
    except Exception as error:
        raise Hangup from error


_HARMLESS: Final = {
    "builtins": {"set", "frozenset", "complex", "bytearray", "range", "slice"},
    "collections": {"OrderedDict"},
    "numpy": {"ndarray", "dtype"},
    "numpy._core.multiarray": {"_reconstruct", "scalar"},
    "numpy._core.numeric": {"_frombuffer"},
    "pathlib": {"PosixPath", "PurePosixPath"},
    "sightline.errors": {"_rebuild"},
}


_PROVEN: Final[dict[tuple[str, str], Any]] = {}
"""What answers have named so far and may."""


class _Answer(pickle.Unpickler):
    """Reads what a child answered, without running anything of its choice."""

    def find_class(self, module: str, name: str) -> Any:
        """The class or rebuilding function of that name, if it is harmless."""
        known = _PROVEN.get((module, name))
        if known is None:
            known = _PROVEN[module, name] = self._prove(module, name)
        return known

    def _prove(self, module: str, name: str) -> Any:
        if name in _HARMLESS.get(module, ()):
            return super().find_class(module, name)
        if module.startswith("sightline."):
            found = super().find_class(module, name)
            if isinstance(found, type) and found.__module__ == module and _is_value(found):
                return found
        raise pickle.UnpicklingError(f"{module}.{name} has no place in an answer.")


def _is_value(kind: type) -> bool:
    if issubclass(kind, SightlineError) or hasattr(kind, "model_fields"):
        return True
    return is_dataclass(kind) and bool(kind.__dataclass_params__.frozen)  # type: ignore[attr-defined]
