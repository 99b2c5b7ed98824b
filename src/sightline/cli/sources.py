"""The words after ``predict`` → pictures to read: files, folders, globs, zips, addresses, standard input.

Nothing is read here but names; each ``Picture`` reads its own bytes when its turn comes, so a missing
or broken one fails alone.
"""

import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from sightline.errors import FetchRefused, NotAPicture, SightlineError
from sightline.settings import Settings
from sightline.storage.archive import Archive
from sightline.storage.folders import MEBIBYTE, Found, at_most, find, holds_many, read_file

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
    return not is_address(words[0]) and words[0] != "-" and holds_many(words[0])


def expand(
    words: Sequence[str], settings: Settings, leave: threading.Event | None = None
) -> Iterator[Picture]:
    """All pictures that the words name, in the order of the words, names inside sorted.

    ``leave``: set it, and nobody waits any longer for a server elsewhere.
    """
    for word in words:
        if word == "-":
            yield _stdin(settings)
        elif is_address(word):
            yield Picture(word, _place_of_address(word), partial(_fetch, word, settings, leave))
        else:
            yield from _on_this_machine(word, int(settings.upload_max_mb * MEBIBYTE))


def is_address(word: str) -> bool:
    """Whether the word names a picture on a server."""
    return word.lower().startswith(("http://", "https://"))


def _on_this_machine(word: str, most: int) -> Iterator[Picture]:
    open_archives: dict[Path, Archive] = {}

    def read(found: Found) -> bytes:
        if found.error is not None:
            raise found.error
        if found.member is None:
            return read_file(found.path, most)
        return open_archives[found.path].read(found.member, most)

    for found in find(word):
        if found.member is not None and found.path not in open_archives:
            open_archives[found.path] = Archive(found.path)
        yield Picture(found.source, found.place, partial(read, found))


def _failing(source: str, error: SightlineError) -> Picture:
    def read() -> bytes:
        raise error

    return Picture(source, PurePosixPath("none"), read)


def _stdin(settings: Settings) -> Picture:
    """Read at once, by the main thread: Ctrl-C could not end another one that waits for input."""
    try:
        data = _standard_input(settings)
    except SightlineError as error:
        return _failing("standard input", error)
    return Picture("standard input", PurePosixPath("stdin"), lambda: data)


def _standard_input(settings: Settings) -> bytes:
    most = int(settings.upload_max_mb * MEBIBYTE)
    data = at_most(sys.stdin.buffer.read(most + 1), most, "Standard input")
    if not data:
        raise NotAPicture(
            "Standard input was empty.", next_step="Pipe a picture: `cat photo.jpg | sightline predict -`."
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
