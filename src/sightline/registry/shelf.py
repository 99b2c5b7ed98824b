"""The registry: a folder tree of bundles and, per model, the version that answers.

::

    <package>/bundled/<name>/<version>/     ships with Sightline, never written
    <data>/models/<name>/<version>/         imported or pulled
    <data>/models/<name>/ACTIVE             the version that answers, one line of text
    <data>/models/.incoming-…               being copied; left over only after a crash

Every change is a rename, so a reader sees the old state or the new one, never half of either,
and a folder's modification time tells other processes that something changed.
"""

import logging
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from sightline.errors import BadOption, ModelRefused, NotFound, SightlineError
from sightline.private import make_folder
from sightline.registry.bundle import Bundle, read_bundle
from sightline.registry.install import ACTIVE_FILE, drop, install, natural, write_text
from sightline.registry.scan import Signature, Wreck, promoted, scan, settled, signature
from sightline.settings import Settings

Bundles: TypeAlias = list[Bundle]
Shelved: TypeAlias = Sequence[Bundle | Wreck]
_log = logging.getLogger(__name__)
_LOOK_AGAIN_S = 0.25
"""How long an answer about the folders is trusted: a request must not pay for a walk over them."""


class Registry:
    """Which models there are. Thread-safe; notices models that another process adds."""

    def __init__(self, settings: Settings, *, bundled: Path | None = None) -> None:
        self._default = settings.model
        self._root = settings.data_path / "models"
        self._bundled = bundled or Path(__file__).resolve().parent.parent / "bundled"
        self._lock = threading.Lock()
        self._changing = threading.Lock()
        self._index: dict[str, dict[str, Bundle]] = {}
        self._wrecks: Sequence[Wreck] = ()
        self._signature: Signature | None = None
        self._looked_s = float("-inf")
        self._proven: dict[tuple[Path, str], tuple[tuple[int, int, int], ...]] = {}

    @property
    def root(self) -> Path:
        """Where imported models live."""
        return self._root

    def list(self) -> Bundles:
        """The active version of every model, by name."""
        return [_active(versions) for _, versions in sorted(self._fresh().items())]

    def versions(self, name: str) -> Bundles:
        """All versions of one model, the newest first.

        Raises:
            NotFound: No model of this name.
        """
        found = self._fresh().get(name)
        if found is None:
            raise self._unknown(name)
        return sorted(found.values(), key=lambda bundle: natural(bundle.version), reverse=True)

    def resolve(self, name: str | None = None) -> Bundle:
        """The bundle that answers for ``name`` or ``name@version``; ``None`` means the default model.

        The weights are compared with their digest before this process first gets them. A model that
        is damaged later keeps its place, because the copy in memory goes on serving; whoever opens
        the file calls `prove` first. If the active version is damaged and the version was not asked
        for, an intact one answers and the log says so.

        Raises:
            NotFound: No such model or version; the message names the valid ones.
            ModelRefused: The weights are not what the manifest promises.
        """
        name, _, version = (name or self._default or self._first()).partition("@")
        found = self._fresh().get(name)
        if found is None:
            raise self._unknown(name)
        if version:
            if version not in found:
                raise self._unknown(f"{name}@{version}")
            self._prove_once(found[version])
            return found[version]
        return self._first_intact(found)

    def prove(self, bundle: Bundle) -> None:
        """Compare the weights with their digest, unless that was done since the file last changed.

        Raises:
            ModelRefused: The weights are not what the manifest promises.
        """
        try:
            states = [path.stat() for path in bundle.files]
        except OSError:
            bundle.verify()  # says what is missing
            raise
        mark = tuple((state.st_size, state.st_mtime_ns, state.st_ino) for state in states)
        if self._proven.get(_key(bundle)) != mark:
            self._proven.pop(_key(bundle), None)
            bundle.verify()
            self._proven[_key(bundle)] = mark

    def find(self, reference: str) -> Bundle:
        """Like `resolve`, without reading the weights: for listings and cards."""
        name, _, version = reference.partition("@")
        found = self._fresh().get(name)
        if found is None or (version and version not in found):
            raise self._unknown(reference)
        return found[version] if version else _active(found)

    def add(self, folder: Path) -> Bundle:
        """Copy a bundle in, prove the copy, and make it the active version; it is all or nothing.

        Raises:
            ModelRefused: The folder is no sound bundle, or this version exists with other content.
            StorageFull: No room; nothing has changed.
        """
        with self._changing:
            taken = self._fresh().get(read_bundle(folder).name, {})
            target = install(folder, self._root, taken)
            self._forget()
            return self.resolve(target)

    def promote(self, name: str, version: str) -> Bundle:
        """Make a version the one that answers; also the way back.

        Raises:
            NotFound: No such model or version.
            ModelRefused: Its weights are damaged; the old version stays.
        """
        with self._changing:
            bundle = self.find(f"{name}@{version}")
            bundle.verify()
            make_folder(self._root / name)
            write_text(self._root / name / ACTIVE_FILE, version)
            self._forget()
            return self.find(bundle.reference)

    def removable(self, reference: str) -> Shelved:
        """What `remove` would delete, the newest first; also what is too damaged to be read.

        Raises:
            NotFound: No such model or version.
            BadOption: It ships with Sightline.
        """
        name, _, version = reference.partition("@")
        here: Shelved = [*self._fresh().get(name, {}).values(), *self._damaged(name)]
        wanted = [one for one in here if version in ("", one.version)]
        if not wanted:
            raise self._unknown(reference)
        own = [one for one in wanted if not one.bundled]
        if not own:
            raise BadOption(
                f"{wanted[0].reference} ships with Sightline and cannot be removed.",
                next_step="Choose another default with the setting `model` instead.",
            )
        return sorted(own, key=lambda one: natural(one.version), reverse=True)

    def remove(self, name: str, version: str | None = None) -> Shelved:
        """Delete a version, or all imported versions, of a model. Returns what was deleted.

        Raises:
            NotFound: No such model or version.
            BadOption: It ships with Sightline.
        """
        with self._changing:
            gone = self.removable(f"{name}@{version}" if version else name)
            for one in gone:
                self._drop(name, one)
            self._forget()
            return gone

    def problems(self, *, deep: bool = False) -> tuple[str, ...]:
        """What is wrong on the shelf, one sentence each; ``deep`` also reads all weights."""
        found = self._fresh()
        sentences = [wreck.sentence for wreck in self._wrecks]
        for bundle in (bundle for versions in found.values() for bundle in versions.values() if deep):
            try:
                bundle.verify()
            except SightlineError as error:
                sentences.append(error.message)
        return tuple(sentences)

    def _drop(self, name: str, one: Bundle | Wreck) -> None:
        drop(one.folder, self._root)
        home = self._root / name
        if promoted(home) == one.version:
            (home / ACTIVE_FILE).unlink(missing_ok=True)
        if not any(home.iterdir()):
            home.rmdir()

    def _first_intact(self, versions: dict[str, Bundle]) -> Bundle:
        best = _active(versions)
        if _key(best) in self._proven:  # the rule; sorting versions on every request would cost
            return best
        rest = sorted(versions.values(), key=lambda bundle: natural(bundle.version), reverse=True)
        refusal: ModelRefused | None = None
        for bundle in (best, *(other for other in rest if other is not best)):
            try:
                self._prove_once(bundle)
            except ModelRefused as error:
                refusal = refusal or error
                _log.warning("%s Falling back to another version of %s.", error.message, bundle.name)
            else:
                return bundle
        raise refusal or self._unknown(best.name)

    def _prove_once(self, bundle: Bundle) -> None:
        if _key(bundle) not in self._proven:
            self.prove(bundle)

    def _first(self) -> str:
        bundles = self.list()
        if bundles:  # what finds things rather than names pictures, what ships, what knows most
            alone = [one for one in bundles if one.task != "pipeline"] or bundles
            best = max(alone, key=lambda one: (one.task != "classify", one.bundled, len(one.labels)))
            return best.name
        raise NotFound(
            "There is no model yet.",
            next_step="Add one: `sightline models pull NAME` or `sightline models import FILE`.",
        )

    def _damaged(self, name: str) -> Sequence[Wreck]:
        return [wreck for wreck in self._wrecks if wreck.name == name]

    def _unknown(self, name: str) -> NotFound:
        name, _, version = name.partition("@")
        for wreck in self._damaged(name):
            if version in ("", wreck.version):
                return NotFound(
                    f"{wreck.reference} is damaged: {wreck.reason}",
                    next_step="Import or pull it again, which replaces it, or delete it with "
                    f"`sightline models remove {wreck.reference}`.",
                )
        if version and (versions := self._index.get(name)):
            there = ", ".join(sorted(versions, key=natural))
            return NotFound(
                f"The model {name!r} has no version {version[:100]!r}; it has {there}.",
                next_step="Use one of these versions, or none for the active one.",
            )
        known = ", ".join(sorted(self._index)) or "none yet"
        return NotFound(
            f"There is no model {name[:100]!r}. Models here: {known}.",
            next_step="Use one of these names, or add a model with `sightline models import` or `pull`.",
        )

    def _fresh(self) -> dict[str, dict[str, Bundle]]:
        with self._lock:
            now_s = time.monotonic()
            if now_s - self._looked_s < _LOOK_AGAIN_S:
                return self._index
            mark = signature(self._root)
            if mark != self._signature or not settled(mark):
                self._index, self._wrecks = scan(self._bundled, self._root)
                self._signature = mark
            self._looked_s = now_s
            return self._index

    def _forget(self) -> None:
        with self._lock:
            self._signature, self._looked_s = None, float("-inf")


def _key(bundle: Bundle) -> tuple[Path, str]:
    return bundle.model_path, bundle.manifest.sha256


def _active(versions: dict[str, Bundle]) -> Bundle:
    return next(bundle for bundle in versions.values() if bundle.active)
