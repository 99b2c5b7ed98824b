"""The query of a prediction, read strictly: a misspelt option is an error, not silence."""

import math
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl

from sightline.errors import BadOption
from sightline.formats.text import labels_of
from sightline.types import RESULTS_MAX, Ask

NAMES: Final = ("model", "min_score", "max_results", "labels", "size", "store", "capture")
_QUERY_MAX: Final = 8 * 1024
_NAME_MAX: Final = 100
_TRUE: Final = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


@dataclass(frozen=True, slots=True)
class Options:
    """What a request asks besides its pictures."""

    ask: Ask = field(default_factory=Ask)
    model: str | None = None
    store: bool = False
    capture: str = ""
    """The camera that the picture is of: its rules are told, and the answer has their ``alerts``."""


def options_of(query: bytes, fields: list[tuple[str, str]] | None = None) -> Options:
    """Options from the query string and from form fields of the same names; the query wins.

    Raises:
        BadOption: An unknown name, one given twice, or a value out of range.
    """
    if not query and not fields:
        return Options()
    values: dict[str, str] = {}
    labels: list[str] = []
    for name, value in (*_pairs(query), *(fields or ())):
        if name not in NAMES:
            raise BadOption(
                f"There is no option {name[:60]!r}.", next_step=f"The options are {', '.join(NAMES)}."
            )
        if name == "labels":
            labels += labels_of(value)
        else:
            values.setdefault(name, value)
    ask = Ask(
        min_score=score_of(values["min_score"]) if "min_score" in values else None,
        max_results=count_of(values["max_results"]) if "max_results" in values else None,
        labels=frozenset(labels) if labels else None,
        size=size_of(values["size"]) if "size" in values else None,
    )
    store = _truth("store", values.get("store", "false"))
    return Options(ask, values.get("model") or None, store, capture_of(values.get("capture", "")))


def _pairs(query: bytes) -> list[tuple[str, str]]:
    if len(query) > _QUERY_MAX:
        raise BadOption(f"The query may have {_QUERY_MAX} characters, this one has {len(query)}.")
    try:
        pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True, max_num_fields=64, errors="strict")
    except ValueError as error:
        raise BadOption("The query must be name=value pairs in UTF-8, at most 64.") from error
    seen = [name for name, _ in pairs if name != "labels"]
    if len(seen) != len(set(seen)):
        raise BadOption("The query gives an option twice.")
    return pairs


def score_of(text: str) -> float:
    """A score from 0 to 1.

    Raises:
        BadOption: Anything else.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise BadOption(f"min_score must be a number from 0 to 1, got {text[:60]!r}.")
    return value


def count_of(text: str) -> int:
    """A count from 1 to 1000.

    Raises:
        BadOption: Anything else.
    """
    if not (text.isascii() and text.isdigit() and len(text) < 6 and 1 <= int(text) <= RESULTS_MAX):
        raise BadOption(f"max_results must be a whole number from 1 to {RESULTS_MAX}, got {text[:60]!r}.")
    return int(text)


def size_of(text: str) -> int:
    """The side of a canvas; whether the model offers it is the road's to say.

    Raises:
        BadOption: No whole number above zero.
    """
    if not (text.isascii() and text.isdigit() and len(text) < 6 and int(text)):
        raise BadOption(f"size must be a whole number of pixels, got {text[:60]!r}.")
    return int(text)


def capture_of(text: str) -> str:
    """The name of a camera, for rules; empty: the picture is of none.

    Raises:
        BadOption: Too long, or with characters that cannot be seen.
    """
    if len(text) > _NAME_MAX or not text.isprintable():
        raise BadOption(f"capture must be the name of a camera, at most {_NAME_MAX} characters.")
    return text.strip()


def _truth(name: str, text: str) -> bool:
    if text.lower() not in _TRUE:
        raise BadOption(f"{name} must be true or false, got {text[:60]!r}.")
    return _TRUE[text.lower()]
