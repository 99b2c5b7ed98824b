"""A request's JSON -> what is wished for, or a refusal that names the field and says what it takes."""

from typing import TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from sightline.web.intake import JSON_BYTES, header, read_body
from sightline.web.problems import WrongMediaType, complaint
from sightline.web.services import Ticket, services_of

Wished = TypeVar("Wished", bound=BaseModel)


async def read_wish(request: Request, kind: type[Wished], what: str) -> Wished:
    """The body as a wish. ``what`` is for people: "a rule", "a watch".

    Raises:
        SightlineError: It is no JSON, not what ``kind`` takes, larger than ``JSON_BYTES`` or too slow.
    """
    services = services_of(request)
    if header(request.scope, b"content-type").partition(b";")[0].strip().lower() != b"application/json":
        raise WrongMediaType(
            f"{what.capitalize()} is JSON.", next_step="Send it with Content-Type: application/json."
        )
    ticket = Ticket(services)
    try:
        body = await read_body(request.scope, request.receive, services.settings, ticket, most=JSON_BYTES)
        return wish_of(kind, body, what)
    finally:
        ticket.release()


def wish_of(kind: type[Wished], body: bytes | str, what: str) -> Wished:
    """JSON of at most ``JSON_BYTES`` as a wish.

    Raises:
        SightlineError: It is no JSON, or not what ``kind`` takes.
    """
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        raise complaint(error, what) from error
