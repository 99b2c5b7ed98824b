"""A full disk, in words."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from sightline.errors import StorageFull

_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def room_for_it(doing: str) -> Iterator[None]:
    """Turn the disk's "no space left" inside into StorageFull; other errors pass.

    Args:
        doing: What there was no room for, behind "There is no room to".
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise StorageFull(
            f"There is no room to {doing}; nothing has changed.",
            next_step="Free some disk space and do it again.",
        ) from error
