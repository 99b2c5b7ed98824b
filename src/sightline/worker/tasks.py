"""The table of kinds: what a worker does with a job. Each task is one plain function."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, Final

from sightline.storage.job_kept import Claim
from sightline.worker.desk import Desk

Task = Callable[[Desk, Claim], Mapping[str, Any] | None]
"""May raise `SightlineError`: one that trying again would not change (``FINAL`` of `sightline.worker.child`)
fails the job at once, all else is tried again while attempts are left. `Stop` is not for tasks to catch."""


def _lazy(module: str, name: str) -> Task:
    """A task whose libraries load when its first job comes."""

    def task(desk: Desk, claim: Claim) -> Mapping[str, Any] | None:
        work: Task = getattr(import_module(f"sightline.worker.{module}"), name)
        return work(desk, claim)

    return task


TASKS: Final[dict[str, Task]] = {
    "predict": _lazy("predicting", "predict"),
    "predict.part": _lazy("predicting", "predict_part"),
    "video": _lazy("video", "video"),
    "evaluate": _lazy("whole", "evaluate"),
    "import": _lazy("whole", "import_model"),
    "train": _lazy("training", "train"),
}
