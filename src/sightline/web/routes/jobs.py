"""Work that takes longer than a request: submit, watch, read the results, retry, cancel, remove."""

import asyncio
import re
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Final, Literal

from fastapi import Path, Query
from starlette.requests import Request
from starlette.responses import Response

from sightline.errors import BadOption, Busy, NotFound
from sightline.jobs.inputs import PredictOrder
from sightline.serving.keeping import THUMBNAIL_SIDE
from sightline.storage.job_kept import Item, Job
from sightline.storage.kept import Picture
from sightline.web.endpoint import Endpoint
from sightline.web.job_doc import ACCEPTED, EVENTS, SUBMIT, UPLOAD, UPLOADED
from sightline.web.job_events import STREAMS_MAX, EventStream, Feed
from sightline.web.job_order import submit
from sightline.web.job_schemas import ItemBody, ItemListBody, JobBody, JobListBody, State
from sightline.web.job_view import JOBS, item_body, job_body
from sightline.web.problems import Gone
from sightline.web.routes.predict import json_response
from sightline.web.services import Services, services_of
from sightline.web.uploads import Kept, receive_files

JobId = Annotated[str, Path(max_length=64, description="The id of a job.")]
Index = Annotated[int, Path(ge=0, le=10_000_000, description="Place of the picture in the job, from 0.")]

_ID: Final = re.compile(r"[0-9a-f]{32}")
_ONE: Final = f"{JOBS}/{{job_id}}"
_ITEM: Final = f"{_ONE}/items/{{index}}"
_FRESH: Final = {"cache-control": "private, no-cache"}
_KEEP: Final = {"cache-control": "private, max-age=86400, immutable"}
_BINARY: Final = {"schema": {"type": "string", "format": "binary"}}


async def submit_job(request: Request) -> Response:
    """Submit a job: pictures to look at that are too many for one request.

    The body is JSON with `inputs` (exactly one of `uploads`, `archive`, `urls`, `prefix`), or a form with
    files `image` and one `archive` (a zip), and options as for predict. The answer comes when the job is
    written down: from then on it will not get lost. With an Idempotency-Key it is safe to send again.
    """
    services = services_of(request)
    with services.receiving_files() as ticket:
        job = await submit(request, services, ticket)
    response = json_response(job_body(job))
    response.status_code = 202
    response.headers["location"] = f"{JOBS}/{job.id}"
    return response


async def upload_files(request: Request) -> Response:
    """Store files for a job that is submitted after them: a form with files `image`, or one `archive`.

    For many pictures over an unsteady connection: send them in portions, send a portion again that did not
    arrive, then submit a job with `uploads`. What no job names within an hour is deleted.
    """
    services = services_of(request)
    with services.receiving_files() as ticket:
        arrived = await receive_files(request.scope, request.receive, services, ticket)
    if arrived.fields:
        raise BadOption(f"An upload has no field {arrived.fields[0][0][:60]!r}; options belong to the job.")
    if not arrived.pictures and arrived.archive is None:
        raise BadOption("The form has no files named 'image' and no file named 'archive'.")
    archive = _upload(arrived.archive) if arrived.archive else None
    response = json_response({"uploads": [_upload(one) for one in arrived.pictures], "archive": archive})
    response.status_code = 201
    return response


def list_jobs(
    request: Request,
    state: Annotated[State | None, Query(description="Only jobs in this state.")] = None,
    kind: Annotated[str, Query(max_length=40, description="Only jobs of this kind.")] = "",
    before: Annotated[str, Query(pattern="^[0-9]{0,18}$", description="`next` of the stretch before.")] = "",
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Response:
    """List jobs, newest first."""
    page = services_of(request).ledger.page(state=state, kind=kind or None, before=before, limit=limit)
    return _json({"jobs": [job_body(job) for job in page.items], "next": page.next, "total": page.total})


def show_job(request: Request, job_id: JobId) -> Response:
    """Show a job as it is now."""
    return _json(job_body(_job(services_of(request), job_id)))


async def watch_job(
    request: Request,
    job_id: JobId,
    after: Annotated[
        int | None, Query(ge=0, le=2**53, description="As Last-Event-ID; 0: from the beginning.")
    ] = None,
) -> Response:
    """Be told what happens to a job, as server-sent events: states, progress, pictures as they finish.

    Without Last-Event-ID (or `after`) it begins with the job as it is now. Each event's id is kept with the
    job, so whoever comes back with the last one misses nothing. The stream ends when the job ends.
    """
    services = services_of(request)
    if services.streams >= STREAMS_MAX:
        raise Busy(f"{STREAMS_MAX} connections watch jobs, which is the most that may.", retry_after_s=5)
    known = _last_event(request.headers.get("last-event-id"), after)
    await asyncio.to_thread(_job, services, job_id)
    feed = Feed(services.ledger, job_id, known)
    first, ended = await asyncio.to_thread(_said, feed, job_id)
    if ended and not first:
        return Response(status_code=204)
    return EventStream(services, feed, first, ended=ended)


def list_items(
    request: Request,
    job_id: JobId,
    after: Annotated[int, Query(ge=-1, le=10_000_000, description="Only above this index.")] = -1,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    failed: Annotated[bool, Query(description="Only pictures that failed.")] = False,  # noqa: FBT002 - by name
    brief: Annotated[bool, Query(description="Counts instead of whole results.")] = False,  # noqa: FBT002
) -> Response:
    """List what became of a job's pictures so far, by index."""
    services = services_of(request)
    _job(services, job_id)
    page = services.ledger.items(job_id, after=after, limit=limit, failed_only=failed)
    found = [item_body(item, brief=brief) for item in page.items]
    return _json({"results": found, "next": page.next, "total": page.total})


def show_item(request: Request, job_id: JobId, index: Index) -> Response:
    """Show what became of one picture."""
    return _json(item_body(_item(services_of(request), job_id, index), brief=False))


async def show_item_image(request: Request, job_id: JobId, index: Index) -> Response:
    """Show one picture of a job: upright, sRGB, without metadata."""
    return await _picture(request, job_id, index, _clean)


async def show_item_thumbnail(request: Request, job_id: JobId, index: Index) -> Response:
    """Show a small copy of one picture, at most 320 pixels wide or high."""
    services = services_of(request)
    item = await asyncio.to_thread(_item, services, job_id, index)
    if item.thumbnail:
        return _sent(await asyncio.to_thread(services.ledger.picture, item.job, item.thumbnail))
    return await _picture(request, job_id, index, _small)


def retry_job(request: Request, job_id: JobId) -> Response:
    """Try a failed, dead or cancelled job again, or the pictures of a finished one that failed."""
    services = services_of(request)
    _job(services, job_id)
    return _json(job_body(services.ledger.retry(job_id)))


def end_job(request: Request, job_id: JobId) -> Response:
    """Cancel a job that waits or runs (200), or remove one that has ended, with its results (204)."""
    services = services_of(request)
    if not _job(services, job_id).ended:
        return _json(job_body(services.ledger.cancel(job_id)))
    services.ledger.remove(job_id)
    return Response(status_code=204)


def _job(services: Services, job_id: str) -> Job:
    """One job.

    Raises:
        Gone: It has expired or was removed. Ids are made here and are long, so one that is whole was a job.
        NotFound: This is no id.
    """
    try:
        return services.ledger.get(job_id)
    except NotFound as error:
        if _ID.fullmatch(job_id):
            days = services.settings.job_days
            kept = f" Jobs are kept for {days:g} days after they end." if days else ""
            raise Gone(f"Job {job_id} is no longer here: it expired or was removed.{kept}") from error
        raise


def _item(services: Services, job_id: str, index: int) -> Item:
    _job(services, job_id)
    page = services.ledger.items(job_id, after=index - 1, limit=1)
    if not page.items or page.items[0].index != index:
        raise NotFound(f"Picture {index} of job {job_id} is not done, or there is none.")
    return page.items[0]


def _said(feed: Feed, job_id: str) -> tuple[str, bool]:
    try:
        return feed.more()
    except NotFound as error:
        raise Gone(f"Job {job_id} is no longer here: it was removed just now.") from error


def _last_event(header: str | None, after: int | None) -> int | None:
    if header is None or header == "":
        return after
    if not re.fullmatch(r"[0-9]{1,15}", header):
        raise BadOption(f"Last-Event-ID must be the id of an earlier event, got {header[:60]!r}.")
    return int(header)


async def _picture(
    request: Request, job_id: str, index: int, make: Callable[[Services, bytes], Picture]
) -> Response:
    """A picture that is made from the kept one, in a decoder, in the line of those who look."""
    services = services_of(request)
    item = await asyncio.to_thread(_item, services, job_id, index)
    data = await _original(request, services, item)
    with services.road.enter() as call:
        outcome = (await services.run(request.receive, [partial(make, services, data)], call))[0]
    if isinstance(outcome, Exception):
        raise outcome
    return _sent(outcome)


async def _original(request: Request, services: Services, item: Item) -> bytes:
    """The picture as it was looked at; of those in a zip or a bucket only the place is known.

    Raises:
        NotFound: It is not there any more.
    """

    def read() -> bytes:
        if item.image:
            return services.ledger.picture(item.job, item.image).data
        order = PredictOrder.from_json(services.ledger.get(item.job).payload)
        return services.pictures.locate(order.inputs, item.source)

    with services.waiting() as call:
        found = (await services.run(request.receive, [read], call, waits=True))[0]
    if isinstance(found, Exception):
        raise found
    return found


def _clean(services: Services, data: bytes) -> Picture:
    again = services.road.decoder.clean(data)
    return Picture(again.data, again.media_type)


def _small(services: Services, data: bytes) -> Picture:
    return Picture(services.road.decoder.thumbnail(data, THUMBNAIL_SIDE), "image/jpeg")


def _sent(picture: Picture) -> Response:
    return Response(picture.data, media_type=picture.media_type, headers=_KEEP)


def _upload(kept: Kept) -> dict[str, Any]:
    return {"id": kept.id, "name": kept.name, "bytes": kept.bytes}


def _json(body: Any) -> Response:
    response = json_response(body)
    response.headers.update(_FRESH)
    return response


def _route(
    method: Literal["GET", "POST", "DELETE"],
    path: str,
    handler: Callable[..., Any],
    needs: Literal["infer", "read", "write"],
    summary: str,
    answer: Any = None,
    *problems: str,
    **more: Any,
) -> Endpoint:
    return Endpoint(method, path, handler, needs, summary, "Jobs", answer, problems=problems, **more)


_GONE: Final = ("not_found", "gone", "bad_option")
_BODY: Final = (
    "bad_option",
    "request_timeout",
    "body_too_large",
    "unsupported_media_type",
    "busy",
    "storage_full",
)
_PICTURE: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "The picture.", "content": dict.fromkeys(("image/jpeg", "image/png"), _BINARY)}
}
_DECODING: Final = (
    "busy",
    "picture_too_large",
    "not_a_picture",
    "fetch_refused",
    "picture_too_complex",
    "deadline_exceeded",
)

ENDPOINTS: Final = (
    _route(
        "POST",
        JOBS,
        submit_job,
        "infer",
        "Submit a job",
        None,
        *_BODY,
        "not_found",
        "idempotency_key_reused",
        also=ACCEPTED,
        extra=SUBMIT,
        by_hand=True,
    ),
    _route(
        "POST",
        "/api/v1/uploads",
        upload_files,
        "infer",
        "Store files for a job",
        None,
        *_BODY,
        also=UPLOADED,
        extra=UPLOAD,
        by_hand=True,
    ),
    _route("GET", JOBS, list_jobs, "read", "List jobs", JobListBody, "bad_option"),
    _route("GET", _ONE, show_job, "read", "Show a job", JobBody, *_GONE),
    _route("GET", f"{_ONE}/events", watch_job, "read", "Watch a job", None, *_GONE, "busy", also=EVENTS),
    _route("GET", f"{_ONE}/results", list_items, "read", "A job's results", ItemListBody, *_GONE),
    _route("GET", _ITEM, show_item, "read", "One picture's result", ItemBody, *_GONE),
    _route(
        "GET",
        f"{_ITEM}/image",
        show_item_image,
        "read",
        "One picture",
        None,
        *_GONE,
        *_DECODING,
        also=_PICTURE,
    ),
    _route(
        "GET",
        f"{_ITEM}/thumbnail",
        show_item_thumbnail,
        "read",
        "One picture, small",
        None,
        *_GONE,
        *_DECODING,
        also=_PICTURE,
    ),
    _route("POST", f"{_ONE}/retry", retry_job, "infer", "Try a job again", JobBody, *_GONE, "conflict"),
    _route(
        "DELETE",
        _ONE,
        end_job,
        "write",
        "Cancel or remove a job",
        JobBody,
        *_GONE,
        "conflict",
        also={204: {"description": "It is gone, with its results."}},
    ),
)
