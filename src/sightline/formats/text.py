"""A result in words: ``2 people and a dog``."""

from collections import Counter
from collections.abc import Iterable
from urllib.parse import unquote

from sightline.types import Classification, Result, Segments, Staged

_PLURALS = {
    "person": "people", "mouse": "mice", "knife": "knives", "sheep": "sheep", "skis": "skis",
    "scissors": "scissors", "broccoli": "broccoli", "child": "children", "man": "men", "woman": "women",
    "tooth": "teeth", "foot": "feet", "goose": "geese", "fish": "fish", "deer": "deer", "leaf": "leaves",
    "shelf": "shelves", "wolf": "wolves", "wine glass": "wine glasses",
}  # fmt: skip
_BARE = frozenset({"skis", "scissors", "broccoli", "sheep"})
_SHOWN = 8


def describe(result: Result) -> str:
    """One short sentence without a full stop: what was found, the most frequent first."""
    prediction = result.prediction
    if isinstance(prediction, Classification):
        if not len(prediction.label):
            return "nothing certain enough"
        name = result.labels[int(prediction.label[0])]
        return f"{name} ({float(prediction.score[0]):.0%})"
    if isinstance(prediction, Staged):
        told = prediction.title or prediction.verdict
        seen = _counted(result.labels[label] for label in prediction.first.label.tolist())
        return f"{told} ({seen})" if seen else told
    found = prediction.detections if isinstance(prediction, Segments) else prediction
    return _counted(result.labels[label] for label in found.label.tolist()) or "nothing"


def _counted(labels: Iterable[str]) -> str:
    """``2 people and a dog``; empty for none."""
    counts = Counter(labels)
    if not counts:
        return ""
    parts = [count_of(label, count) for label, count in counts.most_common(_SHOWN)]
    if len(counts) > _SHOWN:
        parts.append(f"{len(counts) - _SHOWN} more kinds")
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def count_of(label: str, count: int) -> str:
    """``a dog``, ``an apple``, ``scissors``, ``3 people``."""
    if count != 1:
        return f"{count} {plural(label)}"
    if label.lower() in _BARE:
        return label
    lower = label.lower()
    vowel = lower.startswith(("a", "e", "i", "o", "u")) and not lower.startswith(("uni", "use", "eu", "one"))
    return f"{'an' if vowel else 'a'} {label}"


def plural(label: str) -> str:
    """The English plural of a label, good enough for nouns that models know."""
    lower = label.lower()
    if lower in _PLURALS:
        return _PLURALS[lower]
    if lower.endswith(("s", "x", "z", "ch", "sh")):
        return label + "es"
    if lower.endswith("y") and lower[-2:-1] not in "aeiou":
        return label[:-1] + "ies"
    return label + "s"


def labels_of(text: str) -> list[str]:
    """Labels separated by commas; a comma within one is written ``%2C``, a percent sign ``%25``."""
    return [unquote(label.strip()) for label in text.split(",") if label.strip()]


def as_typed(label: str) -> str:
    """A label as `labels_of` wants it."""
    return label.replace("%", "%25").replace(",", "%2C")
