"""What a rule may wait for: the labels of the models that are here, and the verdicts of the pipelines."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from sightline.manifest import Manifest

_CLOSE_MAX: Final = 3


@dataclass(frozen=True, slots=True)
class Word:
    """A label or a verdict."""

    what: str
    title: str
    """In words for people; of a label, the same."""
    models: tuple[str, ...]
    """Who says it."""


def known(manifests: Iterable[Manifest]) -> tuple[Word, ...]:
    """All of them, verdicts first, each once; a verdict that two pipelines call differently, under both."""
    found: dict[tuple[bool, str, str], list[str]] = {}
    for manifest in manifests:
        titles = manifest.pipeline.verdicts.titles if manifest.pipeline else {}
        for label in manifest.labels:
            key = (manifest.pipeline is None, label, titles.get(label, label))
            found.setdefault(key, []).append(manifest.name)
    return tuple(
        Word(what, title, tuple(dict.fromkeys(models))) for (_, what, title), models in sorted(found.items())
    )


def warning(what: str, words: tuple[Word, ...]) -> str:
    """Why a rule would never fire with the models that are here; empty: one of them says ``what``."""
    wanted = what.casefold()
    if any(wanted in (word.what.casefold(), word.title.casefold()) for word in words):
        return ""
    near = dict.fromkeys([*_holding(wanted, words), *_alike(wanted, words)])
    close = f" Close to it: {', '.join(list(near)[:_CLOSE_MAX])}." if near else ""
    return f"No model here says {what[:60]!r}, so this rule waits until one that does is installed.{close}"


def _holding(wanted: str, words: tuple[Word, ...]) -> list[str]:
    """Those whose title has it inside: ``delivery rider`` is in the title of ``rider``."""
    return [word.what for word in words if wanted in word.title.casefold()]


def _alike(wanted: str, words: tuple[Word, ...]) -> list[str]:
    """Those that are a slip of the finger away."""
    by_name = {word.what.casefold(): word.what for word in words}
    return [by_name[name] for name in difflib.get_close_matches(wanted, by_name, _CLOSE_MAX, 0.75)]
