"""Taking in pipelines, and changing their second stage: everything is checked before it is on the shelf."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from sightline.errors import BadOption, ModelRefused, NotFound
from sightline.manifest import Manifest
from sightline.manifest.pipeline import Pipeline, SecondStage
from sightline.private import make_folder
from sightline.registry import (
    CARD_FILE,
    MANIFEST_FILE,
    MODEL_FILE,
    PIPELINE_FILE,
    Bundle,
    Registry,
    read_bundle,
)
from sightline.registry.bundle import CARD_BYTES_MAX, first_line, is_regular, read_pipeline
from sightline.serving.importer import free_version
from sightline.serving.pipeline_check import HOW, check
from sightline.storage.archive import Archive, is_zip

_PACKED = frozenset({".toml", ".json", ".md"})


def is_pipeline(source: Path) -> bool:
    """Whether a path is a pipeline to be taken in: a ``.toml`` file, or a bundle of one, folder or zip."""
    if source.is_dir():
        here = is_regular(source / PIPELINE_FILE) or is_regular(source / MANIFEST_FILE)
        return here and not (source / MODEL_FILE).exists()
    if is_zip(source):
        return _holds_a_pipeline(source)
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
    with _unpacked(source) as place:
        bundle = Bundle(read_pipeline(place), place.parent) if place.is_file() else read_bundle(place)
        if bundle.manifest.pipeline is None:
            words = f"{source.name!r} holds no model.onnx and is no pipeline either."
            raise ModelRefused(words, next_step=HOW)
        changed = {"name": name or bundle.name, "version": version or bundle.version}
        card = bundle.card
    manifest = _valid(bundle.manifest.model_dump(mode="json") | changed)
    return save(manifest, registry, card=card, keep_version=version is not None)


def save(manifest: Manifest, registry: Registry, *, card: str = "", keep_version: bool = False) -> Bundle:
    """Put a pipeline on the shelf, checked; a name that is taken gets the next version.

    What is there already, word for word, stays the version that it is and answers again.

    Raises:
        ModelRefused: It names a model or a label that there is not.
        StorageFull: No room.
    """
    check(manifest, registry)
    return _put(manifest, card, registry, keep_version=keep_version)


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
    try:
        second = SecondStage(model=model, verdicts=mapping, sure=kept | dict(sure or {}))
    except ValidationError as error:
        raise BadOption(f"{first_line(error)}.") from error
    given = old.manifest.model_dump(mode="json")
    given["pipeline"]["second"] = second.model_dump(mode="json")
    given |= {"metrics": {}, "description": _described(given["description"], head)}
    return save(_valid(given), registry, card=_card(old.card, head))


def _holds_a_pipeline(source: Path) -> bool:
    """Whether a zip has a pipeline in it and no model; a broken one is for the importer to refuse."""
    try:
        with Archive(source) as archive:
            names = {member.place.name for member in archive.members(_PACKED | {".onnx"})}
    except BadOption:
        return False
    return bool(names & {PIPELINE_FILE, MANIFEST_FILE}) and MODEL_FILE not in names


@contextmanager
def _unpacked(source: Path) -> Iterator[Path]:
    """The source itself, or the bundle of a zip in a private folder."""
    if source.is_dir() or not is_zip(source):
        yield source
        return
    with tempfile.TemporaryDirectory(prefix="sightline-pipeline-") as name, Archive(source) as archive:
        for member in archive.members(_PACKED):
            if member.place.name in (PIPELINE_FILE, MANIFEST_FILE, CARD_FILE):
                (Path(name) / member.place.name).write_bytes(archive.read(member.number, CARD_BYTES_MAX))
        yield Path(name)


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
        raise ModelRefused(f"The pipeline cannot be used: {first_line(error)}.", next_step=HOW) from error


def _put(manifest: Manifest, card: str, registry: Registry, *, keep_version: bool) -> Bundle:
    """Write it down in a private place and let the registry copy it from there."""
    if not keep_version:
        version = _equal(registry, manifest) or free_version(registry, manifest.name, manifest.version)
        manifest = manifest.model_copy(update={"version": version})
    make_folder(registry.root)
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
