"""Request bodies: received with a byte count and a deadline, then read as form, JSON or plain picture."""

import asyncio
import base64
import binascii
import json
import re
from dataclasses import dataclass
from typing import Final, TypeAlias
from urllib.parse import urlsplit

from starlette.types import Receive, Scope

from sightline.errors import BadOption
from sightline.settings import Settings
from sightline.web import multipart
from sightline.web.problems import BadRequest, BodyTooLarge, TooSlow, WrongMediaType
from sightline.web.services import ClientGone, Ticket

_MB: Final = 1024 * 1024
_SOURCE_MAX: Final = 200
_URL_MAX: Final = 2048
UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
JSON_BYTES: Final = _MB
"""Larger JSON is not parsed: a few megabytes of brackets would become a gigabyte of objects."""
_LONE_IMAGE: Final = re.compile(rb'\s*\{\s*"image"\s*:\s*"([^"]*)"\s*\}\s*')
_DATA_URL: Final = re.compile(r"data:image/[a-z.+-]{1,30};base64,", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Upload:
    """One picture of a request: its bytes, or the address to fetch them from."""

    data: bytes = b""
    source: str = ""
    url: str = ""


Parts: TypeAlias = tuple[list[Upload], list[tuple[str, str]]]
"""Pictures and form fields of one request."""


def header(scope: Scope, wanted: bytes) -> bytes:
    """The first value of a header, or nothing."""
    for name, value in scope["headers"]:
        if name == wanted:
            return bytes(value)
    return b""


async def read_body(
    scope: Scope, receive: Receive, settings: Settings, ticket: Ticket, *, most: int | None = None
) -> bytes:
    """The whole body.

    Args:
        scope: Of the request.
        receive: Of the request.
        settings: ``upload_max_mb`` and ``receive_s``.
        ticket: Counts the bytes that are held.
        most: Bytes that this address takes, where they are fewer than ``upload_max_mb``.

    Raises:
        BodyTooLarge: Announced or received more; nothing beyond is kept.
        TooSlow: It took longer than ``receive_s``.
        WrongMediaType: It is compressed: a picture is compressed already, and a bomb could hide in it.
        ClientGone: The connection ended first.
    """
    limit = int(settings.upload_max_mb * _MB)
    too_large = BodyTooLarge(f"A request may have {limit / _MB:g} MB, this one has more.")
    if most is not None and most < limit:
        limit, too_large = (
            most,
            BodyTooLarge(
                f"A request to this address may have {most} bytes, this one has more.",
                next_step="Send less: /api/docs shows what it takes.",
            ),
        )
    if header(scope, b"content-encoding") not in {b"", b"identity"}:
        raise WrongMediaType("The body is compressed (Content-Encoding), which is not accepted.")
    announced = header(scope, b"content-length")
    if announced.isdigit() and int(announced) > limit:
        raise too_large
    try:
        async with asyncio.timeout(settings.receive_s):
            return await _collect(receive, limit, ticket, too_large)
    except TimeoutError as error:
        raise TooSlow(f"The request did not arrive within {settings.receive_s:g} s.") from error


async def _collect(receive: Receive, limit: int, ticket: Ticket, too_large: BodyTooLarge) -> bytes:
    chunks: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        chunk: bytes = message.get("body", b"")
        ticket.hold(len(chunk))
        if ticket.bytes > limit:
            chunks.clear()
            raise too_large
        chunks.append(chunk)
        if not message.get("more_body", False):
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def read_uploads(content_type: bytes, body: bytes, settings: Settings) -> Parts:
    """The pictures of a body, and the form fields that are options.

    Raises:
        WrongMediaType: Neither a form, nor JSON, nor a picture.
        BadRequest: A form or JSON that cannot be read.
        BadOption: A form without a picture, or with too many; JSON with other keys than allowed.
    """
    kind = content_type.partition(b";")[0].strip().lower()
    if kind.startswith(b"image/") or kind == b"application/octet-stream":
        if not body:
            raise BadOption("The body is empty; it should be the bytes of a picture.")
        return [Upload(bytes(body))], []
    if kind == b"multipart/form-data":
        return _from_form(body, multipart.boundary_of(content_type), settings)
    if kind == b"application/json":
        return [_from_json(body)], []
    raise WrongMediaType(f"The content type is {content_type[:80].decode('latin-1')!r}.")


def _from_form(body: bytes, boundary: bytes, settings: Settings) -> Parts:
    parts_max = settings.files_max + multipart.FIELDS_MAX
    uploads: list[Upload] = []
    fields: list[tuple[str, str]] = []
    for part in multipart.parse(body, boundary, parts_max=parts_max):
        if part.name == "image":
            uploads.append(Upload(part.data, clean_name(part.filename or "")))
        elif part.filename is None:
            fields.append((part.name, part.data[:1000].decode("utf-8", "replace")))
        else:
            raise BadOption(
                f"A form's pictures are files named 'image', this one is named {part.name[:60]!r}."
            )
    if not uploads:
        raise BadOption("The form has no file named 'image'.")
    if len(uploads) > settings.files_max:
        raise BadOption(f"A request may have {settings.files_max} pictures, this one has {len(uploads)}.")
    if len(fields) > multipart.FIELDS_MAX:
        raise BadOption(f"A form may have {multipart.FIELDS_MAX} fields, this one has {len(fields)}.")
    return uploads, fields


def _from_json(body: bytes) -> Upload:
    if len(body) > JSON_BYTES:
        return Upload(_from_base64(_lone_image(body)))
    try:
        wish = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadRequest("The body is not JSON, or is nested too deep.") from error
    if not isinstance(wish, dict) or len(wish) != 1:
        raise BadOption('The JSON must be {"url": "…"} or {"image": "<base64>"}.')
    url, image = wish.get("url"), wish.get("image")
    if isinstance(url, str):
        if not 0 < len(url) <= _URL_MAX:
            raise BadOption(f"url must have 1 to {_URL_MAX} characters, this one has {len(url)}.")
        return Upload(source=shown_address(url), url=url)
    if isinstance(image, str):
        return Upload(_from_base64(image))
    raise BadOption('The JSON must be {"url": "…"} or {"image": "<base64>"}.')


def _lone_image(body: bytes) -> str:
    """The image of ``{"image": "…"}`` without building what else large JSON could hold."""
    found = _LONE_IMAGE.fullmatch(body)
    text = found[1].replace(b"\\/", b"/") if found else b"\\"
    if b"\\" in text:
        raise BadOption(
            f'JSON of more than {JSON_BYTES // _MB} MiB must be {{"image": "<base64>"}} and nothing else.'
        )
    return text.decode("latin-1")


def _from_base64(text: str) -> bytes:
    head = _DATA_URL.match(text[:64])
    try:
        data = base64.b64decode(text[head.end() if head else 0 :], validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadOption("image must be base64 (RFC 4648, with padding, no line breaks).") from error
    if not data:
        raise BadOption("image is empty; it should be the bytes of a picture in base64.")
    return data


def clean_name(name: str) -> str:
    """A file's name for people: its last part, without control or direction characters, at most 200 long."""
    last = name.replace("\\", "/").rpartition("/")[2]
    return UNPRINTABLE.sub("", last)[:_SOURCE_MAX]


def shown_address(url: str) -> str:
    """An address without what may be secret: user, query and fragment."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    host = parts.netloc.rpartition("@")[2]
    return UNPRINTABLE.sub("", f"{parts.scheme}://{host}{parts.path}")[:_SOURCE_MAX]
