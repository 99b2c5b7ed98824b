"""A rule as somebody writes it down, in TOML or JSON: checked field by field before it is kept."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from sightline.errors import BadOption, ConfigError, SightlineError
from sightline.manifest.words import first_fault
from sightline.outbound.mail import check_mail
from sightline.outbound.post import check_address
from sightline.settings import Settings
from sightline.storage.rule_kept import Action, Condition

CAPTURES_MAX = 100
QUIET_MAX_S = 30 * 86_400.0
_ATOM = r"[^\s\x00-\x1f\x7f-\x9f@()<>\[\]:;,.\"\\]{1,64}"
ADDRESS = re.compile(rf"{_ATOM}(\.{_ATOM})*@{_ATOM}(\.{_ATOM})*")
"""A mail address as people have them: RFC 5322 without quotes, comments and addresses in brackets."""


def _is_text(text: str) -> str:
    if "\x00" in text:
        msg = "it cannot hold the character NUL, which neither commands nor databases take"
        raise ValueError(msg)
    return text


Text = Annotated[str, AfterValidator(_is_text)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class WebhookDraft(_Frozen):
    """A signed POST."""

    kind: Literal["webhook"]
    url: str = Field(min_length=1, max_length=2048)


class EmailDraft(_Frozen):
    """A message through the operator's mail server."""

    kind: Literal["email"]
    to: str = Field(max_length=300)

    @field_validator("to")
    @classmethod
    def _is_address(cls, to: str) -> str:
        if not ADDRESS.fullmatch(to):
            msg = f"this is no e-mail address; one looks like jo@example.org, got {to[:60]!r}"
            raise ValueError(msg)
        return to


class CommandDraft(_Frozen):
    """A program on this machine: no shell, the event as JSON on its standard input. Never over HTTP."""

    kind: Literal["command"]
    argv: tuple[Text, ...] = Field(min_length=1, max_length=64)


class PlainDraft(_Frozen):
    """A line in the server's log, or a notification in browsers."""

    kind: Literal["log", "browser"]


ActionDraft = Annotated[WebhookDraft | EmailDraft | CommandDraft | PlainDraft, Field(discriminator="kind")]


class RuleDraft(_Frozen):
    """When ``what`` scores ``min_score`` or more in ``hits`` of ``of`` captures: ``actions``, then quiet."""

    name: Text = Field(default="", max_length=200)
    what: Text = Field(min_length=1, max_length=200, description="A label, or a verdict of a pipeline.")
    min_score: float = Field(default=0.5, ge=0, le=1)
    hits: int = Field(default=1, ge=1, le=CAPTURES_MAX)
    of: int = Field(default=1, ge=1, le=CAPTURES_MAX)
    quiet_s: float = Field(default=600.0, ge=0, le=QUIET_MAX_S)
    sources: tuple[Text, ...] = Field(default=(), max_length=50, description="Only these; empty: all.")
    actions: tuple[ActionDraft, ...] = Field(min_length=1, max_length=10)

    @model_validator(mode="after")
    def _can_fire(self) -> "RuleDraft":
        if self.hits > self.of:
            msg = f"hits must not be more than of: {self.hits} of {self.of} captures can never be."
            raise ValueError(msg)
        return self

    @property
    def condition(self) -> Condition:
        return Condition(self.what, self.min_score, self.hits, self.of)

    @property
    def plain_actions(self) -> tuple[Action, ...]:
        """The actions as they are stored."""
        return tuple(map(_action, self.actions))

    @property
    def title(self) -> str:
        """Its name, or the condition in words."""
        return self.name.strip() or f"{self.what} in {self.hits} of {self.of} captures"


def read_draft(given: Mapping[str, Any], settings: Settings, *, trusted: bool) -> RuleDraft:
    """Check a rule.

    Args:
        given: Its fields.
        settings: For what may be reached from here.
        trusted: It was written on this machine (command line, file), so it may name commands.

    Raises:
        BadOption: A field is off, a command was sent over HTTP, or there is no mail server for e-mail.
        FetchRefused: A webhook goes where none may.
    """
    try:
        draft = RuleDraft.model_validate(given)
    except ValidationError as error:
        place, words = first_fault(error)
        raise BadOption(
            f"{place or 'the rule'}: {words}.",
            next_step="docs/how-to/rules.md shows whole rules.",
            field=place or "of",  # the one rule over several fields
        ) from error
    for number, action in enumerate(draft.actions):
        try:
            _check(action, settings, trusted=trusted)
        except SightlineError as error:
            error.field = f"actions.{number}"
            raise
    return draft


def _check(action: ActionDraft, settings: Settings, *, trusted: bool) -> None:
    if isinstance(action, CommandDraft) and not trusted:
        raise BadOption(
            "A rule that runs a command cannot be made over HTTP.",
            next_step="Make it on the machine itself: `sightline rules add FILE`.",
        )
    if isinstance(action, WebhookDraft):
        check_address(action.url, settings)
    if isinstance(action, EmailDraft):
        try:
            check_mail(settings)
        except ConfigError as error:  # the rule cannot be, whoever could mend that
            raise BadOption(error.message, next_step=error.next_step) from error


def _action(draft: WebhookDraft | EmailDraft | CommandDraft | PlainDraft) -> Action:
    match draft:
        case WebhookDraft(url=url):
            return Action("webhook", to=url)
        case EmailDraft(to=to):
            return Action("email", to=to)
        case CommandDraft(argv=argv):
            return Action("command", argv=argv)
        case PlainDraft(kind=kind):
            return Action(kind)
