"""The models that can be asked: what they are, how they run here, how fast."""

from dataclasses import asdict
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from sightline.errors import SightlineError
from sightline.registry import Bundle
from sightline.runtime.choose import Choice
from sightline.web.endpoint import Endpoint
from sightline.web.routes.predict import json_response
from sightline.web.schemas import ModelDetail, ModelList
from sightline.web.services import Services, services_of


def list_models(request: Request) -> Response:
    """List the active version of every model."""
    services = services_of(request)
    default = _default(services)
    return json_response(
        {"models": [_summary(services, bundle, default) for bundle in services.road.registry.list()]}
    )


def show_model(request: Request, name: str) -> Response:
    """Show one model: card, labels, input, versions, the engine that was chosen for it here, its speed."""
    services = services_of(request)
    bundle = services.road.registry.find(name)
    manifest = bundle.manifest
    body = _summary(services, bundle, _default(services)) | {
        "versions": [other.version for other in services.road.registry.versions(bundle.name)],
        "label_names": list(manifest.labels),
        "created": manifest.created,
        "initialisation": manifest.initialisation,
        "card": bundle.card,
        "input": manifest.input.model_dump(mode="json"),
        "head": manifest.head.kind,
        "engine": _engine(services, bundle),
        "speed": services.metrics.speed_of((bundle.digest, manifest.input.size)),
    }
    return json_response(body)


def _summary(services: Services, bundle: Bundle, default: str) -> dict[str, Any]:
    manifest, running = bundle.manifest, _engine(services, bundle)
    return {
        "name": manifest.name,
        "version": manifest.version,
        "title": manifest.title or manifest.name,
        "description": manifest.description,
        "task": manifest.task,
        "labels": len(manifest.labels),
        "sizes": list(manifest.input.sizes),
        "default_size": manifest.input.size,
        "licence": manifest.licence,
        "origin": manifest.origin,
        "bytes": bundle.size,
        "variants": [item.model_dump(mode="json") for item in manifest.variants],
        "digest": manifest.digest,
        "bundled": bundle.bundled,
        "default": manifest.name == default,
        "loaded": running is not None,
        "precision": running["precision"] if running else None,
        "metrics": manifest.metrics,
        "min_score": manifest.thresholds.min_score,
    }


def _engine(services: Services, bundle: Bundle) -> dict[str, Any] | None:
    """The engine that runs the model now, and what it was chosen from."""
    for item in services.road.pool.loaded():
        if (item.bundle.reference, item.bundle.digest) == (bundle.reference, bundle.digest):
            return asdict(item.engine.info) | {"trial": _trial(item.choice)}
    return None


def _trial(choice: Choice) -> list[dict[str, Any]]:
    """What was measured before the engine was chosen."""
    return [asdict(measurement) for measurement in choice.measurements]


def _default(services: Services) -> str:
    try:
        return services.road.registry.resolve(None).name
    except SightlineError:  # none yet, or it is damaged: then there is none
        return ""


ENDPOINTS: Final = (
    Endpoint(
        "GET", "/api/v1/models", list_models, "read", "List models", "Models", ModelList, problems=("busy",)
    ),
    Endpoint(
        "GET",
        "/api/v1/models/{name}",
        show_model,
        "read",
        "Show a model",
        "Models",
        ModelDetail,
        problems=("not_found", "bad_option", "busy"),
    ),
)
