"""Facts + hints -> a manifest, and for each thing that nobody said, what is proposed and why."""

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from pydantic import ValidationError

from sightline.errors import BadOption, ModelRefused
from sightline.manifest import Manifest
from sightline.runtime.facts import Facts
from sightline.serving.families import FAMILIES, Guess
from sightline.serving.hints import Hints, parse_labels
from sightline.serving.picture_input import PictureInput, find_picture_input
from sightline.vision.heads import HEADS

Proposal = tuple[str, str, str]
"""(field, value, why), in words for people."""
_INPUT_HINTS = (
    "color", "width", "height", "sizes", "resize", "anchor", "pad_value", "short_side", "multiple_of",
    "crop_fraction", "scale", "mean", "std",
)  # fmt: skip
_BACKGROUNDS = frozenset({"deeplab"})
"""Heads whose class 0 is usually a background."""
_NEUTRAL = {"color": "RGB", "scale": 1.0, "mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
_METADATA_LABELS = ("labels", "names", "classes", "class_names", "classnames")


@dataclass(slots=True)
class Draft:
    """A manifest in the making."""

    values: dict[str, Any] = field(default_factory=dict)
    proposals: list[Proposal] = field(default_factory=list)

    def propose(self, name: str, value: object, why: str) -> None:
        """Note what was decided without being told."""
        text = str(value)
        if isinstance(value, tuple) and len(value) > 3:
            text = f"{len(value)} labels: {', '.join(map(str, value[:3]))}, …"
        self.proposals.append((name, text, why))


def propose(facts: Facts, hints: Hints, source: str) -> tuple[Manifest, tuple[Proposal, ...]]:
    """A manifest for a bare ONNX file.

    Raises:
        ModelRefused: The outputs are of no known family and no head was named, none fits a picture.
        BadOption: Hints contradict the file or each other, or labels are missing.
    """
    picture = find_picture_input(facts, hints)
    guess = _guess(facts, picture, hints)
    draft = Draft()
    _name(draft, hints, source)
    _input(draft, hints, picture, guess)
    _head(draft, hints, guess)
    _labels(draft, hints, guess, facts)
    values = draft.values
    values |= hints.given("title", "description", "licence", "origin", "initialisation", "metrics")
    thresholds = {**guess.thresholds, **hints.given("min_score", "iou", "max_results")}
    values["thresholds"] = thresholds
    if hints.licence is None:
        draft.propose("licence", "unknown", "the file does not say; ask whoever published it")
    return build(values), tuple(draft.proposals)


def amend(manifest: Manifest, hints: Hints) -> Manifest:
    """The manifest of a ready bundle with the given hints over it."""
    values = manifest.model_dump()
    values |= hints.given(
        "name", "version", "title", "description", "task", "licence", "origin", "initialisation", "metrics"
    )
    values["input"] |= hints.given("layout", "dtype", *_INPUT_HINTS)
    values["thresholds"] |= hints.given("min_score", "iou", "max_results")
    if hints.head is not None:
        values["head"] = {"kind": hints.head, "options": dict(hints.head_options)}
    labels = hints.label_list
    if labels is not None:
        values["labels"] = labels
    return build(values)


def build(values: Mapping[str, Any]) -> Manifest:
    """Values -> manifest; a value that breaks a rule is the importer's to mend, so it is a BadOption."""
    try:
        return Manifest.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the manifest"
        raise BadOption(
            f"The manifest would be invalid: {place}: {first['msg'].rstrip('.')}.",
            next_step="docs/reference/manifest.md lists every field and its range.",
        ) from error


def _guess(facts: Facts, picture: PictureInput, hints: Hints) -> Guess:
    found = next((guess for family in FAMILIES if (guess := family(facts, picture))), None)
    if hints.head is None:
        if found is None:
            shown = "; ".join(str(port) for port in facts.outputs[:8])
            raise ModelRefused(
                f"Sightline cannot tell how to read the outputs: {shown}.",
                next_step=f"Name the reader with --head, one of: {', '.join(sorted(HEADS))}.",
            )
        return found
    if hints.head not in HEADS:
        raise BadOption(
            f"There is no head {hints.head!r}.", next_step=f"Use one of: {', '.join(sorted(HEADS))}."
        )
    if found is not None and HEADS[found.head].task == HEADS[hints.head].task:
        return Guess(
            found.family, found.why, found.task, hints.head, found.input, found.labels, found.classes,
            found.options if found.head == hints.head else {}, found.thresholds,
        )  # fmt: skip
    return Guess("named by hand", "you named it", HEADS[hints.head].task, hints.head, {"resize": "stretch"})


def _name(draft: Draft, hints: Hints, source: str) -> None:
    if hints.name is None:
        stem = PurePath(source).stem.lower()
        name = re.sub(r"[^a-z0-9._-]+", "-", stem).strip("-._")[:64] or "model"
        draft.values["name"] = name
        draft.propose("name", name, "from the file's name")
    draft.values |= hints.given("name", "version")


def _input(draft: Draft, hints: Hints, picture: PictureInput, guess: Guess) -> None:
    file = {"tensor": picture.tensor, "layout": picture.layout, "dtype": picture.dtype}
    size = {name: getattr(picture, name) for name in ("width", "height") if getattr(picture, name)}
    given = hints.given(*_INPUT_HINTS)
    for name, wanted in given.items():
        if name in size and wanted != size[name]:
            raise BadOption(
                f"The file fixes the input's {name} at {size[name]}, but {wanted} was asked for.",
                next_step="Leave --size out.",
            )
    values = {**_NEUTRAL, **file, **guess.input, **size, **given}
    for name in ("width", "height"):
        if name not in values:
            raise BadOption(
                f"The file leaves the input's {name} free, and nothing else says it.",
                next_step="Give --size WIDTHxHEIGHT.",
            )
    draft.values["input"] = values
    for name, value in values.items():
        if name not in given and name != "tensor":
            known = name in file or name in size
            draft.propose(
                f"input.{name}",
                _short(value),
                picture.why if known else f"the habit of {guess.family} models",
            )


def _head(draft: Draft, hints: Hints, guess: Guess) -> None:
    options = {**guess.options, **dict(hints.head_options)}
    draft.values["head"] = {"kind": guess.head, "options": options}
    draft.values["task"] = hints.task or guess.task
    if hints.head is None:
        draft.propose("head", guess.head, f"it looks like {guess.family}: {guess.why}")
    if hints.task is None:
        draft.propose("task", guess.task, f"what the head {guess.head} answers")


def _labels(draft: Draft, hints: Hints, guess: Guess, facts: Facts) -> None:
    labels = hints.label_list
    if labels is None:
        labels, why = _metadata_labels(facts), "from the file's own metadata"
        if labels is None or (guess.classes and len(labels) != guess.classes):
            labels, why = guess.labels, f"what {guess.family} models of this size are trained on"
        if not labels:
            raise BadOption(
                f"The model knows {guess.classes or 'some'} classes, and nothing says what they are called.",
                next_step="Give --labels FILE: one label per line, in the model's order.",
            )
        draft.propose("labels", labels, why)
    draft.values["labels"] = _fit_background(draft, labels, guess)


def _fit_background(draft: Draft, labels: tuple[str, ...], guess: Guess) -> tuple[str, ...]:
    """A class 0 that means `background` is never the answer, so it gets no label."""
    options = draft.values["head"]["options"]
    if "raw_ids" in options and len(options["raw_ids"]) != len(labels):
        del options["raw_ids"]
        options["first_label"] = 1
        draft.propose("head.options.first_label", 1, "other labels than COCO's are numbered from 1")
    if not guess.classes or "first_label" in options:
        return labels
    if len(labels) == guess.classes and labels[0].strip("_ ").lower() == "background":
        labels = labels[1:]
    hidden = guess.classes - len(labels)
    if hidden not in (0, 1) or (hidden == 1 and guess.classes != 1001 and guess.head not in _BACKGROUNDS):
        raise BadOption(
            f"The model has {guess.classes} classes, but {len(labels)} labels were given.",
            next_step="Give one label per class, in the model's order.",
        )
    if hidden or guess.head in _BACKGROUNDS:
        options["first_label"] = hidden
    if hidden:
        draft.propose("head.options.first_label", 1, "class 0 is the background, which is never the answer")
    return labels


def _metadata_labels(facts: Facts) -> tuple[str, ...] | None:
    for key, text in facts.metadata:
        if key.lower() in _METADATA_LABELS:
            labels = _literal_labels(text) or parse_labels(text)
            if len(labels) > 1:
                return labels
    return None


def _literal_labels(text: str) -> tuple[str, ...]:
    """Some exporters write the text of a Python dictionary: ``{0: 'person', 1: 'car'}``."""
    try:
        found = ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return ()
    if isinstance(found, dict) and all(isinstance(key, int) for key in found):
        found = [found[key] for key in sorted(found)]
    if isinstance(found, list) and all(isinstance(name, str) for name in found):
        return tuple(found)
    return ()


def _short(value: object) -> object:
    return round(value, 6) if isinstance(value, float) else value
