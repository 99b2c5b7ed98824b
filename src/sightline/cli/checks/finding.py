"""One thing that ``sightline doctor`` has to say."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

Level: TypeAlias = Literal["ok", "note", "warning", "problem"]


@dataclass(frozen=True, slots=True)
class Finding:
    """``problem`` means something will not work; ``warning``, that it works less well or less safely."""

    area: str
    level: Level
    words: str
    fix: str = ""


def ok(area: str, words: str) -> Finding:
    return Finding(area, "ok", words)
