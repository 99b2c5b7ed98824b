"""multipart/form-data as it arrives (RFC 7578): for bodies that are too large to be held in memory.

A push parser without input or output of its own: bytes go in, parts come out piece by piece. What it keeps
is one part's headers, or as many bytes as a boundary could hide in.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

from sightline.web.multipart import HEAD_MAX, head_of
from sightline.web.problems import BadRequest

_PREAMBLE_MAX: Final = 1024


@dataclass(frozen=True, slots=True)
class Head:
    """A part begins; ``filename`` is ``None`` for a field that is no file."""

    name: str
    filename: str | None


@dataclass(frozen=True, slots=True)
class End:
    """The part that began last is whole."""


Event: TypeAlias = Head | bytes | End


class FormStream:
    """One body. Feed it what arrives, then `close` it."""

    def __init__(self, boundary: bytes, *, parts_max: int) -> None:
        """Nothing has arrived.

        Args:
            boundary: From the content type.
            parts_max: Most parts.
        """
        self._mark = b"\r\n--" + boundary
        self._buffer = bytearray(
            b"\r\n"
        )  # so that the first boundary, which no line precedes, is like others
        self._state = "preamble"
        self._left = parts_max
        self._first = False
        self._parts_max = parts_max

    def feed(self, data: bytes) -> Iterator[Event]:
        """What has become known with these bytes.

        Raises:
            BadRequest: The body does not follow the boundary, or has too many parts.
        """
        self._buffer += data
        while True:
            event = self._next()
            if event is None:
                return
            if event != b"":
                yield event

    def close(self) -> None:
        """Nothing more comes.

        Raises:
            BadRequest: The form is not whole.
        """
        if self._state != "done":
            raise BadRequest("The form ends in the middle of a part.")

    def _next(self) -> Event | None:
        """One step; ``b""`` for a step that tells nothing, None where more bytes are needed."""
        match self._state:
            case "preamble":
                return self._preamble()
            case "line":
                return self._line()
            case "head":
                return self._head()
            case "body":
                return self._body()
        self._buffer.clear()  # an epilogue means nothing
        return None

    def _preamble(self) -> Event | None:
        found = self._buffer.find(self._mark)
        if found < 0:
            if len(self._buffer) > _PREAMBLE_MAX + len(self._mark):
                raise BadRequest("The form never shows its boundary.")
            return None
        return self._after(found)

    def _after(self, found: int) -> Event:
        del self._buffer[: found + len(self._mark)]
        self._state = "line"
        return b""

    def _line(self) -> Event | None:
        """After a boundary: two hyphens end the form, a line break begins a part."""
        if len(self._buffer) < 2:
            return None
        if self._buffer.startswith(b"--"):
            self._state = "done"
            return b""
        if self._left <= 0:
            raise BadRequest(f"A form may have {self._parts_max} parts, this one has more.")
        self._left -= 1
        self._state = "head"
        return b""

    def _head(self) -> Event | None:
        end = self._buffer.find(b"\r\n\r\n", 0, HEAD_MAX + 4)
        if end < 0:
            if len(self._buffer) >= HEAD_MAX + 4:
                raise BadRequest(f"The headers of a form part must end within {HEAD_MAX} bytes.")
            return None
        name, filename = head_of(bytes(self._buffer[:end]))
        del self._buffer[: end + 2]  # the break stays: an empty part's boundary begins with it
        self._state = "body"
        self._first = True
        return Head(name, filename)

    def _body(self) -> Event | None:
        found = self._buffer.find(self._mark)
        start = 2 if self._first else 0
        if found >= 0:
            data = bytes(self._buffer[start:found]) if found >= start else b""
            if data:
                del self._buffer[:found]
                self._first = False
                return data
            self._after(found)
            return End()
        keep = len(self._mark) - 1
        if len(self._buffer) - keep <= start:
            return None
        data = bytes(self._buffer[start : len(self._buffer) - keep])
        del self._buffer[: len(self._buffer) - keep]
        self._first = False
        return data
