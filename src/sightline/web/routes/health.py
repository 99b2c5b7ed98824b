"""Health for load balancers, metrics for Prometheus."""

import json
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from sightline.web.endpoint import Endpoint
from sightline.web.metrics import CONTENT_TYPE
from sightline.web.schemas import HealthBody
from sightline.web.services import services_of

_FRESH: Final = {"cache-control": "no-store"}


async def live() -> Response:
    """Say that the process answers; anything else means: restart it."""
    return _health("live", 200)


async def ready(request: Request) -> Response:
    """Say whether work may be sent here: not before the default model is warm, not once stopping."""
    phase = services_of(request).phase
    return _health(phase, 200 if phase == "ready" else 503)


async def metrics(request: Request) -> Response:
    """Give counters and histograms in Prometheus' text format."""
    services = services_of(request)
    services.metrics.running.set(services.running)
    return Response(services.metrics.text(), headers={"content-type": CONTENT_TYPE} | _FRESH)


def _health(status: str, code: int) -> Response:
    return Response(json.dumps({"status": status}), code, _FRESH, "application/json")


ENDPOINTS: Final = (
    Endpoint("GET", "/health/live", live, "public", "Is the process alive?", "Health", HealthBody),
    Endpoint(
        "GET",
        "/health/ready",
        ready,
        "public",
        "May work be sent here?",
        "Health",
        HealthBody,
        also={503: {"model": HealthBody, "description": "`starting` or `stopping`."}},
    ),
    Endpoint(
        "GET",
        "/metrics",
        metrics,
        "read",
        "Metrics for Prometheus",
        "Health",
        also={
            200: {
                "description": "Text format 0.0.4.",
                "content": {"text/plain": {"schema": {"type": "string"}}},
            }
        },
    ),
)
