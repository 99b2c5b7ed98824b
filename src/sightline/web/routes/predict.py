"""``POST /api/v1/predict``: the hot path, by hand.

FastAPI only documents it: the body is streamed with a byte count, parsed in one pass, and answered with
ready bytes. A picture that fails does not fail the others of its request.
"""

import asyncio
import json
from functools import partial
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive

from sightline.errors import BadOption
from sightline.web.answer import Answer, Wish, answer, fetched
from sightline.web.door import PREDICT
from sightline.web.endpoint import Endpoint
from sightline.web.intake import JSON_BYTES, Parts, Upload, header, read_body, read_uploads
from sightline.web.options import options_of
from sightline.web.predict_doc import EXTRA, RESPONSES
from sightline.web.problems import problem_of
from sightline.web.schemas import ManyBody, ResultBody
from sightline.web.services import Services, Ticket, arrived, services_of

_ENCODE: Final = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
DRAWN: Final = ("image/jpeg", "image/png")


async def predict(request: Request) -> Response:
    """Send a picture, get what is in it.

    The body is a form with one or more files `image`, the bytes of one picture with its image content
    type, or JSON with a `url` to fetch or an `image` in base64. One picture is answered with one result;
    several with `{"results": […]}`, where a picture that failed has a problem in its place. With
    `Accept: image/jpeg` or `image/png` the answer is the picture with everything drawn on it.
    """
    services = services_of(request)
    scope, receive = request.scope, request.receive
    options = options_of(scope["query_string"])
    with services.receiving() as ticket:
        body = await read_body(scope, receive, services.settings, ticket)
        uploads, fields = await _read(header(scope, b"content-type"), body, services)
        del body
        if fields:
            options = options_of(scope["query_string"], fields)
        wish = Wish(options, drawn_type(header(scope, b"accept")))
        if wish.draw and len(uploads) > 1:
            raise BadOption("An annotated picture can be asked for one picture at a time.")
        if uploads[0].url:  # the only one then
            arrived(scope)
            uploads = [await _fetch(services, receive, uploads[0], ticket)]
        with services.road.enter() as call:
            arrived(scope)
            work = [partial(answer, services, upload, wish, call) for upload in uploads]
            outcomes = await services.run(receive, work, call)
    return _response(services, scope["request_id"], outcomes, wish.draw)


def _response(services: Services, request_id: str, outcomes: list[Answer | Exception], draw: str) -> Response:
    if len(outcomes) == 1:
        only = outcomes[0]
        if isinstance(only, Exception):
            raise only
        if draw:
            return Response(only.picture, media_type=draw)
        return json_response(only.body)
    return json_response({"results": [_item(services, request_id, outcome) for outcome in outcomes]})


async def _read(kind: bytes, body: bytes, services: Services) -> Parts:
    if len(body) <= JSON_BYTES:
        return read_uploads(kind, body, services.settings)
    return await asyncio.to_thread(read_uploads, kind, body, services.settings)


async def _fetch(services: Services, receive: Receive, upload: Upload, ticket: Ticket) -> Upload:
    """Before the road: a slow server of somebody else must not take the places of pictures."""
    with services.waiting() as call:
        found = (await services.run(receive, [partial(fetched, services, upload, call)], call, waits=True))[0]
    if isinstance(found, Exception):
        raise found
    ticket.hold(len(found.data))
    return found


def _item(services: Services, request_id: str, outcome: Answer | Exception) -> Any:
    if isinstance(outcome, Answer):
        return outcome.body
    problem = problem_of(outcome, request_id)
    services.metrics.refused(str(problem.body["code"]))
    if problem.status == 500:
        services.journal.failure(request_id, outcome)
    return problem.body


def json_response(body: Any) -> Response:
    """Compact JSON; numbers are finite."""
    return Response(_ENCODE(body), media_type="application/json")


def drawn_type(accept: bytes) -> str:
    """The media type of the annotated picture that an Accept header prefers to JSON, or nothing."""
    if b"image/" not in accept:
        return ""
    best, weight = "", 0.0
    for entry in accept.decode("latin-1").lower().split(","):
        kind, *parameters = (part.strip() for part in entry.split(";"))
        quality = next((_quality(part[2:]) for part in parameters if part.startswith("q=")), 1.0)
        if quality > weight:
            best, weight = kind, quality
    if best == "image/*":
        return DRAWN[0]
    return best if best in DRAWN else ""


def _quality(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


ENDPOINTS: Final = (
    Endpoint(
        "POST",
        PREDICT,
        predict,
        needs="infer",
        summary="Look at pictures",
        tag="Look",
        answer=ResultBody | ManyBody,
        also=RESPONSES,
        extra=EXTRA,
        by_hand=True,
        problems=(
            "bad_option",
            "bad_input",
            "not_a_picture",
            "picture_too_large",
            "picture_too_complex",
            "fetch_refused",
            "not_found",
            "body_too_large",
            "unsupported_media_type",
            "request_timeout",
            "model_failed",
            "model_refused",
            "busy",
            "deadline_exceeded",
            "storage_full",
        ),
    ),
)
