"""``sightline models import``: any ONNX file in, a proven bundle on the shelf, or a sentence why not.

collect (private copy) -> digest -> inspect (child) -> propose -> dry run (child) -> add. Nothing is
registered before the last step, so whatever fails, the old version keeps serving.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from sightline.errors import ModelRefused, NotFound, StorageFull
from sightline.manifest import Manifest
from sightline.private import make_folder
from sightline.registry import CARD_FILE, MANIFEST_FILE, Bundle, Registry, file_sha256, read_bundle
from sightline.registry.install import INCOMING
from sightline.registry.room import room_for_it
from sightline.runtime.facts import Facts
from sightline.runtime.inspect import inspect_file
from sightline.sandbox import ChildDied, ChildTimeout, Limits, run_once
from sightline.serving.hints import Hints
from sightline.serving.propose import Proposal, amend, propose
from sightline.serving.sources import Collected, collect, room_for
from sightline.serving.trial import TrialReport, trial
from sightline.settings import Settings

_T = TypeVar("_T")
_MB = 1 << 20


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What became of an import."""

    bundle: Bundle
    proposals: tuple[Proposal, ...]
    """(field, value, why) for everything that nobody said."""
    facts: Facts
    trial: TrialReport


def import_model(source: Path, registry: Registry, settings: Settings, **hints: Any) -> ImportReport:
    """Import an ONNX file, a bundle folder or a zip of one; ``hints`` are the fields of `Hints`.

    Raises:
        NotFound: No such file.
        BadOption: A hint is off, or something that cannot be guessed is missing.
        ModelRefused: The model must not be served; the message says why.
        StorageFull: No room.
    """
    known = Hints.of(hints)
    make_folder(registry.root)
    size = source.stat().st_size if source.is_file() else 0
    if not room_for(registry.root, 2 * size, settings.disk_reserve_mb * _MB):
        raise StorageFull(f"There is no room to import {source.name!r} ({size / _MB:.0f} MB).")
    full = room_for_it(f"import {source.name!r} ({size / _MB:.0f} MB)")
    with full, tempfile.TemporaryDirectory(prefix=f"{INCOMING}import-", dir=registry.root) as place:
        collected = collect(source, Path(place))
        facts, manifest, proposals = _describe(collected, known)
        if known.version is None and not collected.has_manifest:
            manifest = _with_version(manifest, registry)
        report = _child(trial, collected.model, manifest, limits=_trial_limits(facts), doing="run")
        for variant in manifest.variants:
            other = collected.folder / variant.file
            limits = _trial_limits(inspect_model(other))
            _child(trial, other, manifest, limits=limits, doing="run")
        _write(collected.folder, manifest, known.card)
        bundle = registry.add(collected.folder)
    return ImportReport(bundle, proposals, facts, report)


def inspect_model(path: Path) -> Facts:
    """Inspect a file in a child process with bounded memory and time."""
    size_mb = path.stat().st_size // _MB
    limits = Limits(memory_mb=512 + 4 * size_mb, cpu_s=10 + size_mb // 50, wall_s=15 + size_mb // 50)
    return _child(inspect_file, path, limits=limits, doing="read")


def _describe(collected: Collected, hints: Hints) -> tuple[Facts, Manifest, tuple[Proposal, ...]]:
    digest = file_sha256(collected.model)
    if hints.sha256 is not None and digest != hints.sha256.strip().lower().removeprefix("sha256:"):
        raise ModelRefused(
            f"The file should have SHA-256 {hints.sha256[:80]}, but has {digest}: it is not the same file.",
            next_step="Get an intact copy from whoever published the digest.",
        )
    ready = None
    if collected.has_manifest:
        ready = read_bundle(collected.folder)
        if ready.manifest.sha256:
            ready.verify()
    facts = inspect_model(collected.model)
    if ready is None:
        manifest, proposals = propose(facts, hints, collected.name)
    else:
        manifest, proposals = amend(ready.manifest, hints), ()
    stamp = manifest.created if ready else datetime.now(UTC).isoformat(timespec="seconds")
    weights = {"sha256": digest, "bytes": collected.model.stat().st_size, "created": stamp}
    return facts, manifest.model_copy(update=weights), proposals


def _with_version(manifest: Manifest, registry: Registry) -> Manifest:
    """Nobody said a version: known content keeps its own, a name that is taken gets the next number."""
    try:
        taken = registry.versions(manifest.name)
    except NotFound:
        return manifest
    for old in taken:
        if _same(old.manifest, manifest):
            return old.manifest
    return manifest.model_copy(update={"version": free_version(registry, manifest.name, manifest.version)})


def free_version(registry: Registry, name: str, wanted: str) -> str:
    """``wanted``, or the number after the largest if the name has such a version already."""
    try:
        taken = {old.version for old in registry.versions(name)}
    except NotFound:
        return wanted
    numbers = [int(version) for version in taken if version.isdigit()]
    return wanted if wanted not in taken else str(max(numbers, default=0) + 1)


def _same(old: Manifest, new: Manifest) -> bool:
    loose = {"version": "", "created": ""}
    return old.model_copy(update=loose) == new.model_copy(update=loose)


def _write(folder: Path, manifest: Manifest, card: str | None) -> None:
    (folder / MANIFEST_FILE).write_text(manifest.model_dump_json(indent=1), "utf-8")
    if card is not None:
        (folder / CARD_FILE).write_text(card, "utf-8")


def _trial_limits(facts: Facts) -> Limits:
    """A dry run of a large model takes seconds and a few times the memory of its weights."""
    size_mb = facts.bytes // _MB
    return Limits(memory_mb=3072 + 5 * size_mb, cpu_s=120 + size_mb, wall_s=60 + size_mb // 4)


def _child(function: Callable[..., _T], *arguments: object, limits: Limits, doing: str) -> _T:
    """Run in a child; a child that is killed or breaks is a refusal, not a failure of ours."""
    try:
        return run_once(function, *arguments, limits=limits)
    except ChildTimeout as error:
        raise ModelRefused(
            f"The model could not be {doing} within {limits.wall_s:.0f} s.",
            next_step="It is hostile, damaged or far too heavy for this machine.",
        ) from error
    except ChildDied as error:
        raise ModelRefused(
            f"The process that {'ran' if doing == 'run' else 'read'} the model broke down: {error}",
            next_step="The file is damaged or hostile, or needs more memory than it may have here.",
        ) from error
