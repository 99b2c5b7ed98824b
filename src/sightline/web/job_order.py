"""From a request to a job: what is asked for, checked before anything is submitted."""

import asyncio
import re
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import ValidationError
from starlette.requests import Request

from sightline.errors import BadOption, Busy, Conflict, NotFound
from sightline.jobs.inputs import (
    LIST_TYPE,
    PREDICT,
    Inputs,
    PredictOrder,
    listed_name,
    pictures_blob,
    shared_name,
    urls_blob,
)
from sightline.jobs.orders import LIMITS_S, blobs_of, kind_of, to_json
from sightline.jobs.orders import Order as WholeOrder
from sightline.jobs.video import LIMIT_S, SIDE, VIDEO, VideoOrder
from sightline.serving import keeping
from sightline.storage.job_kept import Job
from sightline.storage.kept import Picture
from sightline.types import Ask
from sightline.web.intake import header, read_body, shown_address
from sightline.web.job_schemas import InputsWish, JobWish, OptionsWish
from sightline.web.job_whole import WHOLE, KindWish, check_whole, from_form, whole_of
from sightline.web.options import Options, options_of
from sightline.web.problems import BodyTooLarge, KeyReused, complaint
from sightline.web.services import Services, Ticket
from sightline.web.uploads import Arrived, Kept, clean_path, names_of, receive_files

JSON_BYTES: Final = 4 * 1024 * 1024
"""Enough for the names of 20,000 uploads."""
_OWN: Final = frozenset({"kind", "priority", "every", "side", "options"})
_KEY: Final = re.compile(rb"[\x21-\x7e]{1,200}")


@dataclass(frozen=True, slots=True)
class Order:
    """What is wanted, before it is a job."""

    pictures: list[tuple[str, str]] = field(default_factory=list)
    """(digest, name); a name that ends in ``.zip`` stands for what is in it."""
    urls: list[str] = field(default_factory=list)
    prefix: str = ""
    options: Options = field(default_factory=Options)
    priority: int = 0
    whole: WholeOrder | None = None
    """Work of one piece: an evaluation, an import, a training run."""
    video: Kept | None = None
    every_s: float = 0.0
    side: int = SIDE
    """Of videos: seconds between two frames, and the longest side of the film."""


async def submit(request: Request, services: Services, ticket: Ticket) -> Job:
    """Read a request, and submit what it asks for.

    Raises:
        SightlineError: Whatever is wrong with it, or with the place it would get.
    """
    key = _key(header(request.scope, b"idempotency-key"))
    ledger = await asyncio.to_thread(lambda: services.ledger)
    waiting = await asyncio.to_thread(lambda: ledger.page(state="queued", limit=1).total)
    if waiting >= services.settings.jobs_max and not key:  # with a key it may be there already
        raise Busy(f"{waiting} jobs are waiting, which is the most that may.", retry_after_s=30)
    kind = header(request.scope, b"content-type").partition(b";")[0].strip().lower()
    if kind == b"application/json":
        order = await _from_json(request, services, ticket)
    else:
        order = _from_form(request, await receive_files(request.scope, request.receive, services, ticket))
    return await asyncio.to_thread(_submit, services, order, key)


def _key(raw: bytes) -> str | None:
    if not raw:
        return None
    if not _KEY.fullmatch(raw):
        raise BadOption("Idempotency-Key must be 1 to 200 visible ASCII characters.")
    return raw.decode("ascii")


async def _from_json(request: Request, services: Services, ticket: Ticket) -> Order:
    if request.scope["query_string"]:
        raise BadOption("The options of a JSON request stand in its `options`, not in the query.")
    body = await read_body(request.scope, request.receive, services.settings, ticket)
    if len(body) > JSON_BYTES:
        raise BodyTooLarge(f"The JSON of a job may have {JSON_BYTES >> 20} MiB.")
    try:
        return await asyncio.to_thread(_from_wish, body, services.settings.job_pictures_max)
    except ValidationError as error:
        raise complaint(error, "a job") from error


def _from_wish(body: bytes, most: int) -> Order:
    kind = KindWish.model_validate_json(body).kind
    if kind == PREDICT:
        return _order(JobWish.model_validate_json(body), most)
    whole, priority = whole_of(kind, body)
    return Order(whole=whole, priority=priority)


def _order(wish: JobWish, most: int) -> Order:
    inputs = wish.inputs
    given = [name for name in InputsWish.model_fields if getattr(inputs, name) is not None]
    if len(given) != 1:
        raise BadOption(f"inputs must have exactly one of {', '.join(InputsWish.model_fields)}.")
    uploads = inputs.uploads or []
    if len(uploads) > most or len(inputs.urls or []) > most:
        raise BadOption(f"A job may have {most} pictures.", next_step="Make several jobs of them.")
    kept = [Kept(one.id, _no_zip(clean_path(one.name)), 0) for one in uploads]
    pictures = list(names_of(kept))
    if inputs.archive is not None:
        pictures = [(inputs.archive.id, zip_name(clean_path(inputs.archive.name)))]
    return Order(pictures, inputs.urls or [], inputs.prefix or "", _options(wish.options), wish.priority)


def _options(wish: OptionsWish) -> Options:
    labels = frozenset(wish.labels) if wish.labels else None
    return Options(Ask(wish.min_score, wish.max_results, labels, wish.size), wish.model or None)


def _from_form(request: Request, arrived: Arrived) -> Order:
    own = {name: value for name, value in arrived.fields if name in _OWN}
    if own.get("kind") in WHOLE or arrived.bundle is not None:
        query = request.scope["query_string"]
        return Order(whole=from_form(arrived, query), priority=_priority(own.get("priority", "0")))
    if "options" in own:
        raise BadOption("The options of pictures and videos are fields of their own, or stand in the query.")
    kind = VIDEO if arrived.video is not None else PREDICT
    if own.get("kind", kind) != kind:
        raise BadOption(f"kind must be {kind!r} for these files, got {own['kind'][:60]!r}.")
    rest = [(name, value) for name, value in arrived.fields if name not in own]
    options = options_of(request.scope["query_string"], rest)
    if options.store or options.capture:
        raise BadOption("A job keeps its results and is of no camera; `store` and `capture` do not apply.")
    if arrived.video is not None:
        return _video(arrived, own, options)
    pictures = list(names_of([Kept(one.id, _no_zip(one.name), 0) for one in arrived.pictures]))
    if arrived.archive is not None:
        pictures.append((arrived.archive.id, zip_name(arrived.archive.name)))
    if not pictures:
        raise BadOption("The form has no files named 'image' and no file named 'archive' or 'video'.")
    return Order(pictures, options=options, priority=_priority(own.get("priority", "0")))


def _video(arrived: Arrived, own: dict[str, str], options: Options) -> Order:
    if arrived.pictures or arrived.archive is not None:
        raise BadOption("A form holds a video or pictures, not both.", next_step="Make two jobs of them.")
    try:
        every_s, side = float(own.get("every", "0")), int(own.get("side", str(SIDE)))
    except ValueError as error:
        raise BadOption("every must be a number of seconds, and side a number of pixels.") from error
    VideoOrder("blob", "", "", every_s=every_s, side=side)  # says what is off
    priority = _priority(own.get("priority", "0"))
    return Order(video=arrived.video, every_s=every_s, side=side, options=options, priority=priority)


def _priority(text: str) -> int:
    if not re.fullmatch(r"-?[0-9]{1,3}", text):
        raise BadOption(f"priority must be -100 to 100, got {text[:60]!r}.")
    return int(text)


def zip_name(name: str) -> str:
    """What an archive is called."""
    return name if name.lower().endswith(".zip") else f"{name or 'archive'}.zip"


def _no_zip(name: str) -> str:
    """A picture that is called like a zip is still a picture."""
    return f"{name}_" if name.lower().endswith(".zip") else name


def _submit(services: Services, order: Order, key: str | None) -> Job:
    ledger = services.ledger
    if order.whole is not None:
        check_whole(services, order.whole)
    else:  # says what is off before anything runs
        keeping.wanted(services.road, order.options.model, order.options.ask)
    kind, payload, total, blobs, limit_s = _job(services, order)
    try:
        return ledger.submit(
            kind,
            payload,
            priority=order.priority,
            total=total,
            idempotency_key=key,
            limit_s=limit_s,
            blobs=blobs,
        )
    except Conflict as error:
        raise KeyReused(error.message) from error
    except NotFound as error:
        raise BadOption(
            "One of the uploads is not here (any more): they are kept for an hour without a job.",
            next_step="Send the files again.",
        ) from error


def _job(services: Services, order: Order) -> tuple[str, dict[str, Any], int, list[str], float | None]:
    """Kind, payload, how much there is to do, the blobs it needs, and how long one attempt may take."""
    if order.whole is not None:
        kind = kind_of(order.whole)
        return kind, to_json(order.whole), 0, blobs_of(order.whole), LIMITS_S[kind]
    options = order.options
    if order.video is not None:
        name = order.video.name or "video"
        wish = VideoOrder("blob", order.video.id, name, options.model, options.ask, order.every_s, order.side)
        return VIDEO, wish.to_json(), 0, [order.video.id], LIMIT_S
    inputs, blobs = _inputs(services, order)
    return PREDICT, PredictOrder(inputs, options.model, options.ask).to_json(), inputs.count, blobs, None


def _inputs(services: Services, order: Order) -> tuple[Inputs, list[str]]:
    if order.prefix:
        from sightline.storage import prefixes  # noqa: PLC0415 - its library loads when one is named

        prefixes.check(order.prefix, services.settings.job_prefixes)
        return Inputs("prefix", place=order.prefix, name=order.prefix[:200]), []
    ledger = services.ledger
    if order.urls:
        listed = ledger.keep(Picture(urls_blob(order.urls), LIST_TYPE))
        called = listed_name([shown_address(url) for url in order.urls[:3]])
        return Inputs("urls", listed, len(order.urls), name=called), [listed]
    listed = ledger.keep(Picture(pictures_blob(order.pictures), LIST_TYPE))
    zipped = any(name.lower().endswith(".zip") for _, name in order.pictures)
    count = 0 if zipped else len(order.pictures)
    called = shared_name([name for _, name in order.pictures])
    return Inputs("pictures", listed, count, name=called), [listed, *(digest for digest, _ in order.pictures)]
