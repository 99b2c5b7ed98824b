"""Watches inside the server: list, begin, end, and the last picture of each."""

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import Path
from starlette.requests import Request
from starlette.responses import Response

from sightline.errors import NotFound
from sightline.types import Frame, Staged
from sightline.vision import annotate, codec
from sightline.web.endpoint import Endpoint
from sightline.web.routes.predict import json_response
from sightline.web.services import Services, services_of
from sightline.web.watch_schemas import WatchBody, WatchChange, WatchListBody, WatchWish
from sightline.web.wishes import read_wish

if TYPE_CHECKING:
    from sightline.watching.manager import Standing

WATCHES: Final = "/api/v1/watches"
WatchId = Annotated[str, Path(max_length=64, description="The id of a watch.")]
_FRESH: Final = {"cache-control": "private, no-cache"}
_WISHED: Final = ("every_s", "motion", "store", "model", "min_score", "labels", "size")
_JPEG: Final = "image/jpeg"


def list_watches(request: Request) -> Response:
    """List what the server watches, the oldest first, and how each is doing."""
    return _json({"watches": [_body(one) for one in services_of(request).watches.all()]})


async def begin_watch(request: Request) -> Response:
    """Watch a camera from now on, also after a restart."""
    wish = await read_wish(request, WatchWish, "a watch")
    rest = wish.model_dump(exclude={"source", "name"})
    standing = await asyncio.to_thread(services_of(request).watches.add, wish.source, wish.name, rest)
    response = _json(_body(standing))
    response.status_code = 201
    response.headers["location"] = f"{WATCHES}/{standing.watch.id}"
    return response


def show_watch(request: Request, watch_id: WatchId) -> Response:
    """Show how a watch is doing."""
    return _json(_body(services_of(request).watches.get(watch_id)))


async def change_watch(request: Request, watch_id: WatchId) -> Response:
    """Go on under other terms, with the same id; what was seen before stays."""
    wish = await read_wish(request, WatchChange, "a watch")
    watches = services_of(request).watches
    rest = wish.model_dump(exclude={"source", "name"})
    standing = await asyncio.to_thread(watches.change, watch_id, wish.source, wish.name, rest)
    return _json(_body(standing))


def end_watch(request: Request, watch_id: WatchId) -> Response:
    """End a watch and forget it; stored results stay."""
    services_of(request).watches.remove(watch_id)
    return Response(status_code=204)


async def show_picture(request: Request, watch_id: WatchId) -> Response:
    """Show the last picture of a watch with everything drawn on it."""
    services = services_of(request)
    standing = services.watches.get(watch_id)

    def draw() -> bytes:
        return _drawn(services, standing)

    with services.road.enter() as call:
        outcome = (await services.run(request.receive, [draw], call))[0]
    if isinstance(outcome, Exception):
        raise outcome
    return Response(outcome, media_type=_JPEG, headers=_FRESH)


def _drawn(services: Services, standing: "Standing") -> bytes:
    last = standing.last
    if last is None:
        raise NotFound(
            "This watch has no picture yet.", next_step="Its `state` and `error` say how it is doing."
        )
    picture = last.shot.picture
    if isinstance(picture, Frame):
        return codec.encode(annotate.draw(picture.pixels, last.result), _JPEG)
    return services.road.decoder.draw(picture, last.result, _JPEG)


def _body(standing: "Standing") -> dict[str, Any]:
    watch, last, error = standing.watch, standing.last, standing.error
    seen = datetime.fromtimestamp(last.shot.taken, UTC).isoformat(timespec="milliseconds") if last else None
    told = {"code": error.code, "message": error.message, "next_step": error.next_step} if error else None
    return {
        "id": watch.id,
        "name": watch.name,
        "source": standing.shown,
        **{name: watch.wish[name] for name in _WISHED},
        "state": standing.state,
        "answers": standing.answers,
        "seen": seen.replace("+00:00", "Z") if seen else None,
        "result": last.result.id if last else None,
        "counts": dict(standing.counts),
        **_verdict(last.result.prediction if last else None),
        "error": told,
        "picture": f"{WATCHES}/{watch.id}/picture" if last else None,
    }


def _verdict(prediction: object) -> dict[str, str | None]:
    """What a pipeline said, by the names of its results."""
    said = prediction if isinstance(prediction, Staged) else None
    return {
        "verdict": said.verdict if said else None,
        "verdict_title": (said.title or said.verdict) if said else None,
    }


def _json(body: Any) -> Response:
    response = json_response(body)
    response.headers.update(_FRESH)
    return response


def _asks(kind: type[WatchWish]) -> dict[str, Any]:
    content = {"application/json": {"schema": kind.model_json_schema()}}
    return {"requestBody": {"required": True, "content": content}}


_REFUSALS: Final = (
    "bad_option",
    "bad_request",
    "request_timeout",
    "body_too_large",
    "unsupported_media_type",
    "not_found",
    "conflict",
    "fetch_refused",
    "busy",
    "bad_configuration",
)
_ONE: Final = f"{WATCHES}/{{watch_id}}"
_BINARY: Final = {"schema": {"type": "string", "format": "binary"}}
ENDPOINTS: Final = (
    Endpoint("GET", WATCHES, list_watches, "read", "What the server watches", "Watches", WatchListBody),
    Endpoint(
        "POST",
        WATCHES,
        begin_watch,
        "admin",
        "Watch a camera",
        "Watches",
        also={201: {"description": "It has begun.", "model": WatchBody}},
        extra=_asks(WatchWish),
        problems=_REFUSALS,
    ),
    Endpoint("GET", _ONE, show_watch, "read", "A watch", "Watches", WatchBody, problems=("not_found",)),
    Endpoint(
        "GET",
        f"{_ONE}/picture",
        show_picture,
        "read",
        "The last picture",
        "Watches",
        also={200: {"description": "The picture.", "content": {_JPEG: _BINARY}}},
        problems=("not_found", "busy", "picture_too_complex"),
    ),
    Endpoint(
        "PUT",
        _ONE,
        change_watch,
        "admin",
        "Change a watch",
        "Watches",
        WatchBody,
        extra=_asks(WatchChange),
        problems=_REFUSALS,
    ),
    Endpoint(
        "DELETE",
        _ONE,
        end_watch,
        "admin",
        "End a watch",
        "Watches",
        also={204: {"description": "It is gone."}},
        problems=("not_found",),
    ),
)
