"""MJPEG: an endless ``multipart/x-mixed-replace`` of JPEG files, taken apart as it comes. Pure bytes.

The type was made by Netscape and never standardised; parts follow RFC 2046, section 5.1. Cameras differ in
three ways, and all are read: the boundary is declared with or without its dashes, parts may lack
``Content-Length``, and lines may end in LF alone.
"""

import re
from collections.abc import Iterator
from typing import Final

from sightline.errors import FetchRefused

_BOUNDARY: Final = re.compile(r"boundary\s*=\s*(\"[^\"]{1,200}\"|[^\s;,]{1,200})", re.IGNORECASE)
_HEADER_MAX: Final = 8192
_END: Final = re.compile(rb"\r?\n\r?\n")
_LENGTH: Final = re.compile(rb"^content-length:[ \t]*([0-9]{1,10})[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)


def boundary_of(content_type: str) -> bytes:
    """What stands between two parts, from the header ``Content-Type``.

    Raises:
        FetchRefused: It is no stream of pictures.
    """
    found = _BOUNDARY.search(content_type)
    if not content_type.lower().startswith("multipart/") or found is None:
        raise FetchRefused(
            f"The camera sends {content_type[:80] or 'no content type'!r}, not a stream of pictures.",
            next_step="Use the address of its MJPEG stream or of its JPEG snapshot, or rtsp://.",
        )
    return b"--" + found[1].strip('"').strip("-").encode("latin-1", "replace")


class Parts:
    """Bytes in, whole parts out."""

    def __init__(self, boundary: bytes, *, most: int) -> None:
        """Begin before the first boundary; a part has at most ``most`` bytes."""
        self._line = boundary
        self._most = most
        self._bytes = bytearray()
        self._begun = False
        """Whether what is held begins with the headers of a part."""

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """The parts that this chunk completes.

        Raises:
            FetchRefused: A part or its headers are larger than they may be.
        """
        self._bytes += chunk
        while (part := self._next()) is not None:
            if part:
                yield part

    def _next(self) -> bytes | None:
        """One part, empty where there was none; ``None``: more bytes are needed."""
        if not self._begun:
            at = self._bytes.find(self._line)
            if at < 0:
                del self._bytes[: -len(self._line)]  # nothing but what may be the boundary's beginning
                return None
            end = self._bytes.find(b"\n", at)
            if end < 0:
                return None
            del self._bytes[: end + 1]
            self._begun = True
        head = _END.search(self._bytes, 0, _HEADER_MAX)
        if head is None:
            if len(self._bytes) > _HEADER_MAX:
                raise FetchRefused("The camera's stream has headers without an end.")
            return None
        return self._body(head)

    def _body(self, head: re.Match[bytes]) -> bytes | None:
        told = _LENGTH.search(self._bytes, 0, head.end())
        start = head.end()
        if told is not None:
            stop = start + int(told[1])
            whole = len(self._bytes) >= stop
        else:
            stop = self._bytes.find(self._line, start)
            whole = stop >= 0
        if (stop if told else len(self._bytes)) - start > self._most:
            raise FetchRefused(f"A picture of the camera has more than {self._most >> 20} MiB.")
        if not whole:
            return None
        part = bytes(self._bytes[start:stop])
        del self._bytes[:stop]
        self._begun = False
        return part if told else part.removesuffix(b"\n").removesuffix(b"\r")
