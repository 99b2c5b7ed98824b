"""Files that a job needs, on this machine for as long as it works."""

import errno
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Final

from sightline.errors import BadOption, NotFound, StorageFull
from sightline.jobs.orders import Place
from sightline.private import private_folder
from sightline.storage.archive import BYTES_MAX, Archive
from sightline.storage.folders import SUFFIXES
from sightline.worker.desk import Desk

_DATA: Final = SUFFIXES | {".json", ".npz"}
_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def file_of(desk: Desk, place: Place) -> Iterator[Path]:
    """The file; a blob is copied, under the last part of its name.

    Raises:
        NotFound: There is nothing.
        StorageFull: No room for the copy.
    """
    if place.type == "path":
        path = Path(place.at)
        if not path.exists():
            raise NotFound(
                f"There is nothing at {path} on the worker's machine.", next_step="Check the path."
            )
        yield path
        return
    with _folder(desk) as folder:
        path = folder / (PurePosixPath(place.name.replace("\\", "/")).name.lstrip(".") or "file")
        copy(desk, place.at, path)
        yield path


def copy(desk: Desk, digest: str, path: Path) -> None:
    """A blob as a new file on this machine.

    Raises:
        NotFound: There is no such blob.
        StorageFull: No room for the copy.
    """
    with _room(), path.open("wb") as file:
        desk.ledger.blobs.copy_into(digest, file)


@contextmanager
def data_set_of(desk: Desk, place: Place, check: Callable[[], None]) -> Iterator[Path]:
    """A data set; a zip is unpacked within the limits for archives: pictures, .json and .npz files only.

    Raises:
        SightlineError: As `file_of`, and what `Archive` raises.
    """
    if place.type == "path":
        with file_of(desk, place) as path:
            yield path
        return
    with file_of(desk, place) as packed, _folder(desk) as folder:
        with Archive(packed, place.name) as archive:
            _unpack(archive, folder, check)
        yield _root(folder, place.name)


@contextmanager
def _folder(desk: Desk) -> Iterator[Path]:
    private_folder(desk.settings.data_path)
    with _room():
        made = tempfile.TemporaryDirectory(prefix=".job-", dir=desk.settings.data_path)
    with made as name:
        yield Path(name)


@contextmanager
def _room() -> Iterator[None]:
    """Around what writes, and nothing else: what a job does with its files fails for reasons of its own."""
    try:
        yield
    except OSError as error:
        raise StorageFull(f"A job's file could not be written: {error.strerror or error}.") from error


def _unpack(archive: Archive, folder: Path, check: Callable[[], None]) -> None:
    left = BYTES_MAX  # what an archive says about its sizes is only a claim
    for member in archive.members(_DATA):
        check()
        data = archive.read(member.number, left)
        left -= len(data)
        path = folder / member.place
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        except OSError as error:
            if error.errno in _FULL:
                raise StorageFull(f"A job's file could not be written: {error.strerror}.") from error
            raise BadOption(
                f"{member.name[:200]} cannot be unpacked from {archive.name}: {error.strerror or error}.",
                next_step="Give it another name, and make the archive again.",
            ) from error


def _root(folder: Path, name: str) -> Path:
    """The data set inside: a COCO or packed file if there is one, else the folder of class folders."""
    while len(entries := sorted(folder.iterdir())) == 1 and entries[0].is_dir():
        folder = entries[0]
    packed = sorted(folder.rglob("*.npz"))
    coco = [path for path in sorted(folder.rglob("*.json")) if path.name != "classes.json"]
    found = packed or coco
    if len(found) > 1:
        raise BadOption(
            f"{name} holds {len(found)} data sets: {', '.join(path.name for path in found[:5])}.",
            next_step="Put one COCO .json, one .npz, or one folder for each class into the zip.",
        )
    if not entries:
        raise BadOption(f"{name} holds no data set.", next_step="Put a COCO .json or class folders into it.")
    return found[0] if found else folder
