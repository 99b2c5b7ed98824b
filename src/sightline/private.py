"""Folders and files for this user only, whoever makes them first.

The database holds the passwords of cameras and the secrets of webhooks, the blobs other people's pictures.
``Path.mkdir(parents=True, mode=0o700)`` gives its mode to the last folder only; the others get the umask's.
"""

import errno
import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final

from sightline.errors import ConfigError

_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def make_folder(folder: Path) -> Path:
    """Make the folder and those above it that are missing, all with mode 0700; one that exists stays."""
    try:
        folder.mkdir(mode=0o700)
    except FileNotFoundError:
        make_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError:  # it exists, or its file system is read-only and says so first
        if not folder.is_dir():
            raise
    return folder


def private_folder(folder: Path) -> Path:
    """As `make_folder`; one that exists is closed to others.

    Raises:
        ConfigError: It cannot be made.
    """
    try:
        make_folder(folder)
    except OSError as error:
        raise ConfigError(
            f"The folder {folder} cannot be made: {error.strerror or error}.",
            next_step="Give data_dir a folder that this user may write, or change who may write there.",
        ) from error
    close_to_others(folder)
    return folder


def need_to_write(folder: Path) -> None:
    """Say at once what would otherwise fail at the first thing that is kept.

    Raises:
        ConfigError: Nothing may be written there.
    """
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        if error.errno != errno.ENOSPC:  # who only looks needs no space
            raise ConfigError(
                f"The folder {folder} cannot be written: {error.strerror or error}.",
                next_step="Give data_dir a folder that this user may write, or change who may write there.",
            ) from error


def close_to_others(path: Path) -> None:
    """Take other users' rights away, if there are any and the path is ours.

    A folder that everybody may use (``/tmp``, with its sticky bit) stays as it is, and so does one that
    somebody works or lives in (``--data-dir .``): what we keep there is closed, the rest is not ours.
    """
    with suppress(OSError):  # somebody else's, or a file system without modes or without writing
        found = path.stat()
        if any(
            place.resolve().is_relative_to(path.resolve()) for place in (Path.cwd(), Path("~").expanduser())
        ):
            return
        if found.st_uid == os.geteuid() and found.st_mode & _OTHERS and not found.st_mode & stat.S_ISVTX:
            path.chmod(stat.S_IMODE(found.st_mode) & ~_OTHERS)


def make_file(path: Path) -> BinaryIO:
    """Open a new file for writing, with mode 0600.

    Raises:
        FileExistsError: There is one already.
    """
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
