"""Every "no" over HTTP: one table, one shape (RFC 9457), one function that makes it.

The room's own refusals are here too; they are ``SightlineError`` like all others, so one handler does.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Final

from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from sightline import errors
from sightline.errors import InputError, SightlineError
from sightline.manifest.words import first_fault

MEDIA_TYPE: Final = "application/problem+json"


class BodyTooLarge(InputError):
    """The request carries more bytes than allowed."""

    code: ClassVar[str] = "body_too_large"
    default_next_step: ClassVar[str] = (
        "Send fewer or smaller pictures, or raise `upload_max_mb` on the server."
    )


class WrongMediaType(InputError):
    """The request's content type or encoding is none that the address takes."""

    code: ClassVar[str] = "unsupported_media_type"
    default_next_step: ClassVar[str] = (
        "Send multipart/form-data with a file `image`, the bytes of a picture with its image type, or JSON."
    )


class TooSlow(InputError):
    """The request did not arrive in time."""

    code: ClassVar[str] = "request_timeout"
    default_next_step: ClassVar[str] = "Send the whole request faster, or raise `receive_s` on the server."


class HostRefused(SightlineError):
    """The Host header names a server that this one is not."""

    code: ClassVar[str] = "host_refused"
    default_next_step: ClassVar[str] = (
        "Use the address that `sightline serve` printed, or add the name to `allowed_hosts`."
    )


class OriginRefused(SightlineError):
    """A page of another site tries to change something here, or to listen."""

    code: ClassVar[str] = "origin_refused"
    default_next_step: ClassVar[str] = "Send the request from Sightline's own page, or from a program."


class NotSignedIn(SightlineError):
    """The server demands its key, and the request has none or a wrong one."""

    code: ClassVar[str] = "not_signed_in"
    default_next_step: ClassVar[str] = (
        "Open the link that `sightline serve` printed, or send `Authorization: Bearer` with the key."
    )


class NoSuchAddress(SightlineError):
    """No route has this path."""

    code: ClassVar[str] = "no_such_address"
    default_next_step: ClassVar[str] = "GET /api/docs lists every address."


class MethodNotAllowed(SightlineError):
    """The path is known, the method is not."""

    code: ClassVar[str] = "method_not_allowed"
    default_next_step: ClassVar[str] = "Use one of the methods of the Allow header."


class Gone(SightlineError):
    """It was here, and is no longer."""

    code: ClassVar[str] = "gone"
    default_next_step: ClassVar[str] = "Submit the job again."


class KeyReused(InputError):
    """An Idempotency-Key stands for another request already."""

    code: ClassVar[str] = "idempotency_key_reused"
    default_next_step: ClassVar[str] = "Send the first request again as it was, or use a new key."


class UpgradeRequired(InputError):
    """The address is for WebSockets, and the request opens none."""

    code: ClassVar[str] = "upgrade_required"
    default_next_step: ClassVar[str] = "Open a WebSocket there: docs/reference/live.md describes it."


class Stopping(SightlineError):
    """The server is finishing its last requests."""

    code: ClassVar[str] = "stopping"
    default_next_step: ClassVar[str] = "Try again when the server has started again."


class BadRequest(InputError):
    """The request is not HTTP as it should be."""

    code: ClassVar[str] = "bad_request"
    default_next_step: ClassVar[str] = "Check the program that sends the request."


class Internal(SightlineError):
    """A defect of Sightline itself."""

    code: ClassVar[str] = "internal"
    default_next_step: ClassVar[str] = "Find the request id in the server's log and report both."


KINDS: Final[dict[type[SightlineError], tuple[int, str]]] = {
    BadRequest: (400, "The request could not be read"),
    errors.InputError: (400, "Something about the request is off"),
    errors.BadOption: (400, "An option is off"),
    NotSignedIn: (401, "The key is missing or wrong"),
    OriginRefused: (403, "Another site may not do this"),
    errors.NotFound: (404, "There is no such thing"),
    NoSuchAddress: (404, "There is no such address"),
    MethodNotAllowed: (405, "The address does not take this method"),
    errors.Conflict: (409, "This contradicts what is there already"),
    Gone: (410, "This is no longer here"),
    KeyReused: (422, "The key was used for something else"),
    TooSlow: (408, "The request took too long to arrive"),
    BodyTooLarge: (413, "The request is too large"),
    errors.PictureTooLarge: (413, "The picture is too large"),
    errors.NotAPicture: (415, "This is not a picture that can be read"),
    WrongMediaType: (415, "The content type is none of those accepted"),
    HostRefused: (421, "This server has another name"),
    errors.PictureTooComplex: (422, "The picture takes too much to decode"),
    errors.FetchRefused: (422, "The address was not fetched"),
    errors.ModelRefused: (422, "The model was refused"),
    UpgradeRequired: (426, "The address is for WebSockets"),
    errors.ModelFailed: (500, "The model failed"),
    errors.ConfigError: (500, "The server is set up wrongly"),
    Internal: (500, "The server failed"),
    errors.SightlineError: (500, "The server failed"),
    errors.Busy: (503, "Too many requests are waiting"),
    errors.Unreachable: (503, "The database, or the store of files, is away"),
    Stopping: (503, "The server is stopping"),
    errors.DeadlineExceeded: (504, "The answer would have come too late"),
    errors.StorageFull: (507, "There is no room to store this"),
}
"""Every kind of refusal: status and title. The nearest ancestor counts for a kind that is not listed."""

CODES: Final[dict[str, tuple[int, str]]] = {kind.code: answer for kind, answer in KINDS.items()}


@dataclass(frozen=True, slots=True)
class Problem:
    """One refusal, ready to send."""

    status: int
    body: Mapping[str, object]
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def data(self) -> bytes:
        """The JSON text."""
        return json.dumps(self.body, separators=(",", ":")).encode()


def problem_of(error: Exception, request_id: str) -> Problem:
    """The answer to an exception. What is no error of ours becomes ``internal``, without its text."""
    known = _known(error)
    status, title = next(KINDS[kind] for kind in type(known).__mro__ if kind in KINDS)
    body = {
        "type": f"/api/docs#{known.code}",
        "title": title,
        "status": status,
        "detail": known.message,
        "code": known.code,
        "next_step": known.next_step,
        "request_id": request_id,
    } | ({"field": known.field} if known.field else {})
    return Problem(status, body, _headers(error))


def _known(error: Exception) -> SightlineError:
    if isinstance(error, SightlineError) and type(error) is not SightlineError:
        return error  # of the bare kind are defects, whose words may hold paths
    if isinstance(error, RequestValidationError):
        return errors.BadOption(_first_complaint(error))
    if isinstance(error, HTTPException):
        return _routing(error)
    return Internal("Sightline failed on this request; the log has the details under the request id.")


def _routing(error: HTTPException) -> SightlineError:
    if error.status_code == 405:
        return MethodNotAllowed("This address does not take that method.")
    if error.status_code == 404:
        return NoSuchAddress("Nothing is at this address.")
    return BadRequest("The request could not be read.")


def complaint(error: ValidationError, what: str) -> "errors.BadOption | BadRequest":
    """What is wrong with a request's JSON, in a sentence. ``what`` is wished for: "a rule", "a job"."""
    if error.errors()[0]["type"] == "json_invalid":
        return BadRequest("The body is not JSON, or is nested too deep.")
    field, words = first_fault(error)
    return errors.BadOption(
        f"{field or 'The body'}: {words}.", next_step=f"/api/docs shows what {what} takes.", field=field
    )


def _first_complaint(error: RequestValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"][1:]) or "the request"
    return f"{where}: {first['msg']}."


_FIXED: Final[dict[type, dict[str, str]]] = {
    Stopping: {"retry-after": "5"},
    errors.DeadlineExceeded: {"retry-after": "2"},
    NotSignedIn: {"www-authenticate": 'Bearer realm="sightline"'},
    TooSlow: {"connection": "close"},
    UpgradeRequired: {"connection": "upgrade", "upgrade": "websocket"},
}


def _headers(error: Exception) -> dict[str, str]:
    if isinstance(error, errors.Busy | errors.Unreachable):
        return {"retry-after": str(max(1, round(error.retry_after_s)))}
    fixed = next((_FIXED[kind] for kind in type(error).__mro__ if kind in _FIXED), None)
    if fixed is not None:
        return fixed
    if isinstance(error, HTTPException) and error.headers:
        return {name.lower(): value for name, value in error.headers.items()}
    return {}
