"""What a person says about a model while importing it: everything optional, nothing trusted."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from sightline.errors import BadOption

LABELS_BYTES_MAX = 4 << 20
_SYNSET = re.compile(r"^n\d{8}\s+")
_NUMBER = re.compile(r"^\d+\s*[:,\t ]\s*")


@dataclass(frozen=True, slots=True)
class Hints:
    """``None`` means: propose it. Names follow ``model.json``."""

    name: str | None = None
    version: str | None = None
    title: str | None = None
    description: str | None = None
    task: str | None = None
    labels: Sequence[str] | Path | None = None
    """The labels, or a text file with one label per line (or a JSON list)."""
    licence: str | None = None
    origin: str | None = None
    initialisation: str | None = None
    layout: str | None = None
    dtype: str | None = None
    color: str | None = None
    width: int | None = None
    height: int | None = None
    sizes: Sequence[int] | None = None
    resize: str | None = None
    anchor: str | None = None
    pad_value: int | None = None
    short_side: int | None = None
    multiple_of: int | None = None
    crop_fraction: float | None = None
    scale: float | None = None
    mean: Sequence[float] | None = None
    std: Sequence[float] | None = None
    head: str | None = None
    head_options: Mapping[str, Any] = field(default_factory=dict)
    min_score: float | None = None
    iou: float | None = None
    max_results: int | None = None
    metrics: Mapping[str, Any] | None = None
    card: str | None = None
    """Text of CARD.md."""
    sha256: str | None = None
    """What ``model.onnx`` must hash to, as its publisher says."""

    @staticmethod
    def of(given: Mapping[str, Any]) -> "Hints":
        """Keyword arguments -> hints; a key that is none is an error that names the valid ones."""
        known = {item.name for item in fields(Hints)}
        unknown = sorted(set(given) - known)
        if unknown:
            raise BadOption(
                f"There is no import option {unknown[0]!r}.",
                next_step=f"Use one of: {', '.join(sorted(known))}.",
            )
        return Hints(**given)

    @property
    def label_list(self) -> tuple[str, ...] | None:
        """The labels, read from their file if they are in one."""
        if self.labels is None:
            return None
        if isinstance(self.labels, Path):
            return read_labels(self.labels)
        return tuple(str(label).strip() for label in self.labels)

    def given(self, *names: str) -> dict[str, Any]:
        """Those of the named hints that were given."""
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}


def read_labels(path: Path) -> tuple[str, ...]:
    """Labels from a file: one per line, or a JSON list. Numbering and WordNet ids in front are dropped.

    Raises:
        BadOption: It cannot be read as a list of labels.
    """
    try:
        if path.stat().st_size > LABELS_BYTES_MAX:
            raise BadOption(f"The label file {path.name} may have {LABELS_BYTES_MAX} bytes, it has more.")
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BadOption(
            f"The label file {path.name} cannot be read: {type(error).__name__}.",
            next_step="Give a UTF-8 text file with one label per line.",
        ) from error
    labels = parse_labels(text)
    if not labels:
        raise BadOption(f"The label file {path.name} holds no label.")
    return labels


def parse_labels(text: str) -> tuple[str, ...]:
    """Labels from text: a JSON list, a JSON object of numbers to names, or lines."""
    stripped = text.strip()
    if stripped.startswith(("[", "{")):
        try:
            found = json.loads(stripped)
        except (ValueError, RecursionError):
            found = None
        if isinstance(found, dict):
            found = [name for _, name in sorted(found.items(), key=lambda item: (len(item[0]), item[0]))]
        if isinstance(found, list) and all(isinstance(name, str) for name in found):
            return tuple(name.strip() for name in found)
    lines = [line.strip() for line in stripped.splitlines() if line.strip()]
    if lines and all(_SYNSET.match(line) for line in lines):
        return tuple(_SYNSET.sub("", line) for line in lines)
    if lines and all(_numbered(line, index) for index, line in enumerate(lines)):
        return tuple(_NUMBER.sub("", line) for line in lines)
    return tuple(lines)


def _numbered(line: str, index: int) -> bool:
    mark = _NUMBER.match(line)
    return bool(mark) and int(re.match(r"\d+", line)[0]) == index  # type: ignore[index]
