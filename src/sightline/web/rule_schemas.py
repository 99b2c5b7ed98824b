"""The JSON of rules over HTTP as types; OpenAPI is made from them."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from sightline.web.schemas import Body


class _Wish(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class ActionWish(_Wish):
    """What to do. Commands are for the command line only."""

    kind: Literal["webhook", "email", "log", "browser"]
    url: str | None = Field(default=None, max_length=2048, description="Of a webhook.")
    to: str | None = Field(default=None, max_length=256, description="Of an e-mail.")


class RuleWish(_Wish):
    """When `what` scores `min_score` or more in `hits` of the last `of` captures of a source: act."""

    what: str = Field(
        min_length=1, max_length=200, description="A label, or a verdict of a pipeline or its title."
    )
    actions: list[ActionWish] = Field(min_length=1, max_length=10)
    name: str = Field(default="", max_length=200)
    min_score: float = Field(default=0.5, ge=0, le=1)
    hits: int = Field(default=1, ge=1, le=100)
    of: int = Field(default=1, ge=1, le=100)
    quiet_s: float = Field(default=600.0, ge=0, description="Seconds of quiet after it fired, per source.")
    sources: list[str] = Field(default=[], max_length=50, description="Only these; empty: all.")


class ActionBody(Body):
    """What is done."""

    kind: Literal["webhook", "command", "email", "log", "browser"]
    to: str = Field(description="An address; of a command, its words.")


class RuleBody(Body):
    """A rule."""

    id: str
    name: str
    what: str
    min_score: float
    hits: int
    of: int
    quiet_s: float
    sources: list[str]
    actions: list[ActionBody]
    created: str = Field(description="ISO 8601, UTC.")
    warning: str | None = Field(description="Why it cannot fire with the models that are here; null: it can.")
    secret: str | None = Field(
        default=None,
        description="Signs the webhooks. Only in the answer that made the rule.",
    )


class RuleListBody(Body):
    """All rules, the oldest first."""

    rules: list[RuleBody]


class WordBody(Body):
    """A label or a verdict."""

    what: str
    title: str = Field(description="In words for people.")
    models: list[str] = Field(description="Who says it.")


class WordListBody(Body):
    """What rules may wait for, verdicts first."""

    words: list[WordBody]


class DeliveryBody(Body):
    """One action of one firing."""

    id: str = Field(description="Of a webhook, its `webhook-id`.")
    rule: str
    kind: Literal["webhook", "command", "email", "log", "browser"]
    to: str
    source: str
    state: Literal["waiting", "sending", "delivered", "failed"]
    attempts: int
    created: str = Field(description="ISO 8601, UTC.")
    due: str | None = Field(
        description="When it is tried next, or how long a notification waits for a page; null: it has ended."
    )
    finished: str | None
    status: int | None = Field(description="HTTP status or exit code of the last attempt.")
    answer: str = Field(description="First words of the last answer, or what went wrong.")
    payload: dict[str, Any]


class DeliveryListBody(Body):
    """Deliveries, the newest first."""

    deliveries: list[DeliveryBody]
    next: str | None = Field(description="Give it back as `before`; null: this was the last.")
