"""The page: one HTML file for every place, its modules and pictures, the sign-in, and the API's document."""

import hashlib
import mimetypes
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from sightline.web.api_page import render
from sightline.web.endpoint import Endpoint
from sightline.web.intake import header, read_body
from sightline.web.keys import COOKIE
from sightline.web.problems import BadRequest, NoSuchAddress, NotSignedIn
from sightline.web.services import Services, Ticket, services_of
from sightline.web.small_pages import key_page

_FORM_BYTES: Final = 2048
_STATIC: Final = Path(__file__).parent.parent / "static"
_TYPES: Final = {
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
}
_PLACES: Final = (
    "/",
    "/r/{rest}",
    "/camera",
    "/history",
    "/models",
    "/pipelines",
    "/pipelines/{rest:path}",
    "/rules",
    "/watches",
    "/jobs",
    "/jobs/{rest:path}",
)


async def page(request: Request) -> Response:
    """The page's HTML; the key's link is exchanged for a cookie here."""
    services = services_of(request)
    key = request.query_params.get("key")
    if key is not None and services.keyring.guarded:
        return _signed_in(services, request, key)
    try:
        services.keyring.check(request.scope["headers"])
    except NotSignedIn:
        return _ask_for_key()
    return _file(request, "index.html")


async def sign_in(request: Request) -> Response:
    """Exchange the key for a cookie. Anybody may ask, so no more is read than a key takes."""
    if header(request.scope, b"content-type").partition(b";")[0] != b"application/x-www-form-urlencoded":
        raise BadRequest("The sign-in form sends application/x-www-form-urlencoded.")
    services = services_of(request)
    ticket = Ticket(services)
    try:
        body = await read_body(request.scope, request.receive, services.settings, ticket, most=_FORM_BYTES)
    finally:
        ticket.release()
    return _signed_in(services, request, parse_qs(body.decode("latin-1")).get("key", [""])[0])


async def static(request: Request) -> Response:
    """A file of the page."""
    return _file(request, request.path_params["path"])


async def icon(request: Request) -> Response:
    """The icon, where browsers look for it on their own."""
    return _file(request, "icon.svg")


async def openapi(request: Request) -> Response:
    """The OpenAPI 3.1 document."""
    from sightline.web.routes.predict import json_response  # noqa: PLC0415

    return json_response(request.app.openapi())


async def api_page(request: Request) -> Response:
    """The API's document for people: made from the same OpenAPI, nothing loaded from elsewhere."""
    return Response(render(request.app.openapi()), media_type="text/html")


async def api_style(request: Request) -> Response:
    """The style of the API's document."""
    return _sent(request, _STATIC.parent / "api_page.css")


def _signed_in(services: Services, request: Request, key: str) -> Response:
    if not services.keyring.fits(key):
        return _ask_for_key("That is not this server's key.")
    response = RedirectResponse("/", status_code=303, headers={"cache-control": "no-store"})
    response.set_cookie(
        COOKIE,
        services.keyring.cookie,
        max_age=7 * 86_400,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return response


def _ask_for_key(problem: str = "") -> Response:
    headers = {"cache-control": "no-store", "www-authenticate": 'Bearer realm="sightline"'}
    return Response(key_page(problem), 401, headers, "text/html")


def _file(request: Request, path: str) -> Response:
    """A file of the static folder, revalidated by its hash; nothing outside the folder has a name here."""
    try:
        target = (_STATIC / path).resolve()
        known = target.is_relative_to(_STATIC.resolve()) and target.is_file()
    except (OSError, ValueError):  # a name that no file system takes
        known = False
    if not known:
        raise NoSuchAddress(f"There is no file {path[:80]!r}.")
    return _sent(request, target)


def _sent(request: Request, target: Path) -> Response:
    data = target.read_bytes()
    etag = f'"{hashlib.sha256(data).hexdigest()[:20]}"'
    headers = {"etag": etag, "cache-control": "no-cache"}
    if request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers=headers)
    kind = _TYPES.get(target.suffix) or mimetypes.guess_type(target.name)[0] or "application/octet-stream"
    return Response(data, headers=headers, media_type=kind)


def _hidden(method: str, path: str, handler: object, needs: str, summary: str) -> Endpoint:
    return Endpoint(method, path, handler, needs, summary, documented=False)  # type: ignore[arg-type]


ENDPOINTS: Final = (
    *(_hidden("GET", place, page, "public", "The page") for place in _PLACES),
    _hidden("POST", "/signin", sign_in, "public", "Exchange the key for a cookie"),
    _hidden("GET", "/static/{path:path}", static, "public", "A file of the page"),
    _hidden("GET", "/favicon.ico", icon, "public", "The icon"),
    _hidden("GET", "/api/openapi.json", openapi, "read", "The OpenAPI document"),
    _hidden("GET", "/api/docs", api_page, "read", "The API's document"),
    _hidden("GET", "/api/docs/style.css", api_style, "public", "Its style"),
)
