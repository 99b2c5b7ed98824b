"""Reading the folder tree: which bundles lie there, and whether anything has changed since."""

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from sightline.errors import ModelRefused
from sightline.registry.bundle import Bundle, is_regular, read_bundle
from sightline.registry.install import ACTIVE_FILE, natural

Signature: TypeAlias = tuple[tuple[str, int], ...]
"""(name, modification time in ns) of the models folder and of every model's folder."""

_TICK_S = 0.05
"""File times move in steps of the kernel's clock: two changes this close may carry the same time."""


@dataclass(frozen=True, slots=True)
class Wreck:
    """A folder where a version of a model should be, but that cannot be read as one."""

    name: str
    version: str
    folder: Path
    reason: str
    bundled: bool = False

    @property
    def reference(self) -> str:
        """``name@version``, as its folders are called."""
        return f"{self.name}@{self.version}"

    @property
    def sentence(self) -> str:
        """What is wrong, for people."""
        return f"{self.reference} is left out: {self.reason}"


def signature(root: Path) -> Signature:
    """A cheap mark of the tree's state: one stat per model."""
    try:
        marks = [("", root.stat().st_mtime_ns)]
        with os.scandir(root) as entries:
            marks += sorted((entry.name, entry.stat().st_mtime_ns) for entry in entries if _is_home(entry))
    except OSError:
        return ()
    return tuple(marks)


def settled(mark: Signature) -> bool:
    """Whether all times in the mark are old enough that a further change must show."""
    newest_ns = max((time_ns for _, time_ns in mark), default=0)
    return time.time() - newest_ns / 1e9 > _TICK_S


def scan(bundled: Path, root: Path) -> tuple[dict[str, dict[str, Bundle]], list[Wreck]]:
    """All bundles, ``{name: {version: bundle}}``, and each folder that is none."""
    found: dict[str, dict[str, Bundle]] = {}
    wrecks: list[Wreck] = []
    for base, ships in ((bundled, True), (root, False)):
        for home in _homes(base):
            for folder in _homes(home):
                try:
                    bundle = _read(folder, home.name, ships=ships)
                except ModelRefused as error:
                    wrecks.append(Wreck(home.name, folder.name, folder, error.message, bundled=ships))
                else:
                    found.setdefault(bundle.name, {}).setdefault(bundle.version, bundle)
    return {name: _mark_active(versions, root / name) for name, versions in found.items()}, wrecks


def _read(folder: Path, name: str, *, ships: bool) -> Bundle:
    bundle = read_bundle(folder, bundled=ships)
    if (bundle.name, bundle.version) != (name, folder.name):
        raise ModelRefused(f"It calls itself {bundle.reference}, which is not the folder it lies in.")
    return bundle


def promoted(home: Path) -> str:
    """The version that ``ACTIVE`` in a model's folder names; empty when nothing was promoted."""
    if not is_regular(home / ACTIVE_FILE):
        return ""
    return (home / ACTIVE_FILE).read_text("utf-8", errors="replace")[:100].strip()


def _mark_active(versions: dict[str, Bundle], home: Path) -> dict[str, Bundle]:
    chosen = promoted(home)
    if chosen not in versions:
        chosen = max(versions, key=natural)
    return {
        version: Bundle(bundle.manifest, bundle.folder, bundle.bundled, active=version == chosen)
        for version, bundle in versions.items()
    }


def _homes(base: Path) -> list[Path]:
    try:
        with os.scandir(base) as entries:
            return sorted(Path(entry.path) for entry in entries if _is_home(entry))
    except OSError:
        return []


def _is_home(entry: os.DirEntry[str]) -> bool:
    return not entry.name.startswith((".", "_")) and entry.is_dir(follow_symlinks=False)
