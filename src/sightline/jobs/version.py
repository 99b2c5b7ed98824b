"""The version of what a job says in its payload: a worker of another one says so and does not guess."""

from collections.abc import Mapping
from typing import Any, Final

from sightline.errors import ConfigError

VERSION: Final = 1


def check_version(payload: Mapping[str, Any]) -> None:
    """Whether a payload is of this version.

    Raises:
        ConfigError: It was written by another one.
    """
    if payload.get("version") != VERSION:
        raise ConfigError(
            f"The job's payload has version {payload.get('version')!r}, this worker reads {VERSION}.",
            next_step="Run the same version of Sightline on server and workers, then try the job again.",
        )
