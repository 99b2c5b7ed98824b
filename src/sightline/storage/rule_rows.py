"""Rules and deliveries as rows. Each function is one step of a transaction that the caller holds."""

import json
import secrets
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, delete, insert, or_, select, update

from sightline.errors import Busy, NotFound
from sightline.storage.database import clock
from sightline.storage.rule_kept import Action, Condition, Delivery, DeliveryState, Rule
from sightline.storage.rule_tables import deliveries, rules
from sightline.storage.stamps import stamp

RULES_MAX: Final = 200
KEPT_MAX: Final = 2000
"""Ended deliveries that are kept of one owner; the oldest give way."""
_ANSWER_MAX: Final = 500


@dataclass(frozen=True, slots=True)
class Ended:
    """How an attempt ended, and how long to wait for the next one."""

    state: DeliveryState
    status: int | None
    answer: str
    wait_s: float


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which deliveries; ``before`` is the id of the last one of the page before."""

    owner: str
    rule: str = ""
    kinds: tuple[str, ...] = ()
    before: str = ""
    limit: int = 50


def add(connection: Connection, rule: Rule) -> Rule:
    """Write a rule down.

    Raises:
        Busy: The owner has as many as may be.
    """
    here = connection.execute(select(rules.c.id).where(rules.c.owner == rule.owner)).all()
    if len(here) >= RULES_MAX:
        raise Busy(
            f"There are {RULES_MAX} rules, which is the most that may be.", next_step="Remove one first."
        )
    body = {
        "condition": asdict(rule.condition),
        "actions": [asdict(action) for action in rule.actions],
        "quiet_s": rule.quiet_s,
        "sources": list(rule.sources),
    }
    row = {"id": rule.id, "owner": rule.owner, "name": rule.name, "secret": rule.secret}
    connection.execute(insert(rules).values(**row, body=json.dumps(body), created=clock()))
    return get(connection, rule.owner, rule.id)


def get(connection: Connection, owner: str, rule_id: str) -> Rule:
    """One rule.

    Raises:
        NotFound: No such id, or it is somebody else's.
    """
    found = connection.execute(
        select(rules).where(rules.c.id == rule_id, rules.c.owner == owner)
    ).one_or_none()
    if found is None:
        raise NotFound(f"There is no rule {rule_id[:64]!r}.", next_step="`sightline rules list` shows them.")
    return _rule(found)


def everyone(connection: Connection) -> tuple[Rule, ...]:
    """The rules of all owners, the oldest first."""
    return tuple(map(_rule, connection.execute(select(rules).order_by(rules.c.created, rules.c.id))))


def remove(connection: Connection, owner: str, rule_id: str) -> None:
    """Delete a rule with its deliveries.

    Raises:
        NotFound: No such id, or it is somebody else's.
    """
    get(connection, owner, rule_id)
    connection.execute(delete(deliveries).where(deliveries.c.rule == rule_id))
    connection.execute(delete(rules).where(rules.c.id == rule_id))


def put(
    connection: Connection, rule: Rule, wanted: Iterable[tuple[Delivery, Action]], *, unseen_s: float
) -> None:
    """Write down the actions of one firing; those that are done at once, as done.

    A notification waits ``unseen_s`` for a page before it is due, which is when nobody could see it.
    """
    for one, action in wanted:
        done = one.state in ("delivered", "failed")
        shown = one.kind == "browser"
        connection.execute(
            insert(deliveries).values(
                id=one.id,
                owner=rule.owner,
                rule=rule.id,
                kind=one.kind,
                target=one.to,
                action=json.dumps(asdict(action)),
                payload=json.dumps(dict(one.payload), allow_nan=False),
                source=one.source[:300],
                state=one.state,
                attempts=1 if done else 0,
                created=stamp(connection, rule.owner) if shown else clock(),
                due=clock() + (unseen_s if shown else 0.0),
                token="",
                finished=clock() if done else None,
                answer=one.answer,
            )
        )


def last_fired(connection: Connection, rule_id: str, source: str) -> float | None:
    """When the rule last fired about a source, by what it left behind; tests do not count."""
    newest = (
        select(deliveries.c.created)
        .where(deliveries.c.rule == rule_id, deliveries.c.source == source[:300])
        .order_by(deliveries.c.created.desc())
        .limit(1)
    )
    found = connection.execute(newest).scalar_one_or_none()
    return None if found is None else float(found)


def is_due(connection: Connection) -> bool:
    """Whether `claim` would find something; a look that locks nothing."""
    now = connection.execute(select(clock())).scalar_one()
    return connection.execute(select(deliveries.c.id).where(_due(now)).limit(1)).first() is not None


def _due(now: float) -> ColumnElement[bool]:
    lost = and_(deliveries.c.state == "sending", deliveries.c.lease_until < now)
    return or_(and_(deliveries.c.state == "waiting", deliveries.c.due <= now), lost)


def claim(connection: Connection, *, lease_s: float) -> tuple[Delivery, Action, str] | None:
    """The delivery that has been due longest, with its action and the rule's secret; None: nothing is due.

    An attempt whose holder vanished is due again when its lease has passed.
    """
    now = connection.execute(select(clock())).scalar_one()
    due = _due(now)
    found = connection.execute(
        select(deliveries.c.id, deliveries.c.token).where(due).order_by(deliveries.c.due).limit(1)
    ).one_or_none()
    if found is None:
        return None
    token = secrets.token_hex(16)
    taken = connection.execute(
        update(deliveries)
        .where(deliveries.c.id == found.id, deliveries.c.token == found.token, due)
        .values(state="sending", token=token, lease_until=now + lease_s, attempts=deliveries.c.attempts + 1)
    )
    if taken.rowcount != 1:
        return None  # somebody else was faster
    row = connection.execute(
        select(deliveries, rules.c.secret)
        .join(rules, rules.c.id == deliveries.c.rule)
        .where(deliveries.c.id == found.id)
    ).one()
    return delivery_of(row), _action(json.loads(row.action)), str(row.secret)


def finish(connection: Connection, one: Delivery, ended: Ended) -> bool:
    """Write down how an attempt ended; false if it was no longer this attempt's to say."""
    over = ended.state in ("delivered", "failed")
    done = connection.execute(
        update(deliveries)
        .where(deliveries.c.id == one.id, deliveries.c.token == one.token, deliveries.c.state == "sending")
        .values(
            state=ended.state,
            status=ended.status,
            answer=ended.answer.replace("\x00", " ")[:_ANSWER_MAX],
            due=clock() + ended.wait_s,
            lease_until=None,
            finished=clock() if over else None,
        )
    )
    return done.rowcount == 1


def again(connection: Connection, owner: str, delivery_id: str) -> None:
    """Try a failed delivery once more.

    Raises:
        NotFound: No such delivery that has failed.
    """
    done = connection.execute(
        update(deliveries)
        .where(deliveries.c.id == delivery_id, deliveries.c.owner == owner, deliveries.c.state == "failed")
        .values(state="waiting", attempts=0, due=clock(), finished=None)
    )
    if done.rowcount != 1:
        raise NotFound(
            f"There is no failed delivery {delivery_id[:64]!r}.", next_step="Look at the list again."
        )


def page(connection: Connection, wanted: Wanted) -> tuple[Delivery, ...]:
    """Deliveries, the newest first."""
    query: Select[Any] = select(deliveries).where(deliveries.c.owner == wanted.owner)
    if wanted.rule:
        query = query.where(deliveries.c.rule == wanted.rule)
    if wanted.kinds:
        query = query.where(deliveries.c.kind.in_(wanted.kinds))
    if wanted.before:
        mine = and_(deliveries.c.id == wanted.before, deliveries.c.owner == wanted.owner)
        mark = connection.execute(select(deliveries.c.created).where(mine)).scalar_one_or_none()
        if mark is None:
            return ()
        earlier = and_(deliveries.c.created == mark, deliveries.c.id < wanted.before)
        query = query.where(or_(deliveries.c.created < mark, earlier))
    newest = query.order_by(deliveries.c.created.desc(), deliveries.c.id.desc()).limit(wanted.limit)
    return tuple(map(delivery_of, connection.execute(newest)))


def tidy(connection: Connection) -> int:
    """Delete the oldest ended deliveries beyond what is kept of each owner."""
    gone = 0
    for owner in connection.execute(select(deliveries.c.owner).distinct()).scalars().all():
        ended = select(deliveries.c.id).where(
            deliveries.c.owner == owner, deliveries.c.state.in_(("delivered", "failed"))
        )
        old = connection.execute(ended.order_by(deliveries.c.created.desc()).offset(KEPT_MAX)).scalars().all()
        if old:
            connection.execute(delete(deliveries).where(deliveries.c.id.in_(old)))
            gone += len(old)
    return gone


def _rule(row: Row[Any]) -> Rule:
    body = json.loads(row.body)
    return Rule(
        id=row.id,
        name=row.name,
        condition=Condition(**body["condition"]),
        actions=tuple(map(_action, body["actions"])),
        quiet_s=float(body["quiet_s"]),
        sources=tuple(body["sources"]),
        secret=row.secret,
        created=row.created,
        owner=row.owner,
    )


def _action(body: dict[str, Any]) -> Action:
    return Action(body["kind"], body["to"], tuple(body["argv"]))


def delivery_of(row: Row[Any]) -> Delivery:
    """A row of the table as a value."""
    return Delivery(
        id=row.id,
        rule=row.rule,
        kind=row.kind,
        to=row.target,
        payload=json.loads(row.payload),
        source=row.source,
        state=row.state,
        created=row.created,
        attempts=row.attempts,
        due=row.due,
        finished=row.finished,
        status=row.status,
        answer=row.answer,
        owner=row.owner,
        token=row.token,
    )
