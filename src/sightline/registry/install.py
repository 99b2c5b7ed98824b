"""Putting a bundle on the shelf: copy, prove, sync, rename. Nothing else writes there."""

import os
import re
import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from sightline.errors import ModelRefused
from sightline.private import make_folder
from sightline.registry.bundle import CARD_FILE, MANIFEST_FILE, PIPELINE_FILE, Bundle, is_regular, read_bundle
from sightline.registry.room import room_for_it

ACTIVE_FILE = "ACTIVE"
INCOMING = ".incoming-"
_ABANDONED_S = 24 * 3600.0


def install(folder: Path, root: Path, taken: Mapping[str, Bundle]) -> str:
    """Copy a proven bundle to ``root/<name>/<version>`` and point ``ACTIVE`` at it.

    The copy is what gets proven, so the source may change or lie meanwhile. Only known
    files are copied. Returns ``name@version``.

    Raises:
        ModelRefused: No sound bundle, or the version exists with other content.
        StorageFull: No room; nothing has changed.
    """
    bundle = read_bundle(folder)
    bundle.verify()
    old = _intact(taken.get(bundle.version))
    if old is not None and not _same(old, bundle):
        raise ModelRefused(
            f"{bundle.reference} exists already with other content.",
            next_step="Give the new one another --version, or remove the old one first.",
        )
    home = root / bundle.name
    try:
        with room_for_it(f"store {bundle.reference} ({bundle.size / 1e6:.0f} MB)"):
            make_folder(home)
            sweep(root)
            if old is None:
                _copy(bundle, home / bundle.version, root)
            write_text(home / ACTIVE_FILE, bundle.version)
    except OSError as error:
        raise ModelRefused(
            f"{bundle.reference} could not be stored: {error.strerror}.",
            next_step="Check the data folder's permissions and disk.",
        ) from error
    return bundle.reference


def write_text(path: Path, text: str) -> None:
    """Replace a small text file in one step that survives a power cut."""
    handle, name = tempfile.mkstemp(prefix=INCOMING, dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def sweep(root: Path) -> None:
    """Delete what a crash left half copied, once nobody can be copying it any more."""
    for left in root.glob(f"{INCOMING}*"):
        if left.is_dir() and time.time() - left.stat().st_mtime > _ABANDONED_S:
            shutil.rmtree(left, ignore_errors=True)


def natural(version: str) -> tuple[tuple[int, int, str], ...]:
    """A key that sorts ``1.10`` after ``1.9`` and words before numbers (``1.0rc`` comes before ``1.0.1``)."""
    parts = re.findall(r"\d+|[a-z]+", version)
    return tuple((1, int(part), "") if part.isdigit() else (0, 0, part) for part in parts)


def _copy(bundle: Bundle, target: Path, root: Path) -> None:
    staging = Path(tempfile.mkdtemp(prefix=INCOMING, dir=root))
    try:
        staging.chmod(0o755)
        for path in (
            *bundle.files,
            *(bundle.folder / name for name in (MANIFEST_FILE, PIPELINE_FILE, CARD_FILE)),
        ):
            if is_regular(path):
                _copy_file(path, staging / path.name)
        read_bundle(staging).verify()
        _sync_folder(staging)
        if os.path.lexists(target):  # damaged, or it would have been found: gone only once its heir is proven
            drop(target, root)
        staging.rename(target)
        _sync_folder(target.parent)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise


def _copy_file(source: Path, target: Path) -> None:
    # O_NOFOLLOW: between the check and the copy the name may have become a link.
    handle = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as reader, target.open("wb") as writer:
        shutil.copyfileobj(reader, writer, 1 << 20)
        writer.flush()
        os.fsync(writer.fileno())


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _intact(old: Bundle | None) -> Bundle | None:
    """An installed version as it lies there now; None when it is damaged and another may take its place."""
    if old is None or old.bundled:
        return old
    try:
        now = read_bundle(old.folder)  # what is in memory may be older than the damage
        now.verify()
    except ModelRefused:
        return None
    return now if now.reference == old.reference else None


def drop(folder: Path, root: Path) -> None:
    """Take a version off the shelf in one step, then delete it; whatever it is, links are not followed."""
    trash = root / f"{INCOMING}gone-{os.getpid()}-{time.monotonic_ns()}"
    folder.rename(trash)
    if trash.is_dir() and not trash.is_symlink():
        shutil.rmtree(trash, ignore_errors=True)
    else:
        trash.unlink(missing_ok=True)


def _same(old: Bundle, new: Bundle) -> bool:
    return old.manifest == new.manifest and old.size == new.size
