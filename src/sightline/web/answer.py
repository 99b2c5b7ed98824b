"""One picture's way through the server: fetch if asked, look, keep if asked, draw if asked.

Plain synchronous functions for worker threads; the routes only receive and send.
"""

import hashlib
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any, Final

from sightline.formats import native
from sightline.serving.call import Call
from sightline.storage.records import Draft, Picture
from sightline.types import Ask, Result
from sightline.vision import codec
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
    upload = _fetched(services, upload) if upload.url else upload
    options = wish.options
    ask = _wide(options.ask) if options.store else options.ask
    call.check()
    result = services.road.predict(upload.data, source=upload.source, model=options.model, ask=ask, call=call)
    services.metrics.looked(result.model.digest, result.timing)
    body = native.to_json(result)
    if options.store:
        body = _kept(services, upload, body, options)
    picture = b""
    if wish.draw:
        shown = native.from_json(body, labels=result.labels) if options.store else result
        picture = services.road.decoder.draw(upload.data, shown, wish.draw)
    return Answer(body, picture)


def _fetched(services: Services, upload: Upload) -> Upload:
    from sightline.outbound import safe_fetch  # noqa: PLC0415 - the client library loads at the first fetch only

    max_bytes = int(services.settings.fetch_max_mb * 1024 * 1024)
    return replace(upload, data=safe_fetch(upload.url, services.settings, max_bytes=max_bytes).data)


def _wide(ask: Ask) -> Ask:
    """Everything above the floor, so that the stored answer can be filtered again without the model."""
    return Ask(
        min_score=min(FLOOR, FLOOR if ask.min_score is None else ask.min_score), max_results=RESULTS_MAX
    )


def _kept(services: Services, upload: Upload, body: dict[str, Any], options: Options) -> dict[str, Any]:
    """Store the whole answer; give back the part that was asked for."""
    thresholds = services.road.registry.resolve(options.model).manifest.thresholds
    min_score = thresholds.min_score if options.ask.min_score is None else options.ask.min_score
    shown = select(body, replace(options.ask, min_score=min_score, max_results=options.ask.max_results))
    digest = hashlib.sha256(upload.data).hexdigest()
    image, thumbnail = services.store.pictures_of(digest) or _pictures(services, upload.data)
    draft = Draft(
        id=body["id"],
        payload=body,
        min_score=min_score,
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
