"""What a run leaves in its folder, and how it goes on from there.

``last.pt`` is the checkpoint, which holds the records of its epochs too; ``log.jsonl`` shows those;
``weights.pt`` has the averaged weights when the run is finished. Each is replaced at once, so that whoever
reads them finds whole files.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import torch

from sightline.errors import ConfigError
from sightline.training.averaging import Average
from sightline.training.norm import fold
from sightline.training.recipe import Recipe

CHECKPOINT, LOG, WEIGHTS = "last.pt", "log.jsonl", "weights.pt"
Records: TypeAlias = list[dict[str, Any]]
"""One per epoch: an ``Epoch``, and where and how it was computed."""
_NOT_COUNTED: Any = {
    "version": True,
    "bundle": True,
    "data": {"root", "cache"},
    "optimiser": {"stop", "threads", "processes", "precision"},
}
"""What may differ between a checkpoint's recipe and the one that goes on with it."""


def fingerprint(recipe: Recipe) -> str:
    """What must be equal for a checkpoint to be this recipe's; words and places do not count."""
    text = recipe.model_dump_json(exclude=_NOT_COUNTED, exclude_defaults=True)
    return hashlib.sha256(text.encode()).hexdigest()


def read_checkpoint(path: Path) -> dict[str, Any]:
    """What a run has saved: ``last.pt`` or ``weights.pt``.

    Raises:
        ConfigError: The file is damaged, or is something else.
    """
    try:
        state = torch.load(path, weights_only=True)
        return {"recipe": state["recipe"], **state}
    except Exception as error:  # torch raises whatever zip, pickle and its own reader do
        raise ConfigError(
            f"{path} is no checkpoint of a run: {type(error).__name__}.",
            next_step="Put an intact copy in its place, or begin again with --fresh.",
        ) from error


def earlier(out: Path, recipe: Recipe) -> dict[str, Any] | None:
    """The checkpoint in ``out``, if there is one.

    Raises:
        ConfigError: It is damaged, or another recipe's.
    """
    path = out / CHECKPOINT
    if not path.is_file():
        return None
    state = read_checkpoint(path)
    if state["recipe"] != fingerprint(recipe) or "log" not in state:
        raise ConfigError(
            f"{path} was written by another recipe, or by an earlier form of this one.",
            next_step=f"Choose another output folder, or remove {out} and begin again.",
        )
    return state


def prepare(out: Path, recipe: Recipe, *, resume: bool) -> bool:
    """Make the folder of a run, empty if it does not go on; whether there is something to train.

    Raises:
        ConfigError: As ``earlier``.
    """
    out.mkdir(parents=True, exist_ok=True)
    if not resume:
        forget(out)
    state = earlier(out, recipe)
    finished = state is not None and len(state["log"]) >= last_epoch(recipe) and (out / WEIGHTS).is_file()
    if state is not None:
        write_log(out, state["log"])  # whoever was killed between the two files has the older one
    return not finished


def last_epoch(recipe: Recipe) -> int:
    """After how many epochs the run ends."""
    options = recipe.optimiser
    return min(options.stop or options.epochs, options.epochs)


def forget(out: Path) -> None:
    """Remove what an earlier run has left in ``out``."""
    for name in (CHECKPOINT, LOG, WEIGHTS):
        (out / name).unlink(missing_ok=True)


def save(
    out: Path,
    recipe: Recipe,
    records: Records,
    model: torch.nn.Module,
    optimiser: torch.optim.Optimizer,
    average: Average,
) -> None:
    """Write the checkpoint and the log."""
    state = {
        "recipe": fingerprint(recipe),
        "log": records,
        "model": model.state_dict(),
        "optimiser": optimiser.state_dict(),
        "average": average.model.state_dict(),
        "average_steps": average.steps,
    }
    _write(out / CHECKPOINT, state)
    write_log(out, records)


def restore(
    out: Path,
    recipe: Recipe,
    model: torch.nn.Module,
    optimiser: torch.optim.Optimizer,
    average: Average,
) -> Records:
    """Fill everything from the checkpoint in ``out``, if there is one, and give the records of its epochs.

    Raises:
        ConfigError: As ``earlier``.
    """
    state = earlier(out, recipe)
    if state is None:
        return []
    model.load_state_dict(state["model"])
    optimiser.load_state_dict(state["optimiser"])
    average.model.load_state_dict(state["average"])
    average.steps = state["average_steps"]
    return list(state["log"])


def save_weights(out: Path, recipe: Recipe, average: Average) -> None:
    """Write what a finished run is for."""
    _write(out / WEIGHTS, {"recipe": fingerprint(recipe), "model": fold(average.model).state_dict()})


def write_log(out: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """One line per epoch."""
    part = (out / LOG).with_suffix(".part")
    part.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    part.replace(out / LOG)


def read_log(out: Path) -> Records:
    """The records of a run."""
    path = out / LOG
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.is_file() else []


def _write(path: Path, state: dict[str, Any]) -> None:
    """All or nothing: a run that is killed while saving must still be able to go on."""
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
