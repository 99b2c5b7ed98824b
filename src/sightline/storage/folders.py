"""Pictures that lie on this machine: a file, a folder, a glob or a zip → one ``Found`` for each.

Nothing is read here but names; a picture that is missing or broken fails alone, when its turn comes.
"""

import glob
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from sightline.errors import BadOption, NotAPicture, NotFound, PictureTooLarge, SightlineError, presentable
from sightline.storage.archive import Archive, is_zip

SUFFIXES: Final = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff", ".avif"}
)
"""What counts as a picture inside a folder or a zip; a file that is named on its own is always tried."""
MEBIBYTE: Final = 1 << 20
KNOWN: Final = f"Names that count as pictures end in {', '.join(sorted(SUFFIXES))}."


@dataclass(frozen=True, slots=True)
class Found:
    """A picture to be: ``source`` is what the answer calls it, ``place`` its name below what was named.

    ``source`` is text that can be written anywhere; ``place`` and ``path`` are the names as they are.
    """

    source: str
    place: PurePosixPath
    path: Path
    member: int | None = None
    """Which member of the zip at ``path``; ``None``: the file itself."""
    error: SightlineError | None = None
    """Why there is nothing to read."""


def need_pictures(path: Path, name: str) -> None:
    """Check that a zip can be read as one of pictures; ``name`` is what messages call it.

    Raises:
        BadOption: It is no zip, holds no pictures, or is over a limit for archives.
    """
    with Archive(path, name) as archive:
        if not archive.members(SUFFIXES):
            raise BadOption(f"{name} holds no pictures.", next_step=KNOWN)


def check(word: str) -> None:
    """Say before any work begins what a zip, a folder or a pattern would end with.

    Raises:
        BadOption: A zip as of `need_pictures`; or nothing that is a picture is in the folder, nor matches.
    """
    paths = [Path(word)]
    if glob.has_magic(word) and not paths[0].exists():
        paths = [Path(name) for name in glob.iglob(word, recursive=True)]  # noqa: PTH207 - may be absolute
    for path in paths:
        if _is_archive(path):
            need_pictures(path, str(path))
    if all(path.is_dir() for path in paths) and (error := next(find(word)).error) is not None:
        raise BadOption(error.message, next_step=error.next_step)


def holds_many(word: str) -> bool:
    """Whether the word can name more than one picture."""
    path = Path(word)
    return path.is_dir() or (not path.exists() and glob.has_magic(word)) or _is_archive(path)


def find(word: str) -> Iterator[Found]:
    """All pictures that the word names, names inside sorted."""
    if glob.has_magic(word) and not Path(word).exists():
        yield from _globbed(word)
    else:
        yield from _path(Path(word))


def read_file(path: Path, most: int) -> bytes:
    """A whole file of at most ``most`` bytes.

    Raises:
        NotFound: There is none, or it may not be read.
        NotAPicture: It is no regular file.
        PictureTooLarge: It is larger.
    """
    if not path.exists():
        raise NotFound(f"There is no file {path}.", next_step="Check the name.")
    if not path.is_file():
        raise NotAPicture(f"{path} is not a regular file.")
    try:
        with path.open("rb") as stream:
            return at_most(stream.read(most + 1), most, str(path))
    except OSError as error:
        raise NotFound(
            f"{path} cannot be read: {error.strerror}.", next_step="Check who may read the file."
        ) from error


def at_most(data: bytes, most: int, name: str) -> bytes:
    """The data, or a refusal.

    Raises:
        PictureTooLarge: It has more than ``most`` bytes.
    """
    if len(data) > most:
        raise PictureTooLarge(
            f"{name} is larger than {most / MEBIBYTE:g} MiB.",
            next_step="Send a smaller copy, or raise upload_max_mb.",
        )
    return data


def _is_archive(path: Path) -> bool:
    return path.suffix.lower() not in SUFFIXES and is_zip(path)


def _failing(source: str, path: Path, error: SightlineError) -> Found:
    return Found(presentable(source), PurePosixPath("none"), path, error=error)


def _globbed(word: str) -> Iterator[Found]:
    found = sorted(glob.glob(word, recursive=True))  # noqa: PTH207 - the pattern may be absolute
    if not found:
        error = NotFound(f"No file matches {word}.", next_step="Check the pattern.")
        yield _failing(word, Path(word), error)
    for name in found:
        if "**" in word and Path(name).is_dir():
            continue  # what is in it is matched as well, and nobody wants it twice
        yield from _path(Path(name))


def _path(path: Path) -> Iterator[Found]:
    if path.is_dir():
        yield from _folder(path)
    elif _is_archive(path):
        yield from _zip(path)
    else:
        yield Found(presentable(str(path)), PurePosixPath(path.name), path)


def _folder(folder: Path) -> Iterator[Found]:
    empty = True
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(root, name)
            if not name.startswith(".") and path.suffix.lower() in SUFFIXES:
                empty = False
                yield Found(presentable(str(path)), PurePosixPath(path.relative_to(folder).as_posix()), path)
    if empty:
        yield _failing(str(folder), folder, NotFound(f"{folder} holds no pictures.", next_step=KNOWN))


def _zip(path: Path) -> Iterator[Found]:
    try:
        with Archive(path) as archive:
            found = archive.members(SUFFIXES)
    except SightlineError as error:
        yield _failing(str(path), path, error)
        return
    if not found:
        yield _failing(str(path), path, NotFound(f"{path} holds no pictures.", next_step=KNOWN))
    for member in found:
        yield Found(presentable(f"{path}/{member.name}"), member.place, path, member.number)
