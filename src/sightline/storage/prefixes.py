"""Pictures in somebody's object store: list what lies under a prefix, read one object.

Only prefixes that the setting ``job_prefixes`` allows are opened, for whoever may submit a job could
otherwise read every bucket that this machine's credentials open. Credentials come from the environment, as
for the store's own tools.
"""

import random
import time
from collections.abc import Callable
from functools import cache
from typing import Any, Final, TypeVar

import fsspec

from sightline.errors import BadOption, ConfigError, FetchRefused, NotFound, SightlineError, how_to_add
from sightline.storage.folders import KNOWN, SUFFIXES, at_most

KINDS: Final = {"s3": "cluster", "gs": "gcs", "abfs": "azure"}
"""Scheme → the extra that brings its library."""
_OPTIONS: Final[dict[str, dict[str, Any]]] = {
    "s3": {"config_kwargs": {"connect_timeout": 5, "read_timeout": 10, "retries": {"max_attempts": 2}}}
}
_TRIES: Final = 3
_PAUSE_S: Final = 0.3

T = TypeVar("T")


def is_prefix(word: str) -> bool:
    """Whether the word names something in an object store."""
    return word.lower().startswith(tuple(f"{kind}://" for kind in KINDS))


def check(place: str, allowed: str) -> None:
    """Whether jobs may read there.

    Args:
        place: ``s3://bucket/folder/`` or the address of one object.
        allowed: The setting ``job_prefixes``.

    Raises:
        BadOption: It is no such address, or lies under no prefix that is allowed.
    """
    kind, mark, rest = place.partition("://")
    if not mark or kind not in KINDS or not rest.strip("/"):
        raise BadOption(
            f"A prefix is written as s3://bucket/folder/, got {place[:200]!r}.",
            next_step=f"It begins with {', '.join(f'{name}://' for name in KINDS)}.",
        )
    if not place.isprintable() or {"..", "."} & set(rest.split("/")) or any(c in rest for c in "*?[\\"):
        raise BadOption(f"{place[:200]!r} has signs that a prefix may not have: no .., *, ?, [ or \\.")
    prefixes = [prefix.strip() for prefix in allowed.split(",") if prefix.strip()]
    if not any(_within(place, prefix) for prefix in prefixes):
        raise BadOption(
            f"Jobs may not read {place[:200]}.",
            next_step="Whoever runs the server can allow it with the setting job_prefixes.",
        )


def _within(place: str, prefix: str) -> bool:
    """``s3://a/b`` allows ``s3://a/b`` and ``s3://a/b/c``, and never ``s3://a/bc``."""
    folder = prefix.rstrip("/") + "/"
    return place.rstrip("/") + "/" == folder or place.startswith(folder)


def pictures_under(place: str, allowed: str) -> list[str]:
    """Addresses of the pictures under a prefix, sorted; of one object, its own.

    Raises:
        BadOption: The prefix is not allowed.
        NotFound: There are no pictures.
        ConfigError: The library for this kind of store is missing.
        FetchRefused: The store cannot be reached, or does not let us in.
    """
    check(place, allowed)
    kind, _, rest = place.partition("://")
    found: list[str] = _tried(place, lambda: _store(kind).find(rest.rstrip("/")))
    names = sorted(name for name in found if _is_shown(name, rest.rstrip("/")))
    if not names:
        raise NotFound(f"There are no pictures under {place}.", next_step=KNOWN)
    return [f"{kind}://{name}" for name in names]


def _is_shown(name: str, folder: str) -> bool:
    """Whether it is a picture that is not hidden below the folder, as on a disk."""
    return f".{name.rpartition('.')[2].lower()}" in SUFFIXES and "/." not in name.removeprefix(folder)


def read(address: str, allowed: str, most: int) -> bytes:
    """One object of at most ``most`` bytes.

    Raises:
        SightlineError: As `pictures_under`, and ``PictureTooLarge``.
    """
    check(address, allowed)
    kind, _, rest = address.partition("://")
    data: bytes = _tried(address, lambda: _store(kind).cat_file(rest, start=0, end=most + 1))
    return at_most(data, most, address)


@cache
def _store(kind: str) -> Any:
    try:
        return fsspec.filesystem(kind, use_listings_cache=False, **_OPTIONS.get(kind, {}))
    except ImportError as error:
        raise ConfigError(
            f"Reading {kind}:// needs a library that is not installed.",
            next_step=how_to_add(KINDS[kind]),
        ) from error


def _tried(place: str, work: Callable[[], T]) -> T:
    """The answer; stores fail for a moment now and then, so up to three tries."""
    for attempt in range(1, _TRIES + 1):
        try:
            return work()
        except SightlineError:
            raise
        except FileNotFoundError as error:
            raise NotFound(f"There is nothing at {place}.", next_step="Check its name.") from error
        except PermissionError as error:
            raise FetchRefused(
                f"The store does not let Sightline read {place}.",
                next_step="Check the credentials in the worker's environment.",
            ) from error
        except Exception as error:  # each library has errors of its own
            if attempt == _TRIES:
                words = str(error).splitlines()[0][:200] if str(error) else ""
                raise FetchRefused(
                    f"{place} could not be read: {type(error).__name__}: {words}",
                    next_step="Check that the store can be reached and its credentials are set, then retry.",
                ) from error
        time.sleep(_PAUSE_S * attempt * random.uniform(0.5, 1.5))  # noqa: S311 - only so that not all come at once
    raise AssertionError
