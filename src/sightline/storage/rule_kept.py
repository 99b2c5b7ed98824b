"""The nouns of rules, without the database: what to do when something is seen, and what became of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from sightline.storage.kept import ME

ActionKind = Literal["webhook", "command", "email", "log", "browser"]
DeliveryState = Literal["waiting", "sending", "delivered", "failed"]
AT_ONCE: Final[tuple[ActionKind, ...]] = ("log",)
"""These are over when the rule fires: nobody tries them again."""


@dataclass(frozen=True, slots=True)
class Condition:
    """``what`` scores at least ``min_score`` in ``hits`` of the last ``of`` captures of one source."""

    what: str
    """A label, or a pipeline's verdict."""
    min_score: float = 0.5
    hits: int = 1
    of: int = 1


@dataclass(frozen=True, slots=True)
class Action:
    """What to do: ``to`` is an address (webhook, email), ``argv`` a command without a shell."""

    kind: ActionKind
    to: str = ""
    argv: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """When the condition holds, do the actions, then be quiet for ``quiet_s`` (per source)."""

    id: str
    name: str
    condition: Condition
    actions: tuple[Action, ...]
    quiet_s: float = 600.0
    sources: tuple[str, ...] = ()
    """Only captures of these sources; empty: of all."""
    secret: str = field(default="", repr=False)
    """Signs the webhooks; shown once."""
    created: float = 0.0
    owner: str = ME


@dataclass(frozen=True, slots=True)
class Delivery:
    """One action of one firing, and how far it has got. Times are Unix seconds by the database's clock."""

    id: str
    rule: str
    kind: ActionKind
    to: str
    """Where it goes, for people; of a command, its words."""
    payload: Mapping[str, Any]
    source: str
    state: DeliveryState
    created: float
    attempts: int = 0
    due: float = 0.0
    """When it is tried next."""
    finished: float | None = None
    status: int | None = None
    """HTTP status or exit code of the last attempt."""
    answer: str = ""
    """First words of the last answer, or what went wrong."""
    owner: str = ME
    token: str = field(default="", repr=False)
    """Of the attempt under way: only who holds it may write down how it ended."""


@dataclass(frozen=True, slots=True)
class Notice:
    """A notification that pages may show: a delivery of the kind ``browser``."""

    number: int
    """Rises: whoever knows one was told of all before it."""
    delivery: Delivery
    result: str
    """Id of the stored result that made the rule fire; empty: none is kept."""
