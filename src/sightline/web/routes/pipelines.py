"""Pipelines: list, show, check, try, keep, give another second stage, remove, download."""

import asyncio
import io
import tomllib
import zipfile
from functools import partial
from typing import Annotated, Any, Final

from fastapi import Path, Query
from starlette.requests import Request
from starlette.responses import Response

from sightline.errors import BadOption, ModelRefused
from sightline.formats import native
from sightline.registry import CARD_FILE, PIPELINE_FILE, Bundle, Registry
from sightline.registry.pipeline_text import pipeline_fields, pipeline_text, toml_text
from sightline.serving.pipeline_check import Fault, examine, faults_in
from sightline.serving.pipelines import save, set_second
from sightline.web.endpoint import Routes
from sightline.web.intake import header, read_body
from sightline.web.pipeline_schemas import (
    CheckBody,
    PipelineDetail,
    PipelineListBody,
    PipelineWish,
    SecondWish,
)
from sightline.web.pipeline_wish import NAME, TRIAL, WHAT, given_of, json_body, trial_form
from sightline.web.routes.predict import json_response
from sightline.web.schemas import ResultBody
from sightline.web.services import services_of
from sightline.web.wishes import read_wish

PIPELINES: Final = "/api/v1/pipelines"
Name = Annotated[str, Path(max_length=100, description="`name`, or `name@version`.")]
_FRESH: Final = {"cache-control": "private, no-cache"}


def list_pipelines(request: Request) -> Response:
    """List the active version of every pipeline, and what keeps one from working now."""
    registry = services_of(request).road.registry
    found = [_about(registry, bundle) for bundle in registry.list() if bundle.manifest.pipeline]
    return _json({"pipelines": found})


def show_pipeline(request: Request, name: Name) -> Response:
    """Show one pipeline: stages, numbers, the text of its file, its card."""
    registry = services_of(request).road.registry
    return _json(_detail(registry, _find(registry, name)))


def download_pipeline(request: Request, name: Name) -> Response:
    """Download a pipeline as a zip that `sightline models import` takes; its models are not in it."""
    bundle = _find(services_of(request).road.registry, name)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(PIPELINE_FILE, pipeline_text(bundle.manifest))
        if bundle.card:
            archive.writestr(CARD_FILE, bundle.card)
    called = f'attachment; filename="{bundle.name}-{bundle.version}.zip"'
    headers = _FRESH | {"content-disposition": called}
    return Response(packed.getvalue(), media_type="application/zip", headers=headers)


async def check_pipeline(request: Request) -> Response:
    """Check a pipeline without keeping it: every fault with its field, and the text of its file."""
    given = await given_of(request)
    registry = services_of(request).road.registry
    return _json(await asyncio.to_thread(_checked, registry, given))


async def create_pipeline(request: Request) -> Response:
    """Keep a pipeline, checked as the command line does. A name that is taken gets the next version."""
    given = await given_of(request)
    registry = services_of(request).road.registry
    bundle = await asyncio.to_thread(_kept, registry, given)
    response = _json(await asyncio.to_thread(_detail, registry, bundle))
    response.status_code = 201
    response.headers["location"] = f"{PIPELINES}/{bundle.name}"
    return response


async def test_pipeline(request: Request) -> Response:
    """Look at a picture with a pipeline that is not kept: a form with a file `image`, and a field.

    The field is `pipeline` (JSON) or `toml` (text). Nothing is stored.
    """
    services = services_of(request)
    with services.receiving() as ticket:
        body = await read_body(request.scope, request.receive, services.settings, ticket)
        kind = header(request.scope, b"content-type")
        name, data, given = await asyncio.to_thread(trial_form, kind, body)
        bundle = await asyncio.to_thread(_usable, services.road.registry, given)
        with services.road.enter() as call:
            look = partial(services.road.try_out, bundle, data, source=name, call=call)
            (found,) = await services.run(request.receive, [look], call)
    if isinstance(found, Exception):
        raise found
    return _json(native.to_json(found))


async def replace_second_stage(request: Request) -> Response:
    """Give a pipeline another second stage, a classifier that is here: its next version answers then."""
    wish = await read_wish(request, SecondWish, WHAT)
    registry = services_of(request).road.registry
    name = request.path_params["name"][:100]
    change = partial(set_second, registry, name, wish.model, verdicts=wish.verdicts, sure=wish.sure)
    bundle = await asyncio.to_thread(change)
    return _json(await asyncio.to_thread(_detail, registry, bundle))


def delete_pipeline(
    request: Request,
    name: Name,
    version: Annotated[str, Query(max_length=40, description="Only this one; empty: all of yours.")] = "",
) -> Response:
    """Remove a pipeline that was made here; its models stay. What ships with Sightline stays, too."""
    registry = services_of(request).road.registry
    bundle = _find(registry, name)
    one = version or (bundle.version if "@" in name else None)
    registry.remove(bundle.name, one)
    return Response(status_code=204)


def _find(registry: Registry, name: str) -> Bundle:
    bundle = registry.find(name)
    if bundle.manifest.pipeline is None:
        raise BadOption(f"{bundle.reference} is a model and no pipeline.", next_step=f"GET {PIPELINES}.")
    return bundle


def _about(registry: Registry, bundle: Bundle) -> dict[str, Any]:
    manifest, pipeline = bundle.manifest, bundle.manifest.pipeline
    assert pipeline is not None
    versions = registry.versions(bundle.name)
    titles = pipeline.verdicts.titles
    return {
        "name": bundle.name,
        "version": bundle.version,
        "title": bundle.title,
        "description": manifest.description,
        "licence": manifest.licence,
        "digest": bundle.digest,
        "bundled": bundle.bundled,
        "removable": not all(one.bundled for one in versions),
        "versions": [one.version for one in versions],
        "first": pipeline.first.model,
        "first_labels": list(pipeline.first.labels),
        "second": pipeline.second.model or None,
        "verdicts": [{"name": name, "title": titles.get(name, name)} for name in pipeline.names],
        "faults": [_fault(one) for one in faults_in(manifest, registry)],
    }


def _detail(registry: Registry, bundle: Bundle) -> dict[str, Any]:
    manifest = bundle.manifest
    more = {"toml": pipeline_text(manifest), "pipeline": pipeline_fields(manifest), "card": bundle.card}
    return _about(registry, bundle) | more


def _checked(registry: Registry, given: dict[str, Any]) -> dict[str, Any]:
    manifest, faults = examine(given, registry)
    return {
        "ok": not faults,
        "faults": [_fault(one) for one in faults],
        "toml": pipeline_text(manifest) if manifest else _as_it_stands(given),
        "pipeline": pipeline_fields(manifest) if manifest else None,
    }


def _as_it_stands(given: dict[str, Any]) -> str | None:
    """What is not a pipeline yet, written down all the same, for people who are in the middle of it."""
    try:
        text = toml_text(given)
        tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError, TypeError, AttributeError):
        return None
    return text


def _usable(registry: Registry, given: dict[str, Any]) -> Bundle:
    manifest, faults = examine(given, registry)
    if manifest is None or faults:
        raise ModelRefused(faults[0].message, next_step=faults[0].next_step)
    return Bundle(manifest, registry.root / manifest.name)


def _kept(registry: Registry, given: dict[str, Any]) -> Bundle:
    return save(_usable(registry, given).manifest, registry)


def _fault(fault: Fault) -> dict[str, str]:
    return {"field": fault.field, "message": fault.message, "next_step": fault.next_step}


def _json(body: dict[str, Any]) -> Response:
    response = json_response(body)
    response.headers.update(_FRESH)
    return response


_route: Final = Routes("Pipelines")
_ONE: Final = f"{PIPELINES}/{{name}}"
_BODY: Final = ("bad_option", "request_timeout", "body_too_large", "unsupported_media_type", "busy")
_ZIP: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "`pipeline.toml` and its card.",
        "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}},
    }
}
_LOOKING: Final = (
    "not_a_picture",
    "picture_too_large",
    "picture_too_complex",
    "not_found",
    "model_failed",
    "model_refused",
    "deadline_exceeded",
)
ENDPOINTS: Final = (
    _route("GET", PIPELINES, list_pipelines, "read", "List pipelines", PipelineListBody, "busy"),
    _route(
        "POST",
        PIPELINES,
        create_pipeline,
        "write",
        "Keep a pipeline",
        None,
        *_BODY,
        "model_refused",
        "storage_full",
        also={201: {"model": PipelineDetail, "description": "It answers from now on."}},
        extra=json_body(PipelineWish),
        by_hand=True,
    ),
    _route(
        "POST",
        f"{PIPELINES}/check",
        check_pipeline,
        "read",
        "Check a pipeline",
        CheckBody,
        *_BODY,
        extra=json_body(PipelineWish),
        by_hand=True,
    ),
    _route(
        "POST",
        f"{PIPELINES}/test",
        test_pipeline,
        "infer",
        "Try a pipeline",
        ResultBody,
        *_BODY,
        *_LOOKING,
        extra=TRIAL,
        by_hand=True,
    ),
    _route(
        "GET",
        _ONE,
        show_pipeline,
        "read",
        "Show a pipeline",
        PipelineDetail,
        "not_found",
        "bad_option",
        "busy",
    ),
    _route(
        "GET",
        f"{_ONE}/bundle",
        download_pipeline,
        "read",
        "Download a pipeline",
        None,
        "not_found",
        "bad_option",
        "busy",
        also=_ZIP,
    ),
    _route(
        "POST",
        f"{_ONE}/second",
        replace_second_stage,
        "write",
        "Replace the second stage",
        PipelineDetail,
        *_BODY,
        "not_found",
        "model_refused",
        "storage_full",
        extra={"parameters": [NAME], **json_body(SecondWish)},
        by_hand=True,
    ),
    _route(
        "DELETE",
        _ONE,
        delete_pipeline,
        "write",
        "Remove a pipeline",
        None,
        "not_found",
        "bad_option",
        "busy",
        also={204: {"description": "It is gone."}},
    ),
)
