"""Rules and deliveries on a terminal."""

from datetime import UTC, datetime
from typing import Any

from sightline.cli.terminal import clean, duration
from sightline.storage.rule_kept import Delivery, Rule


def rule_row(rule: Rule) -> list[str]:
    """Id, name, condition, actions, quiet time, sources."""
    condition = rule.condition
    wanted = f"{condition.what} >= {condition.min_score:g} in {condition.hits} of {condition.of}"
    actions = ", ".join(" ".join(filter(None, (one.kind, one.to, *one.argv))) for one in rule.actions)
    sources = ", ".join(rule.sources) or "all"
    return [clean(cell) for cell in (rule.id, rule.name, wanted, actions, duration(rule.quiet_s), sources)]


def rule_json(rule: Rule) -> dict[str, Any]:
    """Plain values, without the secret."""
    return {
        "id": rule.id,
        "name": rule.name,
        "what": rule.condition.what,
        "min_score": rule.condition.min_score,
        "hits": rule.condition.hits,
        "of": rule.condition.of,
        "quiet_s": rule.quiet_s,
        "sources": list(rule.sources),
        "actions": [{"kind": one.kind, "to": one.to, "argv": list(one.argv)} for one in rule.actions],
        "created": rule.created,
    }


def delivery_row(one: Delivery) -> list[str]:
    """Time, what, where, how far, and the last answer in a few words."""
    when = datetime.fromtimestamp(one.created, UTC).strftime("%Y-%m-%d %H:%M:%S")
    state = one.state if one.attempts < 2 else f"{one.state} ({one.attempts} attempts)"
    status = "" if one.status is None else str(one.status)
    return [clean(cell) for cell in (when, one.kind, one.to[:60], one.source, state, status, one.answer[:60])]
