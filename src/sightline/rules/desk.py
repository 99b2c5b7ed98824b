"""The desk of rules: captures come in, what has to be done is written down and carried out.

Whoever captures (the page's camera, a request that names one, a watch) tells `RuleDesk.seen`. That never
waits for the network and never fails because a receiver is away: firings are rows, and the courier carries
them.
"""

import logging
import secrets
import threading
import time as clock
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from sightline.rules import engine, signing
from sightline.rules.acting import HANDED, OFFERED, SHOWN, UNSEEN_S, target_of
from sightline.rules.courier import WAITS_S, Courier
from sightline.rules.drafts import read_draft
from sightline.settings import Settings
from sightline.storage import alert_rows, rule_rows
from sightline.storage.database import Database
from sightline.storage.kept import ME
from sightline.storage.rule_kept import AT_ONCE, Action, ActionKind, Delivery, Notice, Rule
from sightline.types import Result, Staged

_LOOK_AGAIN_S: Final = 1.0
"""How long the list of rules is trusted; another process may have changed it."""
_TEST: Final = "(test)"
_STATES_MAX: Final = 10_000
_log = logging.getLogger("sightline.rules")


@dataclass(frozen=True, slots=True)
class Alert:
    """A rule has fired: for whoever shows it at once (sound, notification, a line of JSON)."""

    rule: str
    """Its id."""
    name: str
    what: str
    score: float
    source: str
    time: float
    browser: bool
    """Whether one of its actions is a notification in pages."""

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


class RuleDesk:
    """All rules of one database, and what they remember of each source. Thread-safe."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        *,
        waits_s: tuple[float, ...] = WAITS_S,
        unseen_s: float = UNSEEN_S,
    ) -> None:
        self._settings, self._database, self._unseen_s = settings, database, unseen_s
        self._courier = Courier(database, settings, waits_s=waits_s)
        self._lock = threading.Lock()
        self._rules: tuple[Rule, ...] = ()
        self._looked = float("-inf")
        self._states: dict[tuple[str, str], engine.State] = {}

    @classmethod
    def open(cls, settings: Settings) -> "RuleDesk":
        """The desk of the settings' database, which is opened when it is first needed."""
        return cls(settings, Database.of(settings))

    def start(self) -> None:
        """Begin to deliver, also what an earlier process left behind (if there is anything at all)."""
        if self._is_there():
            self._courier.start()

    def close(self) -> None:
        """Stop delivering and close the database; what is undelivered stays in it."""
        self._courier.close()
        self._database.close()

    def seen(
        self,
        source: str,
        result: Result,
        time: float | None = None,
        *,
        page: bool = False,
        owner: str = ME,
    ) -> tuple[Alert, ...]:
        """One capture. Every rule of this source takes one step; those that fire are written down.

        Args:
            source: What captured it, the same text every time: ``door``, ``camera:3f2a``.
            result: The answer about it, as the source has it.
            time: When it was captured (Unix seconds); None: now.
            page: A page took it, and will show what fires; other notifications wait for a page to take them.
            owner: Whose capture it is; only rules of the same owner count.

        Returns:
            The rules that fired just now, usually none.

        Raises:
            SightlineError: The database cannot be used.
        """
        moment = clock.time() if time is None else time
        alerts = []
        for rule in self._current():
            if rule.owner != owner or (rule.sources and source not in rule.sources):
                continue
            score = engine.score(result, rule.condition.what)
            hit = score > 0 and score >= rule.condition.min_score
            if self._step(rule, source, hit=hit, time=moment):
                self._write(rule, source, _payload(rule, source, score, moment, result), page=page)
                alerts.append(_alert(rule, source, score, moment))
        return tuple(alerts)

    def add(self, given: Mapping[str, Any], *, trusted: bool = False, owner: str = ME) -> Rule:
        """Keep a rule (``RuleDraft`` has the fields); who made it is told its ``secret``, this once.

        Raises:
            SightlineError: See `read_draft`; and ``Busy`` when there are too many.
        """
        draft = read_draft(given, self._settings, trusted=trusted)
        rule = Rule(
            id=secrets.token_hex(8),
            name=draft.title,
            condition=draft.condition,
            actions=draft.plain_actions,
            quiet_s=draft.quiet_s,
            sources=draft.sources,
            secret=signing.new_secret(),
            owner=owner,
        )
        kept = self._database.write(lambda it: rule_rows.add(it, rule))
        self._forget()
        return kept

    def rules(self, *, owner: str = ME) -> tuple[Rule, ...]:
        """All rules, the oldest first."""
        self._forget()
        return tuple(rule for rule in self._current() if rule.owner == owner)

    def remove(self, rule_id: str, *, owner: str = ME) -> None:
        """Delete a rule and its deliveries.

        Raises:
            NotFound: No such id.
        """
        self._database.write(lambda it: rule_rows.remove(it, owner, rule_id))
        self._forget()

    def test(self, rule_id: str, *, owner: str = ME) -> tuple[Delivery, ...]:
        """Do the rule's actions once with a made-up event, whatever its condition and quiet time say.

        Raises:
            NotFound: No such id.
        """
        rule = self._database.read(lambda it: rule_rows.get(it, owner, rule_id))
        payload = _payload(rule, _TEST, rule.condition.min_score, clock.time(), None)
        return self._write(rule, _TEST, payload | {"type": "rule.test"})

    def deliveries(
        self,
        *,
        rule: str = "",
        kinds: Sequence[ActionKind] = (),
        before: str = "",
        limit: int = 50,
        owner: str = ME,
    ) -> tuple[Delivery, ...]:
        """What was sent and what came back, the newest first."""
        if not self._is_there():
            return ()
        wanted = rule_rows.Wanted(owner, rule, tuple(kinds), before, limit)
        return self._database.read(lambda it: rule_rows.page(it, wanted))

    def again(self, delivery_id: str, *, owner: str = ME) -> None:
        """Try a delivery that has failed for good once more.

        Raises:
            NotFound: No such delivery, or it has not failed.
        """
        self._database.write(lambda it: rule_rows.again(it, owner, delivery_id))
        self._courier.start()
        self._courier.wake()

    def notices(self, *, owner: str = ME) -> tuple[Notice, ...]:
        """The notifications that are still news, the oldest first: also those that some page has already.

        Whoever shows one says so, see `taken`.

        Raises:
            SightlineError: The database cannot be used.
        """
        if not self._is_there():
            return ()
        return self._database.read(lambda it: alert_rows.recent(it, owner, within_s=self._unseen_s))

    def taken(self, ids: Collection[str]) -> None:
        """A page has these notifications: they are delivered.

        Raises:
            SightlineError: The database cannot be used.
        """
        self._database.write(lambda it: alert_rows.taken(it, ids, HANDED))

    def deliver(self) -> int:
        """Carry out what is due now in this thread, and say how many; for commands that end at once."""
        count = 0
        while self._courier.deliver_one():
            count += 1
        return count

    def _step(self, rule: Rule, source: str, *, hit: bool, time: float) -> bool:
        """Take one step under the lock: two captures of one source may arrive together."""
        key = (rule.id, source)
        if key not in self._states:  # after a restart, the quiet time goes on
            before = self._database.read(lambda it: rule_rows.last_fired(it, rule.id, source))
            with self._lock:
                self._states.setdefault(key, engine.State(fired=before))
        with self._lock:
            state = self._states.get(key, engine.State())
            if len(self._states) > _STATES_MAX:  # sources may call themselves what they like
                self._states.pop(next(iter(self._states)))
            self._states[key], fires = engine.step(rule.condition, rule.quiet_s, state, hit=hit, time=time)
        return fires

    def _write(
        self, rule: Rule, source: str, payload: dict[str, Any], *, page: bool = False
    ) -> tuple[Delivery, ...]:
        made = [_delivery(rule, action, source, payload) for action in rule.actions]
        told = [_shown(one, page=page) if one.kind == "browser" else one for one in made]
        wanted = list(zip(told, rule.actions, strict=True))
        self._database.write(
            lambda it: rule_rows.put(it, rule, wanted, unseen_s=self._unseen_s),
            alone=any(one.kind == "browser" for one in made),  # their stamps rise
        )
        if any(action.kind == "log" for action in rule.actions):
            _log.warning("Rule %r: %s at %s.", rule.name, rule.condition.what, source)
        self._courier.wake()
        return tuple(one for one, _ in wanted)

    def _current(self) -> tuple[Rule, ...]:
        with self._lock:
            if clock.monotonic() - self._looked < _LOOK_AGAIN_S:
                return self._rules
        found = self._database.read(rule_rows.everyone) if self._is_there() else ()
        if found:
            self._courier.start()
        with self._lock:
            self._rules, self._looked = found, clock.monotonic()
            known = {rule.id for rule in found}
            self._states = {key: state for key, state in self._states.items() if key[0] in known}
            return self._rules

    def _forget(self) -> None:
        with self._lock:
            self._looked = float("-inf")

    def _is_there(self) -> bool:
        """Whether there is a database; asking about rules does not make one."""
        return self._database.file is None or self._database.file.exists()


def _alert(rule: Rule, source: str, score: float, time: float) -> Alert:
    browser = any(action.kind == "browser" for action in rule.actions)
    return Alert(rule.id, rule.name, rule.condition.what, round(score, 4), source, time, browser)


def _delivery(rule: Rule, action: Action, source: str, payload: dict[str, Any]) -> Delivery:
    return Delivery(
        id=f"msg_{secrets.token_hex(12)}",
        rule=rule.id,
        kind=action.kind,
        to=target_of(action),
        payload=payload,
        source=source,
        state="delivered" if action.kind in AT_ONCE else "waiting",
        created=clock.time(),
        owner=rule.owner,
    )


def _shown(one: Delivery, *, page: bool) -> Delivery:
    """A notification is shown by the page that took the capture; where none did, it waits for any page."""
    if page:
        return replace(one, state="delivered", answer=SHOWN)
    return replace(one, answer=OFFERED)


def _payload(rule: Rule, source: str, score: float, time: float, result: Result | None) -> dict[str, Any]:
    """The event: ``type``, ``timestamp`` and ``data``, as Standard Webhooks advises."""
    data: dict[str, Any] = {
        "rule": {"id": rule.id, "name": rule.name},
        **asdict(rule.condition),
        "score": round(score, 4),
        "source": source,
    }
    if result is not None:
        data["model"] = {"name": result.model.name, "version": result.model.version}
        data["result"] = {"id": result.id, "width": result.width, "height": result.height}
        if isinstance(result.prediction, Staged):
            data["verdict"], data["verdict_title"] = result.prediction.verdict, result.prediction.title
    stamp = datetime.fromtimestamp(time, UTC).isoformat(timespec="milliseconds")
    return {"type": "rule.fired", "timestamp": stamp, "data": data}
