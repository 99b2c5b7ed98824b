"""Several networks that answer together: each is a run of its own, of its own seed.

What they say is averaged (Lakshminarayanan et al., arXiv 1612.01474). Their runs do not know of each
other, so they may be trained on several cores or machines at once.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from sightline.training.checkpoint import earlier, forget, read_log, write_log
from sightline.training.recipe import Recipe, load_recipe
from sightline.training.run import Epoch, train


def runs_of(plan: Recipe, out: Path) -> tuple[tuple[int, Path], ...]:
    """Seed and folder of each network's run: ``out`` itself for one network, else ``out/seed-N``."""
    if plan.bundle.members == 1:
        return ((plan.seed, out),)
    return tuple((seed, out / f"seed-{seed}") for seed in range(plan.seed, plan.seed + plan.bundle.members))


def train_all(
    recipe: Path, out: Path, *, resume: bool = True, overrides: Mapping[str, Any] | None = None
) -> Iterator[Epoch]:
    """Train every network of a recipe, one after the other; numbers of epochs run through all schedules.

    What is finished already, here or elsewhere, is not trained again. ``out/log.jsonl`` holds
    the records of all.

    Raises:
        SightlineError: As ``train``, and for every network before the first is trained.
    """
    plan = load_recipe(recipe, overrides)
    runs = runs_of(plan, out)
    if len(runs) == 1:
        yield from train(recipe, out, resume=resume, overrides=overrides)
        return
    for seed, folder in runs:
        if not resume:
            forget(folder)
        earlier(folder, plan.model_copy(update={"seed": seed}))
    for before, (seed, folder) in enumerate(runs):
        alone = {**(overrides or {}), "seed": seed, "bundle.members": 1}
        for epoch in train(recipe, folder, overrides=alone):
            _gather(plan, out)
            number = epoch.number + before * epoch.epochs
            yield replace(epoch, number=number, epochs=epoch.epochs * len(runs))
    _gather(plan, out)


def _gather(plan: Recipe, out: Path) -> None:
    """Write the records of all runs as those of one."""
    epochs, members = plan.optimiser.epochs, plan.bundle.members
    records = [
        record | {"number": record["number"] + before * epochs, "epochs": epochs * members}
        for before, (_, folder) in enumerate(runs_of(plan, out))
        for record in read_log(folder)
    ]
    write_log(out, records)
