"""Rules and what became of their actions: list, make, remove, test; deliveries, tried once more by hand."""

import asyncio
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import Path, Query
from starlette.requests import Request
from starlette.responses import Response

from sightline.web.endpoint import Endpoint
from sightline.web.routes.predict import json_response
from sightline.web.rule_schemas import DeliveryListBody, RuleBody, RuleListBody, RuleWish, WordListBody
from sightline.web.services import Services, services_of
from sightline.web.wishes import read_wish

if TYPE_CHECKING:
    from sightline.rules.words import Word
    from sightline.storage.rule_kept import Delivery, Rule

RULES: Final = "/api/v1/rules"
DELIVERIES: Final = "/api/v1/deliveries"
RuleId = Annotated[str, Path(max_length=64, description="The id of a rule.")]
DeliveryId = Annotated[str, Path(max_length=64, description="The id of a delivery.")]
_FRESH: Final = {"cache-control": "private, no-cache"}


def list_rules(request: Request) -> Response:
    """List the rules, the oldest first; their secrets are not shown again."""
    services = services_of(request)
    rules = services.rules.rules()
    words = _words(services) if rules else ()
    return _json({"rules": [_rule(rule, words) for rule in rules]})


def list_words(request: Request) -> Response:
    """List what rules may wait for: labels of the models that are here, verdicts of the pipelines."""
    return _json({"words": [asdict(word) for word in _words(services_of(request))]})


async def create_rule(request: Request) -> Response:
    """Make a rule. The answer has the secret that signs its webhooks, this once."""
    services = services_of(request)
    wish = await read_wish(request, RuleWish, "a rule")
    given = wish.model_dump(exclude_none=True)
    rule = await asyncio.to_thread(lambda: services.rules.add(given))
    response = _json(_rule(rule, _words(services)) | {"secret": rule.secret})
    response.status_code = 201
    return response


def delete_rule(request: Request, rule_id: RuleId) -> Response:
    """Remove a rule and its deliveries."""
    services_of(request).rules.remove(rule_id)
    return Response(status_code=204)


def test_rule(request: Request, rule_id: RuleId) -> Response:
    """Do a rule's actions once, now, with a made-up event of the type `rule.test`."""
    made = services_of(request).rules.test(rule_id)
    return _json({"deliveries": [_delivery(one) for one in made], "next": None})


def list_deliveries(
    request: Request,
    rule: Annotated[str, Query(max_length=64, description="Only of this rule.")] = "",
    before: Annotated[str, Query(max_length=64, description="`next` of the stretch before.")] = "",
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Response:
    """List what was sent and what came back, the newest first."""
    found = services_of(request).rules.deliveries(rule=rule, before=before, limit=limit)
    following = found[-1].id if len(found) == limit else None
    return _json({"deliveries": [_delivery(one) for one in found], "next": following})


def retry_delivery(request: Request, delivery_id: DeliveryId) -> Response:
    """Try a delivery that has failed once more."""
    services_of(request).rules.again(delivery_id)
    return Response(status_code=204)


def _words(services: Services) -> "tuple[Word, ...]":
    from sightline.rules.words import known  # noqa: PLC0415 - loads the database's library

    return known(bundle.manifest for bundle in services.road.registry.list())


def _rule(rule: "Rule", words: "tuple[Word, ...]") -> dict[str, Any]:
    from sightline.rules.acting import target_of  # noqa: PLC0415 - who has a rule has loaded it
    from sightline.rules.words import warning  # noqa: PLC0415

    return {
        "id": rule.id,
        "name": rule.name,
        "what": rule.condition.what,
        "min_score": rule.condition.min_score,
        "hits": rule.condition.hits,
        "of": rule.condition.of,
        "quiet_s": rule.quiet_s,
        "sources": list(rule.sources),
        "actions": [{"kind": action.kind, "to": target_of(action)} for action in rule.actions],
        "created": _time(rule.created),
        "warning": warning(rule.condition.what, words) or None,
    }


def _delivery(one: "Delivery") -> dict[str, Any]:
    names = ("id", "rule", "kind", "to", "source", "state", "attempts", "status", "answer")
    ended = one.state in ("delivered", "failed")
    times = {"created": _time(one.created), "due": None if ended or not one.due else _time(one.due)}
    finished = None if one.finished is None else _time(one.finished)
    told = {name: getattr(one, name) for name in names}
    return told | times | {"finished": finished, "payload": dict(one.payload)}


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def _json(body: dict[str, Any]) -> Response:
    response = json_response(body)
    response.headers.update(_FRESH)
    return response


def _wish() -> dict[str, Any]:
    """The request's schema, its one part put in place."""
    schema = RuleWish.model_json_schema()
    part = schema.pop("$defs")["ActionWish"]
    schema["properties"]["actions"]["items"] = part
    return schema


_ONE: Final = f"{RULES}/{{rule_id}}"
_GONE: Final = ("not_found", "bad_option", "busy", "storage_full")
_CREATE: Final = (
    "bad_option",
    "fetch_refused",
    "bad_configuration",
    "request_timeout",
    "body_too_large",
    "unsupported_media_type",
    "busy",
    "storage_full",
)
ENDPOINTS: Final = (
    Endpoint("GET", RULES, list_rules, "read", "List rules", "Rules", RuleListBody, problems=("busy",)),
    Endpoint(
        "POST",
        RULES,
        create_rule,
        "write",
        "Make a rule",
        "Rules",
        also={201: {"model": RuleBody, "description": "The rule, with its secret."}},
        problems=_CREATE,
        extra={"requestBody": {"required": True, "content": {"application/json": {"schema": _wish()}}}},
        by_hand=True,
    ),
    Endpoint(
        "GET",
        f"{RULES}/words",
        list_words,
        "read",
        "What rules may wait for",
        "Rules",
        WordListBody,
        problems=("busy",),
    ),
    Endpoint(
        "DELETE",
        _ONE,
        delete_rule,
        "write",
        "Remove a rule",
        "Rules",
        also={204: {"description": "It is gone."}},
        problems=_GONE,
    ),
    Endpoint(
        "POST", f"{_ONE}/test", test_rule, "write", "Test a rule", "Rules", DeliveryListBody, problems=_GONE
    ),
    Endpoint(
        "GET",
        DELIVERIES,
        list_deliveries,
        "read",
        "List deliveries",
        "Rules",
        DeliveryListBody,
        problems=("bad_option", "busy"),
    ),
    Endpoint(
        "POST",
        f"{DELIVERIES}/{{delivery_id}}/retry",
        retry_delivery,
        "write",
        "Try a delivery again",
        "Rules",
        also={204: {"description": "It will be tried soon."}},
        problems=_GONE,
    ),
)
