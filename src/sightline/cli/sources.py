"""The words after ``predict`` → pictures to read: files, folders, globs, zips, addresses, standard input.

Nothing is read here but names; each ``Picture`` reads its own bytes when its turn comes, so a missing
or broken one fails alone.
"""

import glob
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from sightline.cli.archive import is_zip, members
from sightline.errors import FetchRefused, NotAPicture, NotFound, PictureTooLarge, SightlineError
from sightline.settings import Settings

SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff", ".avif"}
)
"""What counts as a picture inside a folder or a zip; a file that is named on its own is always tried."""

MEBIBYTE = 1 << 20
_LOOK_UP_S = 0.2


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture to be: ``source`` is what the answer calls it, ``place`` where ``--save`` puts it."""

    source: str
    place: PurePosixPath
    read: Callable[[], bytes]


def is_many(words: Sequence[str]) -> bool:
    """Whether these words can name more than one picture; decides between one JSON object and a list."""
    if len(words) != 1:
        return True
    word = words[0]
    if _is_address(word) or word == "-":
        return False
    path = Path(word)
    return path.is_dir() or (not path.exists() and glob.has_magic(word)) or _is_archive(path)


def expand(
    words: Sequence[str], settings: Settings, leave: threading.Event | None = None
) -> Iterator[Picture]:
    """All pictures that the words name, in the order of the words, names inside sorted.

    ``leave``: set it, and nobody waits any longer for a server elsewhere.
    """
    for word in words:
        if word == "-":
            yield _stdin(settings)
        elif _is_address(word):
            yield Picture(word, _place_of_address(word), partial(_fetch, word, settings, leave))
        elif glob.has_magic(word) and not Path(word).exists():
            yield from _globbed(word, settings)
        else:
            yield from _path(Path(word), settings)


def _is_address(word: str) -> bool:
    return word.lower().startswith(("http://", "https://"))


def _is_archive(path: Path) -> bool:
    return path.suffix.lower() not in SUFFIXES and is_zip(path)


def _globbed(word: str, settings: Settings) -> Iterator[Picture]:
    found = sorted(glob.glob(word, recursive=True))  # noqa: PTH207 - the pattern may be absolute
    if not found:
        yield _failing(word, NotFound(f"No file matches {word}.", next_step="Check the pattern."))
    for name in found:
        if "**" in word and Path(name).is_dir():
            continue  # what is in it is matched as well, and nobody wants it twice
        yield from _path(Path(name), settings)


def _path(path: Path, settings: Settings) -> Iterator[Picture]:
    if path.is_dir():
        yield from _folder(path, settings)
    elif _is_archive(path):
        yield from _zip(path, settings)
    else:
        yield Picture(str(path), PurePosixPath(path.name), partial(_file, path, settings))


def _folder(folder: Path, settings: Settings) -> Iterator[Picture]:
    empty = True
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(root, name)
            if not name.startswith(".") and path.suffix.lower() in SUFFIXES:
                empty = False
                place = PurePosixPath(path.relative_to(folder).as_posix())
                yield Picture(str(path), place, partial(_file, path, settings))
    if empty:
        yield _failing(str(folder), NotFound(f"{folder} holds no pictures.", next_step=_KNOWN))


def _zip(path: Path, settings: Settings) -> Iterator[Picture]:
    try:
        found = list(members(path, SUFFIXES, most=int(settings.upload_max_mb * MEBIBYTE)))
    except SightlineError as error:
        yield _failing(str(path), error)
        return
    if not found:
        yield _failing(str(path), NotFound(f"{path} holds no pictures.", next_step=_KNOWN))
    for member in found:
        yield Picture(f"{path}/{member.name}", member.place, member.read)


_KNOWN = f"Names that count as pictures end in {', '.join(sorted(SUFFIXES))}."


def _failing(source: str, error: SightlineError) -> Picture:
    def read() -> bytes:
        raise error

    return Picture(source, PurePosixPath("none"), read)


def _file(path: Path, settings: Settings) -> bytes:
    if not path.exists():
        raise NotFound(f"There is no file {path}.", next_step="Check the name.")
    if not path.is_file():
        raise NotAPicture(f"{path} is not a regular file.")
    most = int(settings.upload_max_mb * MEBIBYTE)
    try:
        with path.open("rb") as stream:
            return _at_most(stream.read(most + 1), most, str(path))
    except OSError as error:
        raise NotFound(
            f"{path} cannot be read: {error.strerror}.", next_step="Check who may read the file."
        ) from error


def _stdin(settings: Settings) -> Picture:
    """Read at once, by the main thread: Ctrl-C could not end another one that waits for input."""
    try:
        data = _standard_input(settings)
    except SightlineError as error:
        return _failing("standard input", error)
    return Picture("standard input", PurePosixPath("stdin"), lambda: data)


def _standard_input(settings: Settings) -> bytes:
    most = int(settings.upload_max_mb * MEBIBYTE)
    data = _at_most(sys.stdin.buffer.read(most + 1), most, "Standard input")
    if not data:
        raise NotAPicture(
            "Standard input was empty.", next_step="Pipe a picture: `cat photo.jpg | sightline predict -`."
        )
    return data


def _at_most(data: bytes, most: int, name: str) -> bytes:
    if len(data) > most:
        raise PictureTooLarge(
            f"{name} is larger than {most / MEBIBYTE:g} MiB.",
            next_step="Send a smaller copy, or raise upload_max_mb.",
        )
    return data


def _fetch(address: str, settings: Settings, leave: threading.Event | None) -> bytes:
    """In a thread that the end of the program does not wait for: Ctrl-C could not end the wait otherwise."""
    from sightline.outbound import safe_fetch  # noqa: PLC0415 - sockets and TLS load only for addresses

    found: Future[bytes] = Future()

    def fetch() -> None:
        try:
            most = int(settings.fetch_max_mb * MEBIBYTE)
            found.set_result(safe_fetch(address, settings, max_bytes=most).data)
        except Exception as error:  # noqa: BLE001 - it is raised again by whoever waits
            found.set_exception(error)

    threading.Thread(target=fetch, name="fetch", daemon=True).start()
    while leave is None or not leave.is_set():
        if wait((found,), _LOOK_UP_S).done:
            return found.result()
    raise FetchRefused(f"Nobody waits for {address} any more.")


def _place_of_address(address: str) -> PurePosixPath:
    last = address.split("?", 1)[0].split("#", 1)[0].rstrip("/").rsplit("/", 1)[-1]
    safe = "".join(character if character.isalnum() or character in "._-" else "_" for character in last)
    return PurePosixPath(safe.lstrip(".") or "picture")
