"""One picture's way through the server: look, keep if asked, draw if asked; and fetch before it.

Plain synchronous functions for worker threads; the routes only receive and send.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sightline.errors import SightlineError
from sightline.formats import native
from sightline.formats.selection import narrowed
from sightline.serving import keeping
from sightline.serving.call import Call
from sightline.storage.kept import Picture
from sightline.types import Result
from sightline.web.intake import Upload
from sightline.web.options import Options
from sightline.web.services import Services

if TYPE_CHECKING:
    from sightline.rules import Alert


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked of each picture of one request."""

    options: Options
    draw: str = ""
    """Media type of the annotated picture, or empty for JSON."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The JSON and, if asked, the annotated picture."""

    body: dict[str, Any]
    picture: bytes = b""


def answer(services: Services, upload: Upload, wish: Wish, call: Call) -> Answer:
    """Look at one picture.

    Raises:
        SightlineError: Whatever the road, the fetch or the store has against it.
    """
    options = wish.options
    narrow = ask = options.ask
    if options.store:
        wanted = keeping.wanted(services.road, options.model, ask)  # says what is off before anything runs
        ask, narrow = wanted.wide, wanted.narrow
    call.check()
    result = services.road.predict(upload.data, source=upload.source, model=options.model, ask=ask, call=call)
    services.metrics.looked((result.model.digest, result.size), result.engine, result.timing)
    body = native.to_json(result)
    if options.store:
        body = keeping.keep(services.road, services.store, upload.data, body, narrow)
        services.metrics.stored.inc()
        result = narrowed(result, narrow)  # what was asked for is what is drawn, and what rules hear of
    picture = b""
    if wish.draw:
        picture = services.road.decoder.draw(upload.data, result, wish.draw)
    if options.capture:
        body["alerts"] = [alert.to_json() for alert in _alerts(services, options.capture, result)]
    return Answer(body, picture)


def _alerts(services: Services, camera: str, result: Result) -> tuple["Alert", ...]:
    """Tell the rules what a camera saw. That they cannot be followed is no reason to answer nothing."""
    if not services.has_results:
        return ()
    try:
        return services.rules.seen(camera, result, page=True)
    except SightlineError as error:
        services.journal.write("rules", problem=error.code, detail=error.message)
        return ()


def fetched(services: Services, upload: Upload, call: Call) -> Upload:
    """An upload that is only an address, with the bytes that are there.

    Raises:
        FetchRefused: The address is not one that is fetched from, or what is there cannot be had.
    """
    from sightline.outbound import safe_fetch  # noqa: PLC0415 - TLS loads at the first fetch only

    call.check()
    return replace(upload, data=safe_fetch(upload.url, services.settings).data)


def drawn(services: Services, picture: Picture, result: Result, media_type: str) -> bytes:
    """An annotated copy of a stored picture."""
    return services.road.decoder.draw(picture.data, result, media_type)
