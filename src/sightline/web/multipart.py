"""multipart/form-data in one pass over a body that is in memory already (RFC 7578, RFC 2046 section 5.1).

The body was counted while it streamed, so there is nothing to spill to disk, and parts are slices that
cost a few ``find`` calls. Limits on parts and on their headers are checked before a part is kept.
"""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_to_bytes

from sightline.web.problems import BadRequest

FIELDS_MAX: Final = 32
HEAD_MAX: Final = 8 * 1024
_BOUNDARY: Final = re.compile(rb'boundary=(?:"([^"\r\n]{1,70})"|([^\s;,"]{1,70}))', re.IGNORECASE)
_PARAMETER: Final = re.compile(r';\s*([A-Za-z*]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;\s]*))')


@dataclass(frozen=True, slots=True)
class Part:
    """One field of the form; ``filename`` is ``None`` for a field that is no file."""

    name: str
    filename: str | None
    data: bytes


def boundary_of(content_type: bytes) -> bytes:
    """The boundary parameter.

    Raises:
        BadRequest: There is none.
    """
    found = _BOUNDARY.search(content_type)
    if found is None:
        raise BadRequest("The content type multipart/form-data needs a boundary of 1 to 70 characters.")
    return found[1] or found[2]


def parse(body: bytes, boundary: bytes, *, parts_max: int) -> list[Part]:
    """Every part, in order.

    Raises:
        BadRequest: The body does not follow the boundary, ends early, or has more than ``parts_max`` parts.
    """
    line = b"--" + boundary
    mark = b"\r\n" + line
    place = 0 if body.startswith(line) else body.find(mark) + 2
    if place == 1:
        raise BadRequest("The form never shows its boundary.")
    place += len(line)
    parts: list[Part] = []
    while body[place : place + 2] != b"--":
        if len(parts) >= parts_max:
            raise BadRequest(f"A form may have {parts_max} parts, this one has more.")
        end = body.find(mark, place)
        if end < 0:
            raise BadRequest("The form ends in the middle of a part.")
        parts.append(_part(body, place, end))
        place = end + len(mark)
    return parts


def _part(body: bytes, start: int, end: int) -> Part:
    head_end = body.find(b"\r\n\r\n", start, min(end, start + HEAD_MAX) + 4)
    if head_end < 0:
        raise BadRequest(f"The headers of a form part must end within {HEAD_MAX} bytes.")
    name, filename = head_of(body[start:head_end])
    return Part(name, filename, body[head_end + 4 : end])


def head_of(head: bytes) -> tuple[str, str | None]:
    """Name and, for a file, file name from the headers of a part.

    Raises:
        BadRequest: There is no Content-Disposition.
    """
    for raw in head.split(b"\r\n"):
        name, _, value = raw.partition(b":")
        if name.strip().lower() == b"content-disposition":
            parameters = _parameters(value.decode("utf-8", "replace"))
            return parameters.get("name", ""), parameters.get("filename")
    raise BadRequest("A form part has no Content-Disposition header.")


def _parameters(value: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for match in _PARAMETER.finditer(value):
        text = match[3] if match[2] is None else re.sub(r'\\(["\\])', r"\1", match[2])
        name = match[1].lower()
        if name == "filename*":
            encoding, _, rest = text.partition("'")
            raw = unquote_to_bytes(rest.partition("'")[2])
            found["filename"] = raw.decode(
                "latin-1" if encoding.lower() == "iso-8859-1" else "utf-8", "replace"
            )
        else:
            found.setdefault(name, text)
    return found
