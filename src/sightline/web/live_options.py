"""The text messages of a live connection: its options, read as strictly as a query."""

import json
from dataclasses import dataclass, field
from typing import Any, Final

from sightline.errors import BadOption
from sightline.types import Ask
from sightline.web.intake import clean_name
from sightline.web.options import Options, count_of, score_of, size_of

NAMES: Final = ("model", "size", "min_score", "max_results", "labels", "keep", "source")
TEXT_MAX: Final = 8 * 1024
_LABELS_MAX: Final = 1000


@dataclass(frozen=True, slots=True)
class LiveOptions:
    """What holds for the pictures that follow; each message replaces all of it."""

    options: Options = field(default_factory=Options)
    source: str = ""
    """Where the pictures come from, for people."""


def read_options(text: str) -> LiveOptions:
    """Options from a message; what it leaves out, or gives as null, is the default again.

    Raises:
        BadOption: No JSON object, an unknown name, or a value of the wrong kind or out of range.
    """
    wishes = {name: value for name, value in _object(text).items() if value is not None}
    for name in wishes:
        if name not in NAMES:
            step = f"The options are {', '.join(NAMES)}."
            raise BadOption(f"There is no option {name[:60]!r}.", next_step=step)
    labels = wishes.get("labels")
    ask = Ask(
        min_score=score_of(_number("min_score", wishes)) if "min_score" in wishes else None,
        max_results=count_of(_number("max_results", wishes)) if "max_results" in wishes else None,
        labels=_labels(labels) if labels else None,
        size=size_of(_number("size", wishes)) if "size" in wishes else None,
    )
    keep = wishes.get("keep", False)
    if not isinstance(keep, bool):
        raise BadOption(f"keep must be true or false, got {str(keep)[:60]!r}.")
    return LiveOptions(
        Options(ask, _text("model", wishes) or None, store=keep), clean_name(_text("source", wishes))
    )


def _object(text: str) -> dict[str, Any]:
    if len(text) > TEXT_MAX:
        raise BadOption(f"A message with options may have {TEXT_MAX} characters, this one has {len(text)}.")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise BadOption('A text message must be a JSON object with options: {"model": "everyday"}.')
    return found


def _number(name: str, wishes: dict[str, Any]) -> str:
    """The number as it would stand in a query, where the same words read it."""
    value = wishes[name]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadOption(f"{name} must be a number, got {str(value)[:60]!r}.")
    return str(value)


def _text(name: str, wishes: dict[str, Any]) -> str:
    value = wishes.get(name, "")
    if not isinstance(value, str):
        raise BadOption(f"{name} must be a text, got {str(value)[:60]!r}.")
    return value


def _labels(value: Any) -> frozenset[str]:
    if not isinstance(value, list) or len(value) > _LABELS_MAX:
        raise BadOption(f"labels must be a list of at most {_LABELS_MAX} texts.")
    if not all(isinstance(label, str) for label in value):
        raise BadOption("labels must be a list of texts.")
    return frozenset(value)
