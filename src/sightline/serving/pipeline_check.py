"""What is wrong with a pipeline, place by place: the one examination for files, the page and HTTP.

First the description by itself, then against the models that are here. A stage is a model and never a
pipeline, so no pipeline can lead back to itself.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError

from sightline.errors import BadOption, ModelRefused, NotFound
from sightline.manifest import NAME_PATTERN, Manifest
from sightline.manifest.pipeline import FirstStage, Pipeline
from sightline.registry import Bundle, Registry
from sightline.registry.bundle import pipeline_manifest
from sightline.registry.labels import near

HOW: Final = "docs/how-to/pipelines.md shows a whole one."
_PLACE: Final = re.compile(r"(first|crop|second|verdicts)(\.[a-z_]+)*(?=[ :\[])")
_PLAIN: Final = {
    "string_pattern_mismatch": "wanted lower-case letters, digits, dots, hyphens and underscores, a letter "
    "or digit first",
    "too_short": "wanted at least 1, got none",
    "string_too_short": "wanted a word, got nothing",
    "missing": "is missing",
    "extra_forbidden": "is nothing that a pipeline has",
}
"""Plainer words for what people run into."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is off."""

    field: str
    """Where, as in the TOML file: ``first.labels``; empty: the pipeline as a whole."""
    message: str
    next_step: str


def examine(given: Mapping[str, Any], registry: Registry) -> tuple[Manifest | None, list[Fault]]:
    """All that is off with a pipeline as people write it, and what it is otherwise.

    Args:
        given: The fields of ``pipeline.toml``, as plain values.
        registry: The models that are here.

    Returns:
        The manifest (None where the description by itself is off already), and the faults.
    """
    try:
        manifest = pipeline_manifest(given)
    except ValidationError as error:
        told = faults_of(error)
        known = {fault.field for fault in told}
        if "second.verdicts" in known:  # their order can only be mended after them
            told = [fault for fault in told if fault.field != "verdicts.order"]
        return None, told + [fault for fault in _early(given, registry) if fault.field not in known]
    return manifest, list(faults_in(manifest, registry))


def check(manifest: Manifest, registry: Registry) -> None:
    """Compare a pipeline with the models that it names.

    Raises:
        ModelRefused: One is not here, is of the wrong kind, or lacks a label.
    """
    for fault in faults_in(manifest, registry):
        raise ModelRefused(fault.message, next_step=fault.next_step)


def faults_of(error: ValidationError) -> list[Fault]:
    """What the description says wrongly by itself."""
    found = []
    for one in error.errors(include_url=False, include_context=False, include_input=False):
        words = str(one["msg"]).removeprefix("Value error, ").rstrip(".")
        place = ".".join(str(part) for part in one["loc"])
        told = _PLACE.match(words)  # rules over several fields begin with the one that is off
        if told or not place:
            found.append(Fault(told[0] if told else "", f"{words}.", HOW))
            continue
        words = _PLAIN.get(one["type"], words)
        found.append(Fault(place, f"{place}: {words}.", HOW))
    return found


def _early(given: Mapping[str, Any], registry: Registry) -> Iterator[Fault]:
    """What can be said of the name and of stage one, for people who have not come to stage two yet."""
    name = str(given.get("name", ""))
    if not re.match(NAME_PATTERN, name):
        yield Fault("name", f"name: {_PLAIN['string_pattern_mismatch']}.", HOW)
    try:
        stage = FirstStage.model_validate(given.get("first"))
    except ValidationError:
        return
    first = _stage(name, "first", stage.model, registry)
    if isinstance(first, Fault):
        yield first
    else:
        yield from _of_first(stage, first)


def faults_in(manifest: Manifest, registry: Registry) -> Iterator[Fault]:
    """What is off with a pipeline beside the models that are here."""
    pipeline = manifest.pipeline
    assert pipeline is not None
    yield from _of_name(manifest.name, registry)
    first = _stage(manifest.name, "first", pipeline.first.model, registry)
    if isinstance(first, Fault):
        yield first
    else:
        yield from _of_first(pipeline.first, first)
        if pipeline.second.rule is None and first.task == "classify" and pipeline.crop.of == "box":
            yield Fault(
                "crop.of",
                f"{first.name} finds no boxes, so there is nothing to cut out.",
                'Write `of = "frame"` in [crop], or take a detector as the first stage.',
            )
    if pipeline.second.rule is not None:
        if isinstance(first, Bundle):
            yield from _of_rule(pipeline, first)
        return
    second = _stage(manifest.name, "second", pipeline.second.model, registry)
    if isinstance(second, Fault):
        yield second
        return
    if second.task != "classify":
        yield Fault(
            "second.model",
            f"second.model must be a classifier, but {second.name} is for the task {second.task!r}.",
            "Name a model of the task classify, or write a rule.",
        )
        return
    yield from _labels("second.verdicts", tuple(pipeline.second.verdicts), second)


def _of_name(name: str, registry: Registry) -> Iterator[Fault]:
    try:
        there = registry.find(name)
    except NotFound:
        return
    if there.manifest.pipeline is None:
        yield Fault(
            "name",
            f"name: {name!r} is a model that is here, whose place the pipeline would take.",
            "Give the pipeline a name of its own.",
        )


def _of_first(stage: FirstStage, first: Bundle) -> Iterator[Fault]:
    yield from _labels("first.labels", stage.labels, first)
    try:
        first.manifest.at(stage.size)
    except BadOption as error:
        yield Fault("first.size", f"first.size: {error.message}", error.next_step)


def _of_rule(pipeline: Pipeline, first: Bundle) -> Iterator[Fault]:
    assert pipeline.second.rule is not None
    if first.task == "classify":
        yield Fault(
            "first.model",
            f"A rule looks at boxes, but {first.name} is a classifier.",
            "Take a detector as the first stage.",
        )
        return
    for place, sign in enumerate(pipeline.second.rule.signs):
        yield from _labels(f"second.rule.signs.{place}.labels", sign.labels, first)


def _stage(pipeline: str, stage: str, name: str, registry: Registry) -> Bundle | Fault:
    field = f"{stage}.model"
    if name.partition("@")[0] == pipeline:
        return Fault(field, f"{field} of {pipeline} names itself: that would never end.", "Name a model.")
    try:
        found = registry.find(name)
    except NotFound as error:
        return Fault(
            field,
            f"{field} names {name!r}, which is not here. {error.message}",
            "Import or pull that model first.",
        )
    if found.stages:
        return Fault(
            field,
            f"{field} names {found.reference}, which is a pipeline itself; a stage must be a model.",
            f"Name one of its models: {', '.join(found.stages)}.",
        )
    return found


def _labels(field: str, wanted: tuple[str, ...], bundle: Bundle) -> Iterator[Fault]:
    for label in wanted:
        if label not in bundle.labels:
            known = near(label, bundle.labels)
            advice = (
                f"Did you mean {', '.join(known)}?"
                if known
                else f"See `sightline models show {bundle.name}`."
            )
            yield Fault(field, f"{field}: {bundle.reference} has no label {label!r}.", advice)
