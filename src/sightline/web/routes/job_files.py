"""The files that a job has made: of a video, the film, the table and the lines of JSON."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import Path
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from sightline.errors import NotFound
from sightline.web.endpoint import Endpoint
from sightline.web.job_view import JOBS
from sightline.web.services import HEAD, services_of

if TYPE_CHECKING:
    from sightline.storage.blobs import Stored

JobId = Annotated[str, Path(max_length=64, description="The id of a job.")]
Name = Annotated[str, Path(max_length=200, description="As the job's `result.files` names it.")]

_SHOWN: Final = ("video/webm",)
"""What a browser may show; everything else is downloaded."""
_KINDS: Final = (*_SHOWN, "text/csv", "application/x-ndjson")
_RANGE: Final = re.compile(r"bytes=([0-9]{1,12})-([0-9]{0,12})")
_KEEP: Final = "private, max-age=86400, immutable"
_BINARY: Final = {"schema": {"type": "string", "format": "binary"}}


async def show_file(request: Request, job_id: JobId, name: Name) -> Response:
    """Download a file that a job has made; with `Range: bytes=a-b` a part of it, as players ask for it."""
    services = services_of(request)

    def look() -> "tuple[Stored, int]":
        job = services.ledger.get(job_id)
        for file in (job.result or {}).get("files", ()):
            if file["name"] == name and file["media_type"] in _KINDS:
                found = replace(services.ledger.file(job_id, file["digest"]), media_type=file["media_type"])
                return found, found.size()
        raise NotFound(f"The job has made no file {name[:100]!r}.", next_step="`result.files` lists them.")

    file, size = await asyncio.to_thread(look)
    answer = _sent(file, size, name, request.headers.get("range", ""))
    if HEAD in request.scope:  # nothing is read for who wants the head only
        return Response(None, answer.status_code, answer.headers, answer.media_type)
    return answer


def _sent(file: "Stored", size: int, name: str, wanted: str) -> Response:
    safe = "".join(sign if sign.isascii() and (sign.isalnum() or sign in "-_.") else "-" for sign in name)
    how = "inline" if file.media_type in _SHOWN else "attachment"
    headers = {"cache-control": _KEEP, "accept-ranges": "bytes"}
    headers["content-disposition"] = f'{how}; filename="{safe}"'
    found = _RANGE.fullmatch(wanted)
    if found is None:
        headers["content-length"] = str(size)
        return StreamingResponse(_pieces(file, 0, size), 200, headers, file.media_type)
    first, last = int(found[1]), min(int(found[2] or size - 1), size - 1)
    if first > last:
        return Response(status_code=416, headers=headers | {"content-range": f"bytes */{size}"})
    headers["content-range"] = f"bytes {first}-{last}/{size}"
    headers["content-length"] = str(last + 1 - first)
    return StreamingResponse(_pieces(file, first, last + 1), 206, headers, file.media_type)


async def _pieces(file: "Stored", first: int, end: int) -> AsyncIterator[bytes]:
    """As the client takes them: a film is never in memory, whoever asks for it."""
    pieces = file.pieces(first, end)
    while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
        yield piece


def _also() -> dict[int | str, dict[str, Any]]:
    content = dict.fromkeys(_KINDS, _BINARY)
    return {
        200: {"description": "The file.", "content": content},
        206: {"description": "The part that was asked for.", "content": content},
        416: {"description": "The file is shorter than that."},
    }


ENDPOINTS: Final = (
    Endpoint(
        "GET",
        f"{JOBS}/{{job_id}}/files/{{name}}",
        show_file,
        "read",
        "A file of a job",
        "Jobs",
        also=_also(),
        problems=("not_found", "bad_option"),
    ),
)
