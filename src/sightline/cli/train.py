"""``sightline train RECIPE``."""

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sightline.cli.extra import need_torch
from sightline.cli.jobs.submitting import Work, job_options, submit_order
from sightline.cli.options import with_settings
from sightline.errors import BadOption
from sightline.settings import Settings

if TYPE_CHECKING:
    from sightline.training.run import Epoch

_Folder = click.Path(path_type=Path, file_okay=False)


@click.command(name="train")
@click.argument("recipe", type=click.Path(path_type=Path))
@with_settings()
@click.option("--out", type=_Folder, help="Where the run is kept.  [default: runs/NAME]")
@click.option("--fresh", is_flag=True, help="Begin again, instead of going on after an interruption.")
@click.option(
    "--change", "changes", metavar="KEY=VALUE", multiple=True, help="Change the recipe: optimiser.epochs=3."
)
@click.option(
    "--judge",
    "sets",
    metavar="DATA",
    multiple=True,
    type=click.Path(path_type=Path, exists=True),
    help="Measure the model on this set, which it was not trained on; may be repeated.",
)
@click.option("--add", is_flag=True, help="Import the finished model, so that it can be used at once.")
@job_options
@click.pass_context
def command(
    ctx: click.Context,
    settings: Settings,
    recipe: Path,
    out: Path | None,
    fresh: bool,
    changes: tuple[str, ...],
    sets: tuple[Path, ...],
    add: bool,
    work: Work,
) -> None:
    """Train a model by a recipe, and write its bundle.

    RECIPE is a TOML file, or the name of a recipe that ships with Sightline. After Ctrl-C the same
    command goes on from the last finished epoch. Needs the extra `train` (torch).
    """
    if work.elsewhere:
        ctx.exit(_submit(recipe, changes, sets, settings, work, add=add, kept=out is None and not fresh))
    need_torch("train")
    from sightline.training.export import export  # noqa: PLC0415 - torch loads only here
    from sightline.training.members import train_all  # noqa: PLC0415
    from sightline.training.recipe import load_recipe  # noqa: PLC0415

    overrides = dict(_change(word) for word in changes)
    plan = load_recipe(recipe, overrides)
    run = out or Path("runs") / plan.name
    for epoch in train_all(recipe, run, resume=not fresh, overrides=overrides):
        click.echo(for_people(epoch))
    folder = run / "bundle"
    if sets:
        from sightline.training.release import release  # noqa: PLC0415

        release(recipe, run, folder, sets, overrides=overrides)
    else:
        export(recipe, run, folder, overrides=overrides)
    click.echo(f"Wrote {folder}")
    if add:
        from sightline.registry import Registry  # noqa: PLC0415
        from sightline.serving.importer import free_version, import_model  # noqa: PLC0415

        registry = Registry(settings)
        hints = {"version": free_version(registry, plan.name, plan.version)}
        bundle = import_model(folder, registry, settings, **hints).bundle
        click.echo(f"Imported {bundle.reference}. Try it: sightline predict PHOTO --model {bundle.name}")


def _submit(
    recipe: Path,
    changes: tuple[str, ...],
    sets: tuple[Path, ...],
    settings: Settings,
    work: Work,
    *,
    add: bool,
    kept: bool,
) -> int:
    """A job that trains; the exit code."""
    from sightline.jobs.orders import TrainOrder  # noqa: PLC0415

    if not kept:
        raise BadOption("A job keeps its run in the data folder, so --out and --fresh have no place.")
    name = str(recipe.absolute()) if recipe.is_file() else str(recipe)
    order = TrainOrder(name, changes, tuple(str(data.absolute()) for data in sets), add)
    return submit_order(order, settings, work, as_json=False)


def for_people(epoch: "Epoch") -> str:
    """One line about an epoch."""
    losses = "  ".join(f"{name} {value:.3f}" for name, value in epoch.loss.items())
    metrics = "  ".join(f"{name} {value:.3f}" for name, value in epoch.metrics.items())
    speed = f"{epoch.pictures_per_s:.0f} pictures/s, {epoch.seconds:.0f} s"
    return f"epoch {epoch.number}/{epoch.epochs}  loss: {losses}  watched: {metrics}  ({speed})"


def _change(word: str) -> tuple[str, Any]:
    key, equals, text = word.partition("=")
    if not equals:
        raise BadOption(
            f"--change wants KEY=VALUE, got {word!r}.", next_step="As in --change optimiser.epochs=3."
        )
    try:
        return key.strip(), tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return key.strip(), text
