"""What became of a job's pictures: a page of them, all of them as a file, one with its picture."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Final, Literal

from fastapi import Path, Query
from starlette.requests import Request
from starlette.responses import Response

from sightline.errors import NotFound
from sightline.jobs.exports import MEDIA_TYPES, export
from sightline.jobs.inputs import PREDICT, PredictOrder
from sightline.serving.keeping import THUMBNAIL_SIDE
from sightline.storage.job_kept import Item
from sightline.storage.kept import Picture
from sightline.web.download import Download
from sightline.web.endpoint import Endpoint
from sightline.web.job_schemas import ItemBody, ItemListBody
from sightline.web.job_view import JOBS, find_job, fresh, item_body
from sightline.web.routes.jobs import GONE, JobId
from sightline.web.services import Services, services_of

Index = Annotated[int, Path(ge=0, le=10_000_000, description="Place of the picture in the job, from 0.")]

_ONE: Final = f"{JOBS}/{{job_id}}"
_ITEM: Final = f"{_ONE}/items/{{index}}"
_KEEP: Final = {"cache-control": "private, max-age=86400, immutable"}
_BINARY: Final = {"schema": {"type": "string", "format": "binary"}}


def list_items(  # noqa: PLR0913, PLR0917 - each is a parameter of the query
    request: Request,
    job_id: JobId,
    after: Annotated[int, Query(ge=-1, le=10_000_000, description="Only above this index.")] = -1,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    failed: Annotated[bool, Query(description="Only pictures that failed.")] = False,  # noqa: FBT002 - by name
    brief: Annotated[bool, Query(description="Counts instead of whole results.")] = False,  # noqa: FBT002
    format: Annotated[  # noqa: A002 - its name over HTTP
        Literal["json", "jsonl", "csv", "coco", "zip"],
        Query(description="All but `json` are whole files; `zip` has the pictures with drawings."),
    ] = "json",
) -> Response:
    """List what became of a job's pictures so far, by index; or download all of it as one file."""
    services = services_of(request)
    find_job(services, job_id)
    if format != "json":
        draw = services.road.decoder.draw
        made = export(format, services.ledger, job_id, pictures=services.pictures, draw=draw)
        return Download(services, made.name, made.media_type, made.chunks)
    page = services.ledger.items(job_id, after=after, limit=limit, failed_only=failed)
    found = [item_body(item, brief=brief) for item in page.items]
    return fresh({"results": found, "next": page.next, "total": page.total})


def show_item(request: Request, job_id: JobId, index: Index) -> Response:
    """Show what became of one picture."""
    return fresh(item_body(_item(services_of(request), job_id, index), brief=False))


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


def _item(services: Services, job_id: str, index: int) -> Item:
    find_job(services, job_id)
    page = services.ledger.items(job_id, after=index - 1, limit=1)
    if not page.items or page.items[0].index != index:
        raise NotFound(f"Picture {index} of job {job_id} is not done, or there is none.")
    return page.items[0]


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
        NotFound: It is not there any more, or was no picture: a training run's items are its epochs.
    """

    def read() -> bytes:
        if item.image:
            return services.ledger.picture(item.job, item.image).data
        job = services.ledger.get(item.job)
        if job.kind != PREDICT:
            raise NotFound(
                f"Item {item.index} of job {job.id} is no picture: the job is of the kind {job.kind!r}."
            )
        return services.pictures.locate(PredictOrder.from_json(job.payload).inputs, item.source)

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


_FILES: Final = [kind.partition(";")[0] for kind in MEDIA_TYPES.values() if kind != "application/json"]
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


def _route(path: str, handler: Callable[..., Any], summary: str, *problems: str, **more: Any) -> Endpoint:
    return Endpoint("GET", path, handler, "read", summary, "Jobs", problems=(*GONE, *problems), **more)


ENDPOINTS: Final = (
    _route(
        f"{_ONE}/results",
        list_items,
        "A job's results",
        "busy",
        answer=ItemListBody,
        also={200: {"content": dict.fromkeys(_FILES, _BINARY)}},
    ),
    _route(_ITEM, show_item, "One picture's result", answer=ItemBody),
    _route(f"{_ITEM}/image", show_item_image, "One picture", *_DECODING, also=_PICTURE),
    _route(f"{_ITEM}/thumbnail", show_item_thumbnail, "One picture, small", *_DECODING, also=_PICTURE),
)
