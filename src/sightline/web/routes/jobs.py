"""Work that takes longer than a request: submit, watch, read the results, retry, cancel, remove."""

import asyncio
from typing import Annotated, Any, Final

from fastapi import Path, Query
from starlette.requests import Request
from starlette.responses import Response

from sightline.errors import BadOption, NotFound
from sightline.web.endpoint import Routes
from sightline.web.event_stream import EventStream, admit, last_event
from sightline.web.job_doc import ACCEPTED, EVENTS, SUBMIT, UPLOAD, UPLOADED
from sightline.web.job_events import JobFeed
from sightline.web.job_order import submit
from sightline.web.job_schemas import JobBody, JobListBody, State
from sightline.web.job_view import JOBS, find_job, fresh, job_body
from sightline.web.problems import Gone
from sightline.web.routes.predict import json_response
from sightline.web.services import services_of
from sightline.web.uploads import Kept, receive_files

JobId = Annotated[str, Path(max_length=64, description="The id of a job.")]

_ONE: Final = f"{JOBS}/{{job_id}}"


async def submit_job(request: Request) -> Response:
    """Submit a job: work that takes longer than one request.

    The body is JSON with `inputs` (exactly one of `uploads`, `archive`, `urls`, `prefix`), or a form with
    files `image` and one `archive` (a zip), and options as for predict; or one file `video`. The kind
    `evaluate` judges a model on an `archive`, `import` takes in the model of a `bundle`, `train` trains by
    a recipe; in a form, their `options` are a field of JSON. The answer comes when the job is written down:
    from then on it will not get lost. With an Idempotency-Key it is safe to send again.
    """
    services = services_of(request)
    with services.receiving_files() as ticket:
        job = await submit(request, services, ticket)
    response = json_response(job_body(job))
    response.status_code = 202
    response.headers["location"] = f"{JOBS}/{job.id}"
    return response


async def upload_files(request: Request) -> Response:
    """Store files for a job that is submitted after them: files `image`, or one `archive` or `bundle`.

    For many pictures over an unsteady connection: send them in portions, send a portion again that did not
    arrive, then submit a job with `uploads`. What no job names within an hour is deleted.
    """
    services = services_of(request)
    with services.receiving_files() as ticket:
        arrived = await receive_files(request.scope, request.receive, services, ticket)
    if arrived.fields:
        raise BadOption(f"An upload has no field {arrived.fields[0][0][:60]!r}; options belong to the job.")
    if arrived.video is not None:
        raise BadOption("A video goes straight into its job: POST /api/v1/jobs with the file `video`.")
    if not arrived.pictures and arrived.archive is None and arrived.bundle is None:
        raise BadOption("The form has no files named 'image' and no file named 'archive' or 'bundle'.")
    archive, bundle = (_upload(one) if one else None for one in (arrived.archive, arrived.bundle))
    pictures = [_upload(one) for one in arrived.pictures]
    response = json_response({"uploads": pictures, "archive": archive, "bundle": bundle})
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
    return fresh({"jobs": [job_body(job) for job in page.items], "next": page.next, "total": page.total})


def show_job(request: Request, job_id: JobId) -> Response:
    """Show a job as it is now."""
    return fresh(job_body(find_job(services_of(request), job_id)))


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
    services = admit(request, "jobs")
    known = last_event(request.headers.get("last-event-id"), after)
    await asyncio.to_thread(find_job, services, job_id)
    feed = JobFeed(services.ledger, job_id, known)
    first, ended = await asyncio.to_thread(_said, feed, job_id)
    if ended and not first:
        return Response(status_code=204)
    return EventStream(services, feed, first, ended=ended)


def retry_job(request: Request, job_id: JobId) -> Response:
    """Try a failed, dead or cancelled job again, or the pictures of a finished one that failed."""
    services = services_of(request)
    find_job(services, job_id)
    return fresh(job_body(services.ledger.retry(job_id)))


def end_job(request: Request, job_id: JobId) -> Response:
    """Cancel a job that waits or runs (200), or remove one that has ended, with its results (204)."""
    services = services_of(request)
    if not find_job(services, job_id).ended:
        return fresh(job_body(services.ledger.cancel(job_id)))
    services.ledger.remove(job_id)
    return Response(status_code=204)


def _said(feed: JobFeed, job_id: str) -> tuple[str, bool]:
    try:
        return feed.look()
    except NotFound as error:
        raise Gone(f"Job {job_id} is no longer here: it was removed just now.") from error


def _upload(kept: Kept) -> dict[str, Any]:
    return {"id": kept.id, "name": kept.name, "bytes": kept.bytes}


_route: Final = Routes("Jobs")
GONE: Final = ("not_found", "gone", "bad_option")
_BODY: Final = (
    "bad_option",
    "request_timeout",
    "body_too_large",
    "unsupported_media_type",
    "busy",
    "storage_full",
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
        "bad_configuration",
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
    _route("GET", _ONE, show_job, "read", "Show a job", JobBody, *GONE),
    _route(
        "GET",
        f"{_ONE}/events",
        watch_job,
        "read",
        "Watch a job",
        None,
        *GONE,
        "busy",
        "origin_refused",
        also=EVENTS,
    ),
    _route("POST", f"{_ONE}/retry", retry_job, "infer", "Try a job again", JobBody, *GONE, "conflict"),
    _route(
        "DELETE",
        _ONE,
        end_job,
        "write",
        "Cancel or remove a job",
        JobBody,
        *GONE,
        "conflict",
        also={204: {"description": "It is gone, with its results."}},
    ),
)
