"""Pictures inside a zip, within the limits for archives: members, bytes out, ratio, regular files only."""

import stat
import weakref
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final, Self

from sightline.errors import BadOption, InputError, NotAPicture, NotFound, PictureTooLarge

MEMBERS_MAX = 20_000
BYTES_MAX = 2 << 30
RATIO_MAX = 100
_RATIO_FREE: Final = 10 << 20
"""Archives that unpack to less than this may shrink as well as they like: flat BMP files do."""
_LISTED_MAX: Final = 512
"""Bytes of the list of members for each that may be: a name of 400 letters and what programs add to it."""
_MEMBER: Final = b"PK\x01\x02"
"""What each member begins with in that list."""


@dataclass(frozen=True, slots=True)
class Member:
    """One picture of an archive; ``place`` is made from its name and can never leave a folder."""

    name: str
    place: PurePosixPath
    number: int
    """Which entry of the archive it is, from 0; names may occur twice."""


def is_zip(path: Path) -> bool:
    """Whether the file says that it is a zip, by its name or its first bytes."""
    if not path.is_file():
        return False
    if path.suffix.lower() == ".zip":
        return True
    try:
        with path.open("rb") as stream:
            return stream.read(4) == b"PK\x03\x04"
    except OSError:
        return False


def open_zip(stream: BinaryIO, name: str, *, members: int = MEMBERS_MAX) -> zipfile.ZipFile:
    """A zip whose list of members is counted before it is taken apart.

    `zipfile` makes an object of some 400 bytes from each entry of 46, as many as there are: 2 GB of them
    would take 15 GB of memory. What a zip says about its number of members is only a claim.

    Args:
        stream: Seekable; it stays the caller's to close.
        name: What messages call it.
        members: How many there may be.

    Raises:
        BadOption: It is broken, or its list is too long.
    """
    counted = _Counted(stream, members)
    try:
        opened = zipfile.ZipFile(counted)
    except _TooLong as error:
        raise BadOption(
            f"{name} has {error}, and at most {members} members are read.",
            next_step="Split it into smaller archives.",
        ) from error
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise BadOption(
            f"{name} cannot be read as a zip: {error}.", next_step="Make the archive again."
        ) from error
    counted.opening = False
    return opened


class _TooLong(Exception):
    """How long the list of members is, in words."""


class _Counted:
    """The stream as `zipfile` reads it. While it opens, no read may bring more than a list that is allowed.

    So whatever record `zipfile` believes, the list that it takes apart is the one that was counted.
    """

    def __init__(self, stream: BinaryIO, members: int) -> None:
        self._stream, self._members = stream, members
        self._most = max(1 << 20, members * _LISTED_MAX)
        self.opening = True
        self.seek, self.tell, self.seekable = stream.seek, stream.tell, stream.seekable

    def read(self, size: int = -1, /) -> bytes:
        if not self.opening:
            return self._stream.read(size)
        data = self._stream.read(min(size, self._most + 1) if size >= 0 else self._most + 1)
        if len(data) > self._most:
            raise _TooLong(f"a list of members of more than {self._most} bytes")
        found = data.count(_MEMBER)
        if found > self._members:
            raise _TooLong(f"{found} members")
        return data


class Archive:
    """An open zip. Several threads may read from it at once."""

    def __init__(self, file: Path | BinaryIO, name: str = "") -> None:
        """Read the list of members and check it against the limits.

        Args:
            file: Where it lies, or itself, seekable; a file object is closed with the archive.
            name: What messages call it; ``""``: its path.

        Raises:
            BadOption: The archive is broken, or over a limit.
        """
        self.name = name or str(file)
        self._file = _opened(file) if isinstance(file, Path) else file
        weakref.finalize(
            self, self._file.close
        )  # who reads pictures one by one may not know which is the last
        try:
            self._zip = open_zip(self._file, self.name, members=MEMBERS_MAX)
            self._listed = self._zip.infolist()
            self._check(self._file.seek(0, 2))
        except BadOption:
            self._file.close()
            raise

    def members(self, suffixes: frozenset[str]) -> list[Member]:
        """The pictures among the members, sorted by name."""
        found = []
        for number, info in sorted(enumerate(self._listed), key=lambda pair: pair[1].filename):
            place = _place(info.filename)
            if place is not None and not info.is_dir() and place.suffix.lower() in suffixes:
                found.append(Member(str(place), place, number))
        return found

    def read(self, number: int, most: int) -> bytes:
        """One member, of at most ``most`` bytes.

        Raises:
            InputError: It is no regular file, damaged, encrypted or too large.
            NotFound: There is no such member.
        """
        if not 0 <= number < len(self._listed):
            raise NotFound(f"{self.name} has no member {number}.", next_step="Was the archive replaced?")
        return _read(self._zip, self._listed[number], most)

    def close(self) -> None:
        """Close the file."""
        self._zip.close()
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _check(self, size: int) -> None:
        total = sum(info.file_size for info in self._listed)
        packed = max(1, size)
        advice = "Split it into smaller archives."
        if total > BYTES_MAX:
            reason = f"{total} bytes when unpacked, and at most {BYTES_MAX} are read"
        elif total > _RATIO_FREE and total > RATIO_MAX * packed:
            reason = (
                f"{total // packed} times its own size when unpacked, and at most {RATIO_MAX} times is read"
            )
            advice = f"Leave out {self._emptiest()}: it unpacks to far more than a picture of its size does."
        else:
            return
        raise BadOption(f"{self.name} has {reason}.", next_step=advice)

    def _emptiest(self) -> str:
        """The member that grows most when it is unpacked."""
        return _shown(
            max(self._listed, key=lambda one: one.file_size - RATIO_MAX * one.compress_size).filename
        )


def _shown(name: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in name)[:200]


def _opened(file: Path) -> BinaryIO:
    try:
        return file.open("rb")
    except OSError as error:
        raise BadOption(
            f"{file} cannot be read as a zip: {error.strerror or error}.", next_step="Check who may read it."
        ) from error


def _place(name: str) -> PurePosixPath | None:
    parts = [part for part in name.replace("\\", "/").split("/") if part not in {"", ".", ".."}]
    parts = [part.replace(":", "_").replace("\0", "_") for part in parts]
    if not parts or parts[0] == "__MACOSX" or any(part.startswith(".") for part in parts):
        return None  # hidden, in a folder as on a disk: thumbnails and bins of other programs
    return PurePosixPath(*parts)


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo, most: int) -> bytes:
    name = info.filename
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in {0, stat.S_IFREG}:
        raise NotAPicture(f"{name} in the archive is not a regular file.")
    if info.flag_bits & 1:
        raise NotAPicture(f"{name} in the archive is encrypted.", next_step="Unpack it yourself first.")
    if info.file_size > most:
        raise PictureTooLarge(f"{name} in the archive has {info.file_size} bytes; at most {most} are read.")
    try:
        with archive.open(info) as stream:
            data = stream.read(most + 1)
    except (zipfile.BadZipFile, OSError, EOFError, ValueError, NotImplementedError, RuntimeError) as error:
        raise NotAPicture(f"{name} in the archive is damaged: {error}.") from error
    except Exception as error:  # zlib, bz2 and lzma each raise an error class of their own
        raise InputError(f"{name} in the archive cannot be unpacked: {error}.") from error
    if len(data) > most:
        raise PictureTooLarge(f"{name} in the archive is larger than it says.")
    return data
