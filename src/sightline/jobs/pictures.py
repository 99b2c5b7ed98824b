"""The pictures of a job: the list that its inputs make, and the bytes of each.

The list is made once, when the first worker takes the job; its entries are small and travel in the payloads
of the parts. The same entries lead an export back to a picture that is to be drawn on.
"""

import json
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal, Self

from sightline.errors import BadOption, NotFound, SightlineError, presentable
from sightline.jobs.inputs import Inputs, read_pictures, read_urls
from sightline.outbound import safe_fetch
from sightline.outbound.address import without_login
from sightline.settings import Settings
from sightline.storage import prefixes
from sightline.storage.archive import Archive, is_zip
from sightline.storage.blobs import Blobs
from sightline.storage.folders import KNOWN, MEBIBYTE, SUFFIXES, find, read_file

PICTURES_MAX: Final = 100_000
"""In one job; more make several jobs."""
_OPEN_MAX: Final = 4
"""Archives that stay open when nobody reads from them."""

Kind = Literal["file", "member", "blob", "zipped", "url", "object", "refused"]
Words = Mapping[str, str]
"""``{"code", "message", "next_step"}``."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One picture to be."""

    kind: Kind
    source: str
    """What the answer calls it."""
    at: str
    """A path, a digest or an address; of ``refused``, why, as JSON."""
    member: int = -1
    """Of a picture in a zip: which one."""

    def to_json(self) -> list[Any]:
        """A short row."""
        return [self.kind, self.source, self.at, *([self.member] if self.member >= 0 else [])]

    @classmethod
    def from_json(cls, row: list[Any]) -> "Entry":
        """What `to_json` wrote."""
        return cls(*row)

    @property
    def digest(self) -> str | None:
        """The blob that is the picture, of pictures that were uploaded."""
        return self.at if self.kind == "blob" else None


class RefusedEntry(SightlineError):
    """Why an input gave no picture, said when its turn comes."""

    def __init__(self, words: Words) -> None:
        super().__init__(words["message"], next_step=words["next_step"])
        self.words = words


def words_of(error: SightlineError) -> dict[str, str]:
    """An error as items and exports hold it."""
    if isinstance(error, RefusedEntry):
        return dict(error.words)
    return {"code": error.code, "message": error.message, "next_step": error.next_step}


def _refused(source: str, error: SightlineError) -> Entry:
    return Entry("refused", source, json.dumps(words_of(error)))


@dataclass(slots=True)
class _Held:
    """An open archive, and how many read from it now."""

    archive: Archive
    users: int = 0


class Pictures:
    """Lists inputs and reads entries. Thread-safe; the archives used last stay open."""

    def __init__(self, settings: Settings, blobs: Blobs) -> None:
        """Nothing is opened."""
        self._settings, self._blobs = settings, blobs
        self._most = int(settings.upload_max_mb * MEBIBYTE)
        self._lock = threading.Lock()
        self._open: dict[tuple[str, int], _Held] = {}

    def listed(self, inputs: Inputs, check: Callable[[], None] = lambda: None) -> list[Entry]:
        """All pictures that the inputs name, in order. An input that gives none is one entry that says why.

        Args:
            inputs: Of the job.
            check: Called for each; may raise to end it.

        Raises:
            BadOption: More than `PICTURES_MAX`.
            SightlineError: The list itself cannot be read.
        """
        found: list[Entry] = []
        for entry in self._each(inputs):
            check()
            found.append(entry)
            if len(found) > PICTURES_MAX:
                raise BadOption(
                    f"The job has more than {PICTURES_MAX} pictures.", next_step="Make several jobs of them."
                )
        return found

    def read(self, entry: Entry) -> bytes:
        """The bytes of one picture.

        Raises:
            SightlineError: It is gone, too large, refused, or out of reach.
        """
        match entry.kind:
            case "file":
                return read_file(Path(entry.at), self._most)
            case "blob":
                return self._blobs.get(entry.at)
            case "url":
                return safe_fetch(entry.at, self._settings).data
            case "object":
                return prefixes.read(entry.at, self._settings.job_prefixes, self._most)
            case "member" | "zipped":
                with self._archive(entry) as archive:
                    return archive.read(entry.member, self._most)
            case "refused":
                raise RefusedEntry(json.loads(entry.at))

    def locate(self, inputs: Inputs, source: str) -> bytes:
        """The picture that an item calls ``source``, when all that is kept of it is that name.

        Raises:
            NotFound: The job's inputs hold no such picture (any more).
            SightlineError: As `read`.
        """
        for entry in self._candidates(inputs, source):
            return self.read(entry)
        raise NotFound(f"The picture {source[:300]} is not there any more.", next_step="Was it moved?")

    def close(self) -> None:
        """Close all archives."""
        with self._lock:
            for held in self._open.values():
                held.archive.close()
            self._open.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _each(self, inputs: Inputs) -> Iterator[Entry]:
        match inputs.type:
            case "pictures":
                rows = unique(read_pictures(self._blobs.get(inputs.list)))
                return (entry for digest, name in rows for entry in self._uploaded(digest, name))
            case "urls":
                return (
                    Entry("url", without_login(url), url) for url in read_urls(self._blobs.get(inputs.list))
                )
            case "prefix":
                return self._under(inputs.place)
            case "files":
                words = read_urls(self._blobs.get(inputs.list))
                return (entry for word in words for entry in self._named(word))

    def _uploaded(self, digest: str, name: str) -> Iterator[Entry]:
        if not _is_zip_name(name):
            yield Entry("blob", name, digest)
            return
        try:
            with self._archive(Entry("zipped", name, digest)) as archive:
                members = archive.members(SUFFIXES)
        except SightlineError as error:
            yield _refused(name, error)
            return
        if not members:
            yield _refused(name, NotFound(f"{name} holds no pictures.", next_step=KNOWN))
        for member in members:
            yield Entry("zipped", f"{name}/{member.name}", digest, member.number)

    def _under(self, place: str) -> Iterator[Entry]:
        """A store out of reach is an error of the attempt, which is made again; the rest is the input's."""
        try:
            addresses = prefixes.pictures_under(place, self._settings.job_prefixes)
        except (NotFound, BadOption) as error:
            yield _refused(place, error)
            return
        for address in addresses:
            yield Entry("object", address, address)

    def _named(self, word: str) -> Iterator[Entry]:
        """A word of the command line."""
        if word.lower().startswith(("http://", "https://")):
            yield Entry("url", presentable(without_login(word)), word)
        elif prefixes.is_prefix(word):
            yield from self._under(presentable(word))
        else:
            for found in find(word):
                if found.error is not None:
                    yield _refused(found.source, found.error)
                elif found.member is None:
                    yield Entry("file", found.source, str(found.path))
                else:
                    yield Entry("member", found.source, str(found.path), found.member)

    @contextmanager
    def _archive(self, entry: Entry) -> Iterator[Archive]:
        """The zip that the entry lies in; uploaded ones are copied to a file without a name once."""
        key = (entry.at, _changed(Path(entry.at)) if entry.kind == "member" else 0)
        with self._lock:
            held = self._open.pop(key, None)
            if held is None:
                held = _Held(Archive(Path(entry.at)) if entry.kind == "member" else self._copied(entry))
            self._open[key] = held  # at the end: used last
            held.users += 1
        try:
            yield held.archive
        finally:
            with self._lock:
                held.users -= 1
                self._trim()

    def _trim(self) -> None:
        idle = [key for key, held in self._open.items() if not held.users]
        for key in idle[: max(0, len(self._open) - _OPEN_MAX)]:
            self._open.pop(key).archive.close()

    def _copied(self, entry: Entry) -> Archive:
        file: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115 - the archive closes it
        try:
            self._blobs.copy_into(entry.at, file)
            return Archive(file, entry.source)
        except BaseException:
            file.close()
            raise

    def _candidates(self, inputs: Inputs, source: str) -> Iterator[Entry]:
        match inputs.type:
            case "pictures":
                for digest, name in unique(read_pictures(self._blobs.get(inputs.list))):
                    if source == name or (_is_zip_name(name) and source.startswith(f"{name}/")):
                        yield from (entry for entry in self._uploaded(digest, name) if entry.source == source)
            case "prefix" | "files" if prefixes.is_prefix(source):
                yield Entry("object", source, source)
            case "files" if "\\" in source:  # it may be told in other letters than it has
                yield from (entry for entry in self._each(inputs) if entry.source == source)
            case "files" if Path(source).is_file():
                yield Entry("file", source, source)
            case "files":
                yield from self._in_zip_on_disk(Path(source))

    def _in_zip_on_disk(self, path: Path) -> Iterator[Entry]:
        holder = next((parent for parent in path.parents if parent.is_file()), None)
        if holder is not None and is_zip(holder):
            inside = path.relative_to(holder).as_posix()
            with self._archive(Entry("member", str(holder), str(holder))) as archive:
                members = archive.members(SUFFIXES)
            for member in members:
                if member.name == inside:
                    yield Entry("member", str(path), str(holder), member.number)


def unique(pictures: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """(digest, name) with each name once: two pictures may be called ``image.jpg``."""
    taken = {name for _, name in pictures}
    seen: dict[str, int] = {}
    rows = []
    for digest, name in pictures:
        seen[name] = number = seen.get(name, 0) + 1
        own = name
        while number > 1 and own in taken:
            stem, dot, suffix = name.rpartition(".")
            own = f"{stem} ({number}){dot}{suffix}" if dot else f"{name} ({number})"
            number += 1
        taken.add(own)
        rows.append((digest, own))
    return rows


def _changed(path: Path) -> int:
    """When the file was written, so that another one under its name is not taken for it."""
    try:
        return path.stat().st_mtime_ns
    except OSError as error:
        raise NotFound(f"There is no archive {path}.", next_step="Was it moved?") from error


def _is_zip_name(name: str) -> bool:
    return name.lower().endswith(".zip")
