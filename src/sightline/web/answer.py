"""One picture's way through the server: look, keep if asked, draw if asked; and fetch before it.

Plain synchronous functions for worker threads; the routes only receive and send.
"""

import hashlib
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any, Final

from sightline.formats import native
from sightline.serving.call import Call
from sightline.storage.kept import Draft, Picture
from sightline.types import Ask, Result
from sightline.vision import codec, heads
from sightline.web.intake import Upload
from sightline.web.options import RESULTS_MAX, Options
from sightline.web.selection import select
from sightline.web.services import Services

FLOOR: Final = 0.05
"""Scores below this are not stored; the page's slider ends here."""
THUMBNAIL_SIDE: Final = 320


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
        narrow = _narrow(services, options)  # says what is off before anything runs
        least = min(FLOOR, narrow.min_score or 0)
        ask = Ask(min_score=least, max_results=RESULTS_MAX, size=options.ask.size)
    call.check()
    result = services.road.predict(upload.data, source=upload.source, model=options.model, ask=ask, call=call)
    services.metrics.looked((result.model.digest, result.size), result.engine, result.timing)
    body = native.to_json(result)
    if options.store:
        body = _kept(services, upload, body, narrow)
    picture = b""
    if wish.draw:
        shown = native.from_json(body, labels=result.labels) if options.store else result
        picture = services.road.decoder.draw(upload.data, shown, wish.draw)
    return Answer(body, picture)


def fetched(services: Services, upload: Upload, call: Call) -> Upload:
    """An upload that is only an address, with the bytes that are there.

    Raises:
        FetchRefused: The address is not one that is fetched from, or what is there cannot be had.
    """
    from sightline.outbound import safe_fetch  # noqa: PLC0415 - TLS loads at the first fetch only

    call.check()
    return replace(upload, data=safe_fetch(upload.url, services.settings).data)


def _narrow(services: Services, options: Options) -> Ask:
    """What was asked for, with the model's own thresholds where nothing was.

    Raises:
        BadOption: The model has no such label.
    """
    need = heads.need(services.road.registry.resolve(options.model).manifest, options.ask)
    return Ask(need.min_score, need.max_results, options.ask.labels)


def _kept(services: Services, upload: Upload, body: dict[str, Any], ask: Ask) -> dict[str, Any]:
    """Store everything above the floor, so that it can be filtered again; give back what was asked for."""
    shown = select(body, ask)
    digest = hashlib.sha256(upload.data).hexdigest()
    image, thumbnail = services.store.pictures_of(digest) or _pictures(services, upload.data)
    draft = Draft(
        id=body["id"],
        payload=body,
        min_score=ask.min_score or 0.0,
        counts=dict(Counter(found["label"] for found in shown["predictions"])),
        input_sha256=digest,
        image=image,
        thumbnail=thumbnail,
    )
    services.store.keep(draft)
    services.metrics.stored.inc()
    return shown


def _pictures(services: Services, data: bytes) -> tuple[Picture, Picture]:
    """The copy that is served (upright, sRGB, no EXIF) and its small sister."""
    decoder = services.road.decoder
    clean = decoder.clean(data)
    small = decoder.thumbnail(clean.data, THUMBNAIL_SIDE)
    return Picture(clean.data, clean.media_type), Picture(small, f"image/{codec.sniff(small)}")


def drawn(services: Services, picture: Picture, result: Result, media_type: str) -> bytes:
    """An annotated copy of a stored picture."""
    return services.road.decoder.draw(picture.data, result, media_type)
