"""Training, as one loop that can be read aloud.

``train`` yields one ``Epoch`` per epoch and leaves in ``out``: ``last.pt`` (the checkpoint from which
an interrupted run goes on), ``log.jsonl`` (the records of this run, from its first epoch) and, at the
end, ``weights.pt`` (the average).
"""

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from sightline.errors import ConfigError, ModelFailed
from sightline.runtime.allocator import keep_much
from sightline.training.averaging import Average, rate_share
from sightline.training.machine import machine
from sightline.training.muon import muon_of
from sightline.training.norm import fold
from sightline.training.recipe import Recipe, load_recipe
from sightline.training.subjects import subject_of

CHECKPOINT, LOG, WEIGHTS = "last.pt", "log.jsonl", "weights.pt"
_NOT_COUNTED: Any = {"bundle": True, "data": {"root", "cache"}, "optimiser": {"stop", "threads", "precision"}}
"""What may differ between a checkpoint's recipe and the one that goes on with it."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """What one epoch did; ``asdict`` of it is a line of ``log.jsonl``."""

    number: int
    """From 1."""
    epochs: int
    loss: dict[str, float]
    """Mean of each part over the epoch."""
    metrics: dict[str, float]
    """Of the averaged weights on the watched pictures."""
    rate: float
    pictures_per_s: float
    seconds: float


def train(
    recipe: Path, out: Path, *, resume: bool = True, overrides: Mapping[str, Any] | None = None
) -> Iterator[Epoch]:
    """Run a recipe; stop consuming to stop it, call again to go on.

    Raises:
        ConfigError: The recipe is off, or ``out`` holds another recipe's run or a damaged one.
        BadOption: The recipe's data are not where it says.
        ModelFailed: The loss is no number any more.
    """
    plan = load_recipe(recipe, overrides)
    keep_much()
    _settle(plan)
    out.mkdir(parents=True, exist_ok=True)
    lesson = subject_of(plan).lesson(plan)
    model = lesson.model
    options = plan.optimiser
    optimiser = OPTIMISERS[options.kind](model, plan)
    average = Average(model, options.average)
    records = _restore(out, plan, model, optimiser, average) if resume else []

    for epoch in range(len(records), min(options.stop or options.epochs, options.epochs)):
        started = time.perf_counter()
        sums: dict[str, float] = {}
        rate = 0.0
        model.train()
        freeze(model, fresh_only=epoch < options.fresh_epochs)
        for step, batch in enumerate(lesson.batches(epoch)):
            done = epoch * lesson.steps + step
            rate = options.rate * rate_share(options, done, lesson.steps)
            for group in optimiser.param_groups:
                group["lr"] = rate * group["scale"]

            parts = lesson.loss(batch)
            optimiser.zero_grad(set_to_none=True)
            torch.stack(list(parts.values())).sum().backward()
            length = torch.nn.utils.clip_grad_norm_(model.parameters(), options.clip)
            if not torch.isfinite(length):
                raise ModelFailed(
                    f"The loss of {plan.name} is no number in epoch {epoch + 1}, step {step + 1}.",
                    next_step="Lower optimiser.rate in the recipe and train again.",
                )
            optimiser.step()  # what has no gradient stays
            average.update(model)
            for name, value in parts.items():
                sums[name] = sums.get(name, 0.0) + float(value.detach()) / lesson.steps

        trained = time.perf_counter() - started
        record = Epoch(
            number=epoch + 1,
            epochs=options.epochs,
            loss={name: round(value, 4) for name, value in sums.items()},
            metrics=lesson.judge(average.model),
            rate=rate,
            pictures_per_s=round(lesson.steps * options.batch / trained, 1),
            seconds=round(time.perf_counter() - started, 1),
        )
        records.append(asdict(record) | {"machine": machine()})
        _save(out, plan, records, model, optimiser, average)
        yield record

    _write(out / WEIGHTS, {"recipe": fingerprint(plan), "model": fold(average.model).state_dict()})


def _settle(plan: Recipe) -> None:
    torch.set_num_threads(plan.optimiser.threads)
    torch.manual_seed(plan.seed)
    torch.use_deterministic_algorithms(mode=True)
    # Nothing here reads what nobody wrote; filling every new tensor with NaN first takes 6 % of a step.
    torch.utils.deterministic.fill_uninitialized_memory = False


def _adamw(model: torch.nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    options = recipe.optimiser
    return torch.optim.AdamW(weight_groups(model, recipe), lr=options.rate, weight_decay=options.weight_decay)


OPTIMISERS: dict[str, Callable[[torch.nn.Module, Recipe], torch.optim.Optimizer]] = {
    "adamw": _adamw,
    "muon": lambda model, recipe: muon_of(model, recipe.optimiser),
}


def freeze(model: torch.nn.Module, *, fresh_only: bool) -> None:
    """Let all weights learn, or only those that did not come with the start.

    A random part beside trained ones would push them about before it has learnt anything itself.
    """
    fresh = tuple(getattr(model, "fresh", ()))
    if not fresh:
        return  # a network without a start decides by itself what stays as it is
    for name, weights in model.named_parameters():
        weights.requires_grad_(not fresh_only or name.startswith(fresh))


def weight_groups(model: torch.nn.Module, recipe: Recipe) -> list[dict[str, Any]]:
    """One group per tensor, each with the ``scale`` of its steps.

    Adam moves every weight by about the rate, whatever its size. Where batch norm is folded into
    weights their sizes differ by orders of magnitude, so steps are made relative to a tensor's
    root mean square (as in Adafactor, Shazeer and Stern, arXiv 1804.04235, section 8). Parts that did not
    come with the start have a factor of their own.
    """
    groups = []
    fresh = tuple(getattr(model, "fresh", ()))
    for name, weights in model.named_parameters():
        size = float(weights.detach().square().mean().sqrt())
        scale = max(size, 1e-3) if recipe.optimiser.relative else 1.0
        scale = recipe.optimiser.fresh if name.startswith(fresh) else scale
        groups.append({"params": [weights], "scale": scale})
    return groups


def fingerprint(recipe: Recipe) -> str:
    """What must be equal for a checkpoint to be this recipe's; words and places do not count."""
    text = recipe.model_dump_json(exclude=_NOT_COUNTED, exclude_defaults=True)
    return hashlib.sha256(text.encode()).hexdigest()


def read_log(out: Path) -> list[dict[str, Any]]:
    """The records of a run."""
    path = out / LOG
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.is_file() else []


def write_log(out: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """One line per epoch."""
    (out / LOG).write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")


def _save(
    out: Path, recipe: Recipe, records: list[dict[str, Any]], model: torch.nn.Module, *rest: Any
) -> None:
    optimiser, average = rest
    _write(
        out / CHECKPOINT,
        {
            "recipe": fingerprint(recipe),
            "log": records,
            "model": model.state_dict(),
            "optimiser": optimiser.state_dict(),
            "average": average.model.state_dict(),
            "average_steps": average.steps,
        },
    )
    write_log(out, records)


def _restore(out: Path, recipe: Recipe, model: torch.nn.Module, *rest: Any) -> list[dict[str, Any]]:
    """Fill everything from a checkpoint and give the records of the epochs that are done."""
    path = out / CHECKPOINT
    if not path.is_file():
        return []
    optimiser, average = rest
    state = read_checkpoint(path)
    if state["recipe"] != fingerprint(recipe):
        raise ConfigError(
            f"{path} was written by another recipe, or by an earlier form of this one.",
            next_step="Choose another output folder, or start afresh without resuming.",
        )
    model.load_state_dict(state["model"])
    optimiser.load_state_dict(state["optimiser"])
    average.model.load_state_dict(state["average"])
    average.steps = state["average_steps"]
    records: list[dict[str, Any]] = state["log"]
    write_log(out, records)  # whoever was killed between the two files has the older one
    return records


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


def _write(path: Path, state: dict[str, Any]) -> None:
    """All or nothing: a run that is killed while saving must still be able to go on."""
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
