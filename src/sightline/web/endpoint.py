"""A route as a record. Each names what it needs; one that does not cannot be written down."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.convertors import Convertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from sightline.web.problems import CODES, MEDIA_TYPE
from sightline.web.schemas import ProblemBody

Needs: TypeAlias = Literal["public", "infer", "read", "write", "admin"]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Method, path, handler, what it is needed for, and the words of the documentation.

    There is one key, and all but ``public`` routes want it; the other words of ``needs`` tell readers of the
    document what a route does, and are what keys of a narrower scope would be compared with.
    """

    method: Literal["GET", "POST", "PUT", "DELETE"]
    path: str
    handler: Callable[..., Any]
    needs: Needs
    summary: str
    tag: str = ""
    answer: Any = None
    """Pydantic model of the 200 body."""
    also: dict[int | str, dict[str, Any]] = field(default_factory=dict)
    """Further responses, or the content of the 200 one."""
    problems: tuple[str, ...] = ()
    """Codes that this route may answer besides those of every route."""
    extra: dict[str, Any] = field(default_factory=dict)
    documented: bool = True
    by_hand: bool = False
    """The handler takes the bare request and FastAPI only documents it."""


class Routes:
    """Writes down the routes of one chapter of the documentation."""

    def __init__(self, tag: str) -> None:
        self._tag = tag

    def __call__(
        self,
        method: Literal["GET", "POST", "PUT", "DELETE"],
        path: str,
        handler: Callable[..., Any],
        needs: Needs,
        summary: str,
        answer: Any = None,
        *problems: str,
        **more: Any,
    ) -> Endpoint:
        """See `Endpoint`."""
        return Endpoint(method, path, handler, needs, summary, self._tag, answer, problems=problems, **more)


EVERYWHERE: Final = ("bad_request", "host_refused", "stopping", "internal")


class _ResultId(Convertor[str]):
    """Ids have no dots, so that ``<id>.csv`` is never taken for an id."""

    regex = "[0-9A-Za-z_-]+"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("result", _ResultId())


class GuardedRoute(APIRoute):
    """Asks for the key before anything of the request is read."""

    needs: Needs
    by_hand: bool = False
    allowed: frozenset[str] = frozenset()
    """The methods of all routes with this path."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the handler, for whoever may."""
        if scope["method"] not in (self.methods or ()):
            raise HTTPException(405, headers={"Allow": ", ".join(sorted(self.allowed))})
        if self.needs != "public":
            scope["app"].state.services.keyring.check(scope["headers"])
        if self.by_hand:
            response = await self.endpoint(Request(scope, receive, send))
            await response(scope, receive, send)
        else:
            await super().handle(scope, receive, send)


def register(app: FastAPI, endpoints: tuple[Endpoint, ...]) -> None:
    """Add the routes, in order."""
    for endpoint in endpoints:
        app.router.add_api_route(
            endpoint.path,
            endpoint.handler,
            methods=[endpoint.method],
            summary=endpoint.summary,
            description=(endpoint.handler.__doc__ or "").strip(),
            operation_id=_operation_id(endpoint),
            tags=[endpoint.tag] if endpoint.tag else None,
            responses=_responses(endpoint),
            openapi_extra={"x-sightline-scope": endpoint.needs, **_security(endpoint), **endpoint.extra},
            include_in_schema=endpoint.documented,
            response_model=None,
            route_class_override=GuardedRoute,
        )
        route = app.router.routes[-1]
        assert isinstance(route, GuardedRoute)
        route.needs, route.by_hand = endpoint.needs, endpoint.by_hand
        route.allowed = frozenset(other.method for other in endpoints if other.path == endpoint.path)


def _operation_id(endpoint: Endpoint) -> str:
    return endpoint.handler.__name__


def _security(endpoint: Endpoint) -> dict[str, Any]:
    return {"security": []} if endpoint.needs == "public" else {"security": [{"key": []}, {"cookie": []}, {}]}


def _responses(endpoint: Endpoint) -> dict[int | str, dict[str, Any]]:
    """The 200 answer and one entry per status of the problem table, listing the codes."""
    codes = (*EVERYWHERE, *endpoint.problems, *(() if endpoint.needs == "public" else ("not_signed_in",)))
    if endpoint.method != "GET":
        codes = (*codes, "origin_refused")
    found: dict[int | str, dict[str, Any]] = {}
    for code in codes:
        status, title = CODES[code]
        line = f"`{code}`: {title}."
        entry = found.setdefault(status, {"description": "", "content": _problem_content()})
        entry["description"] = f"{entry['description']} {line}".strip()
    if endpoint.answer is not None:
        found[200] = {"model": endpoint.answer, "description": "The answer."}
    return found | {status: found.get(status, {}) | more for status, more in endpoint.also.items()}


def _problem_content() -> dict[str, Any]:
    return {MEDIA_TYPE: {"schema": {"$ref": f"#/components/schemas/{ProblemBody.__name__}"}}}
