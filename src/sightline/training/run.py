"""Training, as one loop that can be read aloud.

``train`` yields one ``Epoch`` per epoch. What it leaves in ``out`` is in ``checkpoint``.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from sightline.errors import ModelFailed
from sightline.runtime.allocator import keep_much
from sightline.training.averaging import Average, rate_share
from sightline.training.checkpoint import last_epoch, prepare, restore, save, save_weights
from sightline.training.lesson import Lesson, multiplied, parted
from sightline.training.machine import machine
from sightline.training.muon import muon_of
from sightline.training.recipe import Recipe, load_recipe
from sightline.training.sharing import Share, together
from sightline.training.subjects import subject_of


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
    if not prepare(out, plan, resume=resume):
        return
    _settle(plan)
    lesson = subject_of(plan).lesson(plan)
    model = lesson.model
    optimiser = OPTIMISERS[plan.optimiser.kind](model, plan)
    average = Average(model, plan.optimiser.average)
    records = restore(out, plan, model, optimiser, average)
    run = _Run(plan, lesson, optimiser, average, range(len(records), last_epoch(plan)))

    with together(plan.optimiser.processes, model, run.learn_all) as share:
        for epoch in run.epochs:
            started = time.perf_counter()
            sums, rate = run.learn(epoch, share)
            trained = time.perf_counter() - started
            record = Epoch(
                number=epoch + 1,
                epochs=plan.optimiser.epochs,
                loss={name: round(value, 4) for name, value in sums.items()},
                metrics=lesson.judge(average.model),
                rate=rate,
                pictures_per_s=round(lesson.steps * plan.optimiser.batch / trained, 1),
                seconds=round(time.perf_counter() - started, 1),
            )
            records.append(asdict(record) | {"machine": machine(), "precision": multiplied(plan.optimiser)})
            save(out, plan, records, model, optimiser, average)
            yield record

    save_weights(out, plan, average)


@dataclass(frozen=True, slots=True)
class _Run:
    """What every process of a run has."""

    plan: Recipe
    lesson: Lesson
    optimiser: torch.optim.Optimizer
    average: Average
    epochs: range
    """Those that are left, from 0."""

    def learn_all(self, share: Share) -> None:
        """What all processes but the first do."""
        for epoch in self.epochs:
            self.learn(epoch, share)

    def learn(self, epoch: int, share: Share) -> tuple[dict[str, float], float]:
        """One epoch, of each batch this process's share: the mean parts of the loss, and the last rate."""
        options, lesson, model = self.plan.optimiser, parted(self.lesson, share), self.lesson.model
        sums: dict[str, float] = {}
        rate = 0.0
        model.train()
        freeze(model, fresh_only=epoch < options.fresh_epochs)
        for step, batch in enumerate(lesson.batches(epoch)):
            rate = options.rate * rate_share(options, epoch * lesson.steps + step, lesson.steps)
            for group in self.optimiser.param_groups:
                group["lr"] = rate * group["scale"]

            parts = lesson.loss(batch)
            self.optimiser.zero_grad(set_to_none=True)
            torch.stack(list(parts.values())).sum().backward()
            told = share.agree(model, parts)
            length = torch.nn.utils.clip_grad_norm_(model.parameters(), options.clip)
            if not torch.isfinite(length):
                raise ModelFailed(
                    f"The loss of {self.plan.name} is no number in epoch {epoch + 1}, step {step + 1}.",
                    next_step="Lower optimiser.rate in the recipe and train again.",
                )
            self.optimiser.step()  # what has no gradient stays
            if not share.place:
                self.average.update(model)
            for name, value in told.items():
                sums[name] = sums.get(name, 0.0) + value / lesson.steps
        return sums, rate


def _settle(plan: Recipe) -> None:
    keep_much()
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
