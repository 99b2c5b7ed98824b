"""Pictures inside a zip, within the limits for archives: members, bytes out, ratio, regular files only."""

import stat
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from sightline.errors import BadOption, InputError, NotAPicture, PictureTooLarge

MEMBERS_MAX = 20_000
BYTES_MAX = 2 << 30
RATIO_MAX = 100
_RATIO_FREE = 10 << 20
"""Archives that unpack to less than this may shrink as well as they like: flat BMP files do."""


@dataclass(frozen=True, slots=True)
class Member:
    """One picture of an archive; ``place`` is made from its name and can never leave a folder."""

    name: str
    place: PurePosixPath
    read: Callable[[], bytes]


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


def members(path: Path, suffixes: frozenset[str], *, most: int) -> Iterator[Member]:
    """The pictures in the archive, sorted by name; each may have ``most`` bytes.

    Raises:
        BadOption: The archive is broken, or over a limit.
    """
    try:
        archive = zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise BadOption(
            f"{path} cannot be read as a zip: {error}.", next_step="Make the archive again."
        ) from error
    listed = archive.infolist()
    _check(path, listed)
    for info in sorted(listed, key=lambda info: info.filename):
        place = _place(info.filename)
        if place is not None and not info.is_dir() and place.suffix.lower() in suffixes:
            yield Member(str(place), place, partial(_read, archive, info, most))


def _check(path: Path, listed: list[zipfile.ZipInfo]) -> None:
    total = sum(info.file_size for info in listed)
    packed = max(1, path.stat().st_size)
    if len(listed) > MEMBERS_MAX:
        reason = f"{len(listed)} members, and at most {MEMBERS_MAX} are read"
    elif total > BYTES_MAX:
        reason = f"{total} bytes when unpacked, and at most {BYTES_MAX} are read"
    elif total > _RATIO_FREE and total > RATIO_MAX * packed:
        reason = f"{total // packed} times its own size when unpacked, and at most {RATIO_MAX} times is read"
    else:
        return
    raise BadOption(f"{path} has {reason}.", next_step="Split it into smaller archives.")


def _place(name: str) -> PurePosixPath | None:
    parts = [part for part in name.replace("\\", "/").split("/") if part not in {"", ".", ".."}]
    parts = [part.replace(":", "_").replace("\0", "_") for part in parts]
    if not parts or parts[0] == "__MACOSX" or parts[-1].startswith("."):
        return None
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
