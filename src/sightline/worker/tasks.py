"""The table of kinds: what a worker does with a job. Each task is one plain function."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from sightline.storage.job_kept import Claim
from sightline.worker.desk import Desk

Task = Callable[[Desk, Claim], Mapping[str, Any] | None]
"""May raise `SightlineError`: an `InputError`, `NotFound` or `ConfigError` fails the job at once, all else is
tried again while attempts are left. `Stop` is not for tasks to catch."""

TASKS: Final[dict[str, Task]] = {}
