"""Taking in pipelines, and changing their second stage: everything is checked before it is on the shelf.

A stage is a model and never a pipeline, so no pipeline can lead back to itself.
"""

import tempfile
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path

from pydantic import ValidationError

from sightline.errors import BadOption, ModelRefused, NotFound
from sightline.manifest import Manifest
from sightline.manifest.pipeline import Pipeline, SecondStage
from sightline.registry import (
    CARD_FILE,
    MANIFEST_FILE,
    MODEL_FILE,
    PIPELINE_FILE,
    Bundle,
    Registry,
    read_bundle,
)
from sightline.registry.bundle import first_line, is_regular, read_pipeline
from sightline.serving.importer import free_version

_HOW = "docs/how-to/pipelines.md shows a whole one."


def is_pipeline(source: Path) -> bool:
    """Whether a path is a pipeline to be taken in: a ``.toml`` file, or a bundle folder of one."""
    if source.is_dir():
        here = is_regular(source / PIPELINE_FILE) or is_regular(source / MANIFEST_FILE)
        return here and not (source / MODEL_FILE).exists()
    return source.suffix.lower() == ".toml" and source.is_file()


def import_pipeline(
    source: Path, registry: Registry, *, name: str | None = None, version: str | None = None
) -> Bundle:
    """Check a pipeline against the models that are here, and put it on the shelf.

    ``name`` and ``version`` replace its own; without a version, a name that is taken gets the next one.

    Raises:
        ModelRefused: It breaks a rule, or names a model or a label that there is not.
        NotFound: There is nothing at this path.
    """
    bundle = Bundle(read_pipeline(source), source.parent) if source.is_file() else read_bundle(source)
    if bundle.manifest.pipeline is None:
        raise ModelRefused(f"{source.name!r} holds no model.onnx and is no pipeline either.", next_step=_HOW)
    changed = {"name": name or bundle.name, "version": version or bundle.version}
    manifest = _valid(bundle.manifest.model_dump(mode="json") | changed)
    check(manifest, registry)
    return _put(manifest, bundle.card, registry, keep_version=version is not None)


def set_second(
    registry: Registry,
    name: str,
    model: str,
    *,
    verdicts: Mapping[str, str] | None = None,
    sure: Mapping[str, float] | None = None,
) -> Bundle:
    """Give a pipeline another second stage: a classifier, as the next version of the pipeline.

    Args:
        registry: Where both are.
        name: The pipeline, ``name`` or ``name@version``.
        model: The classifier.
        verdicts: Its label -> verdict. Labels that are called like a verdict (or like its folder in labelled
            data) need no entry; what is left goes to the last verdict of the order.
        sure: Verdict -> least score; those of the pipeline stay for the others.

    Raises:
        NotFound: No such pipeline or model.
        BadOption: It is no pipeline, or an entry names what there is not.
        ModelRefused: The classifier does not fit.
    """
    old, head = registry.find(name), registry.find(model)
    pipeline = old.manifest.pipeline
    if pipeline is None:
        raise BadOption(
            f"{old.reference} is no pipeline.", next_step="`sightline pipelines list` names those here."
        )
    mapping = _mapping(pipeline, head, verdicts or {})
    kept = {verdict: score for verdict, score in pipeline.second.sure.items() if verdict in mapping.values()}
    second = SecondStage(model=model, verdicts=mapping, sure=kept | dict(sure or {}))
    given = old.manifest.model_dump(mode="json")
    given["pipeline"]["second"] = second.model_dump(mode="json")
    given |= {"metrics": {}, "description": _described(given["description"], head)}
    manifest = _valid(given)
    check(manifest, registry)
    return _put(manifest, _card(old.card, head), registry, keep_version=False)


def check(manifest: Manifest, registry: Registry) -> None:
    """Compare a pipeline with the models that it names.

    Raises:
        ModelRefused: One is not here, is of the wrong kind, or lacks a label.
    """
    pipeline = manifest.pipeline
    assert pipeline is not None
    first = _stage(manifest, "first", pipeline.first.model, registry)
    _check_labels("first.labels", pipeline.first.labels, first)
    try:
        first.manifest.at(pipeline.first.size)
    except BadOption as error:
        raise ModelRefused(f"first.size: {error.message}", next_step=error.next_step) from error
    if pipeline.second.rule is not None:
        _check_rule(pipeline, first)
        return
    second = _stage(manifest, "second", pipeline.second.model, registry)
    if second.task != "classify":
        raise ModelRefused(
            f"second.model must be a classifier, but {second.name} is for the task {second.task!r}.",
            next_step="Name a model of the task classify, or write a rule.",
        )
    _check_labels("second.verdicts", tuple(pipeline.second.verdicts), second)
    if first.task == "classify" and pipeline.crop.of == "box":
        raise ModelRefused(
            f"{first.name} finds no boxes, so there is nothing to cut out.",
            next_step='Write `of = "frame"` in [crop], or take a detector as the first stage.',
        )


def _check_rule(pipeline: Pipeline, first: Bundle) -> None:
    if first.task == "classify":
        raise ModelRefused(
            f"A rule looks at boxes, but {first.name} is a classifier.",
            next_step="Take a detector as the first stage.",
        )
    assert pipeline.second.rule is not None
    for place, sign in enumerate(pipeline.second.rule.signs):
        _check_labels(f"second.rule.signs[{place}].labels", sign.labels, first)


def _stage(manifest: Manifest, stage: str, name: str, registry: Registry) -> Bundle:
    if name.partition("@")[0] == manifest.name:
        raise ModelRefused(
            f"{stage}.model of {manifest.name} names itself: that would never end.", next_step="Name a model."
        )
    try:
        found = registry.find(name)
    except NotFound as error:
        raise ModelRefused(
            f"{stage}.model names {name!r}, which is not here. {error.message}",
            next_step="Import or pull that model first.",
        ) from error
    if found.stages:
        raise ModelRefused(
            f"{stage}.model names {found.reference}, which is a pipeline itself; a stage must be a model.",
            next_step=f"Name one of its models: {', '.join(found.stages)}.",
        )
    return found


def _check_labels(where: str, wanted: tuple[str, ...], bundle: Bundle) -> None:
    for label in wanted:
        if label not in bundle.labels:
            near = get_close_matches(label, bundle.labels, n=3, cutoff=0.5)
            advice = (
                f"Did you mean {', '.join(near)}?" if near else f"See `sightline models show {bundle.name}`."
            )
            raise ModelRefused(f"{where}: {bundle.reference} has no label {label!r}.", next_step=advice)


def _mapping(pipeline: Pipeline, head: Bundle, given: Mapping[str, str]) -> dict[str, str]:
    told = pipeline.verdicts
    possible = [name for name in told.order if name != told.unsure]
    for label, verdict in given.items():
        if label not in head.labels or verdict not in possible:
            raise BadOption(
                f"{label}={verdict}: the labels of {head.name} are {', '.join(head.labels[:20])}, "
                f"the verdicts {', '.join(possible)}.",
                next_step="Write LABEL=VERDICT with names of these.",
            )
    named = {told.folders.get(verdict, verdict): verdict for verdict in possible}
    named |= {verdict: verdict for verdict in possible}
    mapping = {label: given.get(label) or named.get(label) or possible[-1] for label in head.labels}
    missing = [verdict for verdict in possible if verdict not in mapping.values()]
    if missing:
        raise BadOption(
            f"No label of {head.name} ({', '.join(head.labels[:20])}) stands for the verdict {missing[0]!r}.",
            next_step=f"Say which: --verdict LABEL={missing[0]}.",
        )
    return mapping


def _described(old: str, head: Bundle) -> str:
    first, _, _ = old.partition("\n")
    return f"{first} Second stage: {head.reference}."[:500]


def _card(old: str, head: Bundle) -> str:
    note = (
        f"> Its second stage was replaced by {head.reference}. Figures below were measured before that: "
        "measure again with `sightline evaluate`.\n\n"
    )
    return note + old


def _valid(given: Mapping[str, object]) -> Manifest:
    try:
        return Manifest.model_validate(given)
    except ValidationError as error:
        raise ModelRefused(f"The pipeline cannot be used: {first_line(error)}.", next_step=_HOW) from error


def _put(manifest: Manifest, card: str, registry: Registry, *, keep_version: bool) -> Bundle:
    """Write it down in a private place and let the registry copy it from there."""
    if not keep_version:
        version = _equal(registry, manifest) or free_version(registry, manifest.name, manifest.version)
        manifest = manifest.model_copy(update={"version": version})
    registry.root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="sightline-pipeline-") as place:
        folder = Path(place)
        (folder / MANIFEST_FILE).write_text(manifest.model_dump_json(indent=1), "utf-8")
        if card:
            (folder / CARD_FILE).write_text(card, "utf-8")
        return registry.add(folder)


def _equal(registry: Registry, manifest: Manifest) -> str:
    """The version that says the same already; empty if there is none."""
    try:
        taken = registry.versions(manifest.name)
    except NotFound:
        return ""
    nameless = {"version": ""}
    for old in taken:
        if old.manifest.model_copy(update=nameless) == manifest.model_copy(update=nameless):
            return old.version
    return ""
