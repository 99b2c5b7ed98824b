"""The application: routes, gate and road put together."""

import asyncio
import contextlib
import gc
import logging
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Final

from fastapi import FastAPI
from fastapi.middleware.asyncexitstack import AsyncExitStackMiddleware
from fastapi.telemetry import TelemetryConfig
from starlette.types import ASGIApp

from sightline import __version__
from sightline.errors import SightlineError
from sightline.settings import Settings
from sightline.storage.outage import Outage
from sightline.web.document import complete
from sightline.web.endpoint import register
from sightline.web.gate import Gate
from sightline.web.guards import HostList
from sightline.web.journal import Journal
from sightline.web.keys import Keyring, load_secret, needs_key
from sightline.web.routes import (
    alerts,
    health,
    job_files,
    job_items,
    jobs,
    live,
    models,
    pages,
    pipelines,
    predict,
    results,
    rules,
    samples,
    watches,
)
from sightline.web.services import Services

if TYPE_CHECKING:
    from sightline.serving.road import Road

_log = logging.getLogger(__name__)

ENDPOINTS: Final = (
    *predict.ENDPOINTS,
    *live.ENDPOINTS,
    *models.ENDPOINTS,
    *results.ENDPOINTS,
    *jobs.ENDPOINTS,
    *job_items.ENDPOINTS,
    *job_files.ENDPOINTS,
    *pipelines.ENDPOINTS,
    *rules.ENDPOINTS,
    *alerts.ENDPOINTS,
    *watches.ENDPOINTS,
    *samples.ENDPOINTS,
    *health.ENDPOINTS,
    *pages.ENDPOINTS,
)
_SILENT: Final[TelemetryConfig] = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "auto_configure": False,
}
"""Nothing leaves this machine: FastAPI would report to whatever address the environment names."""
_PRUNE_S: Final = 600.0
_CARRY_S: Final = 3.0


def create_app(settings: Settings, road: "Road | None" = None, *, journal: Journal | None = None) -> FastAPI:
    """Build the application; its lifespan opens the road (unless one is given) and closes it.

    Raises:
        ConfigError: The data folder's secret is weak, or others may read it.
    """
    keyring = Keyring(load_secret(settings.data_path) if needs_key(settings) else "")
    services = Services(settings, keyring, HostList(settings))
    services.journal = journal or services.journal
    app = _Application(
        title="Sightline",
        version=__version__,
        description="Send a picture, get what is in it. Refusals are `application/problem+json` (RFC 9457).",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_lifespan(services, road),
        telemetry=_SILENT,
    )
    app.state.services = services
    register(app, ENDPOINTS)
    complete(app)
    return app


class _Application(FastAPI):
    """FastAPI with our gate in place of its middleware: one place answers errors, at less cost."""

    def build_middleware_stack(self) -> ASGIApp:
        return Gate(AsyncExitStackMiddleware(self.router), self.state.services)


def _lifespan(services: Services, given: "Road | None") -> Any:
    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        road = given if given is not None else await asyncio.to_thread(_open_road, services.settings)
        services.open(road)
        carried = asyncio.create_task(_carry(services))
        chores = [asyncio.create_task(_warm(services)), asyncio.create_task(_prune(services)), carried]
        # Who asks at once must find the watches of before; a database that is away is not waited for longer.
        await asyncio.wait({carried}, timeout=_CARRY_S)
        try:
            yield
        finally:
            for chore in chores:
                chore.cancel()
            await asyncio.gather(*chores, return_exceptions=True)
            await asyncio.to_thread(services.close)
            if given is None:
                await asyncio.to_thread(road.close)

    return lifespan


def _open_road(settings: Settings) -> "Road":
    from sightline.serving.road import Road  # noqa: PLC0415 - the engines load when serving begins

    return Road.open(settings, tune=True)


async def _warm(services: Services) -> None:
    """Load the default model, then say ready; a server without models is ready too: they can be added."""
    try:
        await asyncio.to_thread(services.road.load, None)
    except SightlineError as error:
        services.journal.write("warm", problem=error.code, detail=error.message)
    except Exception as error:  # noqa: BLE001 - the requests that need the model will say it again
        services.journal.failure("", error)
    gc.collect()
    gc.freeze()  # what startup made stays: the collector need not walk over it during requests
    if services.phase == "starting":
        services.phase = "ready"


def _prune_once(services: Services) -> None:
    gone = services.store.prune()
    if gone:
        services.journal.write("pruned", results=gone)
    ended = services.ledger.expire()  # here too: workers may be none, idle, or on another machine
    if ended:
        services.journal.write("pruned", jobs=ended)


def _go_on(services: Services) -> None:
    services.rules.start()
    services.watches.start()


async def _carry(services: Services) -> None:
    """Go on with what rules had to say, and with what was watched, when the last server stopped."""
    outage = Outage(_log, "Rules and watches wait")
    while services.has_results:
        try:
            await asyncio.to_thread(_go_on, services)
        except Exception as error:  # noqa: BLE001 - a database that is away may be back in a moment
            await asyncio.sleep(outage.failed(error))
        else:
            outage.worked()
            return


async def _prune(services: Services) -> None:
    """Delete what has passed its retention, now and every ten minutes."""
    outage = Outage(_log, "Pruning waits")
    while True:
        try:
            if services.has_results:
                await asyncio.to_thread(_prune_once, services)
        except Exception as error:  # noqa: BLE001 - a chore that fails is logged and tried again
            outage.failed(error)
        else:
            outage.worked()
        await asyncio.sleep(_PRUNE_S)
