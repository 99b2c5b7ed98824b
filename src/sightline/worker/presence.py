"""Whether workers of a data folder are there: each holds a lock on one file as long as it lives.

The kernel lets go of the lock when the process ends, however it ends. It says nothing about workers on other
machines, which share a database and have data folders of their own.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sightline.private import make_folder
from sightline.settings import Settings

_FILE: Final = ".workers"


@contextmanager
def present(settings: Settings) -> Iterator[None]:
    """Be there. Where the folder cannot be written, nobody is told."""
    try:
        make_folder(settings.data_path)
        handle = os.open(settings.data_path / _FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:
        yield
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_SH)
        yield
    finally:
        os.close(handle)


def anybody(settings: Settings) -> bool:
    """Whether somebody on this machine is there: a server with workers, or a worker."""
    try:
        handle = os.open(settings.data_path / _FILE, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    else:
        return False
    finally:
        os.close(handle)
