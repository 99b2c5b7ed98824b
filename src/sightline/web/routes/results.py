"""Stored results: the record, its pictures, its exports, the history, and the end of it."""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from fastapi import Path, Query
from starlette.requests import Request
from starlette.responses import Response

from sightline.errors import NotFound
from sightline.formats import coco, native, table, voc, yolo
from sightline.formats.selection import select
from sightline.formats.text import labels_of
from sightline.storage.kept import Picture, Record, Search, Summary
from sightline.types import Ask, Result
from sightline.web.answer import drawn
from sightline.web.endpoint import Endpoint
from sightline.web.routes.predict import drawn_type, json_response
from sightline.web.schemas import HistoryBody, StoredBody
from sightline.web.services import Services, services_of

ResultId = Annotated[str, Path(max_length=64, description="The id of a result that was stored.")]
MinScore = Annotated[float | None, Query(ge=0, le=1, description="Default: the stored threshold.")]
Labels = Annotated[
    str | None,
    Query(
        max_length=4000,
        description="Only these labels, comma separated; a comma within one is `%2C` (`tench%252C Tinca`).",
    ),
]

_ONE: Final = "/api/v1/results/{result_id:result}"
_PLACE: Final = r"^([0-9]{1,12}(\.[0-9]{1,9})?_[0-9A-Za-z_-]{1,64})?$"
_KEEP: Final = {"cache-control": "private, max-age=86400, immutable"}
_FRESH: Final = {"cache-control": "private, no-cache"}
_BINARY: Final = {"schema": {"type": "string", "format": "binary"}}


def list_results(
    request: Request,
    label: Annotated[str, Query(max_length=200, description="Only results with this label.")] = "",
    q: Annotated[str, Query(max_length=200, description="Part of the source's name.")] = "",
    model: Annotated[str, Query(max_length=64, description="Only answers of this model.")] = "",
    before: Annotated[str, Query(pattern=_PLACE, description="`next` of the stretch before.")] = "",
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Response:
    """List stored results, newest first."""
    services = services_of(request)
    page = services.store.page(Search(label=label, text=q, model=model, before=before, limit=limit))
    results = [_summary(services, item) for item in page.items]
    return _json({"results": results, "next": page.next, "total": page.total})


def show_result(request: Request, result_id: ResultId) -> Response:
    """Show a stored result with everything above the storage floor; `min_score` is the asked threshold."""
    services = services_of(request)
    record = services.store.get(result_id)
    times = _times(services, record)
    return _json(
        {**record.payload, "min_score": record.min_score, **times, "input_sha256": record.input_sha256}
    )


def show_image(request: Request, result_id: ResultId) -> Response:
    """Show the stored copy of the picture: upright, sRGB, without metadata."""
    return _picture(services_of(request).store.image(result_id))


def show_thumbnail(request: Request, result_id: ResultId) -> Response:
    """Show a small copy, at most 320 pixels wide or high."""
    return _picture(services_of(request).store.thumbnail(result_id))


async def show_annotated(
    request: Request, result_id: ResultId, min_score: MinScore = None, labels: Labels = None
) -> Response:
    """Show the picture with everything drawn on it; JPEG, or PNG for `Accept: image/png`."""
    services = services_of(request)
    kind = drawn_type(request.headers.get("accept", "").encode("latin-1", "replace")) or "image/jpeg"

    def draw() -> tuple[Result, bytes]:
        result = _shown(services, services.store.get(result_id), min_score, labels)
        return result, drawn(services, services.store.image(result_id), result, kind)

    with services.road.enter() as call:  # drawing takes a decoder as looking does, and waits in the same line
        outcome = (await services.run(request.receive, [draw], call))[0]
    if isinstance(outcome, Exception):
        raise outcome
    result, data = outcome
    name = f"{_stem(result)}-annotated.{kind.removeprefix('image/').replace('jpeg', 'jpg')}"
    return Response(data, media_type=kind, headers=_FRESH | {"vary": "Accept"} | _named(name, "inline"))


def delete_result(request: Request, result_id: ResultId) -> Response:
    """Delete a stored result, and its picture if no other result shows it."""
    services_of(request).store.remove(result_id)
    return Response(status_code=204)


def _export(suffix: str, kind: str, write: Callable[[Result, str], str]) -> Callable[..., Response]:
    def export(
        request: Request, result_id: ResultId, min_score: MinScore = None, labels: Labels = None
    ) -> Response:
        services = services_of(request)
        record = services.store.get(result_id)
        result = _shown(services, record, min_score, labels)
        written = write(result, record.input_sha256)
        name = f"{_stem(result)}.{suffix}"
        return Response(written, headers={"content-type": kind} | _FRESH | _named(name, "attachment"))

    export.__name__ = "export_" + suffix.replace(".", "_")
    export.__doc__ = f"Download a stored result as {suffix}, from `min_score` up and with `labels` only."
    return export


EXPORTS: Final[dict[str, tuple[str, Callable[[Result, str], str]]]] = {
    "coco.json": ("application/json", lambda result, _: coco.dumps([result])),
    "yolo.txt": ("text/plain; charset=utf-8", lambda result, _: yolo.write(result)),
    "classes.txt": ("text/plain; charset=utf-8", lambda result, _: yolo.classes(result.labels)),
    "voc.xml": ("application/xml", lambda result, _: voc.write(result)),
    "csv": ("text/csv; charset=utf-8", lambda result, digest: table.csv([result], {result.id: digest})),
    "json": ("application/json", lambda result, _: _text(native.to_json(result))),
}
"""Suffix -> media type and writer, which is also told the SHA-256 of what was sent.

Longer suffixes first: the first route that fits is taken.
"""


def _shown(services: Services, record: Record, min_score: float | None, labels: str | None) -> Result:
    wanted = frozenset(labels_of(labels)) if labels else None
    ask = Ask(min_score=record.min_score if min_score is None else min_score, labels=wanted)
    return native.from_json(select(dict(record.payload), ask), labels=_label_names(services, record))


def _label_names(services: Services, record: Record) -> tuple[str, ...]:
    """All labels of the model, as long as the same weights are still here; else those that occur."""
    model = record.payload["model"]
    with suppress(NotFound):
        for bundle in services.road.registry.versions(model["name"]):
            if bundle.digest == model["digest"] and not bundle.stages:  # whose rows have a stage's labels
                return bundle.labels
    return ()


def _picture(picture: Picture) -> Response:
    return Response(picture.data, media_type=picture.media_type, headers=_KEEP)


def _summary(services: Services, item: Summary) -> dict[str, Any]:
    return {
        "id": item.id,
        "source": item.source,
        **_times(services, item),
        "task": item.task,
        "model": {"name": item.model, "version": item.version},
        "image": {"width": item.width, "height": item.height},
        "min_score": item.min_score,
        "counts": dict(item.counts),
    }


def _times(services: Services, item: Summary) -> dict[str, str | None]:
    expires = services.store.expires(item.created)
    return {"created": _iso(item.created), "expires": None if expires is None else _iso(expires)}


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _stem(result: Result) -> str:
    """A file name for downloads: the source's letters and digits, or the id."""
    last = result.source.rpartition("/")[2].rpartition(".")[0]
    safe = "".join(sign if sign.isascii() and (sign.isalnum() or sign in "-_") else "-" for sign in last)
    return safe.strip("-")[:60] or result.id[:16]


def _named(name: str, how: str) -> dict[str, str]:
    return {"content-disposition": f'{how}; filename="{name}"'}


def _json(body: Any) -> Response:
    response = json_response(body)
    response.headers.update(_FRESH)
    return response


def _text(body: Any) -> str:
    return bytes(json_response(body).body).decode()


def _export_endpoints() -> tuple[Endpoint, ...]:
    return tuple(
        Endpoint(
            "GET",
            f"{_ONE}.{suffix}",
            _export(suffix, kind, write),
            "read",
            f"Export as {suffix}",
            "Results",
            also={200: {"description": "The export.", "content": {kind.partition(";")[0]: _BINARY}}},
            problems=("not_found", "bad_option", "busy"),
        )
        for suffix, (kind, write) in EXPORTS.items()
    )


def _pictures(also: tuple[str, ...]) -> dict[int | str, dict[str, Any]]:
    return {200: {"description": "The picture.", "content": dict.fromkeys(also, _BINARY)}}


_GONE: Final = ("not_found", "bad_option")

ENDPOINTS: Final = (
    Endpoint(
        "GET",
        "/api/v1/results",
        list_results,
        "read",
        "The history",
        "Results",
        HistoryBody,
        problems=("bad_option",),
    ),
    *_export_endpoints(),
    Endpoint(
        "GET",
        f"{_ONE}/image",
        show_image,
        "read",
        "The picture",
        "Results",
        also=_pictures(("image/jpeg", "image/png", "image/webp")),
        problems=_GONE,
    ),
    Endpoint(
        "GET",
        f"{_ONE}/thumbnail",
        show_thumbnail,
        "read",
        "A small picture",
        "Results",
        also=_pictures(("image/jpeg", "image/png", "image/webp")),
        problems=_GONE,
    ),
    Endpoint(
        "GET",
        f"{_ONE}/annotated",
        show_annotated,
        "read",
        "The annotated picture",
        "Results",
        also=_pictures(("image/jpeg", "image/png")),
        problems=(*_GONE, "busy", "picture_too_complex"),
    ),
    Endpoint("GET", _ONE, show_result, "read", "A stored result", "Results", StoredBody, problems=_GONE),
    Endpoint(
        "DELETE",
        _ONE,
        delete_result,
        "write",
        "Delete a stored result",
        "Results",
        also={204: {"description": "It is gone."}},
        problems=_GONE,
    ),
)
