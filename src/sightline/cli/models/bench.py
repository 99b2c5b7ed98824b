"""``sightline models bench``."""

import json
from typing import TYPE_CHECKING, Any

import click

from sightline.cli.models.list import NO_MODEL
from sightline.cli.options import with_settings
from sightline.cli.terminal import clean, columns
from sightline.errors import BadOption
from sightline.settings import Settings

if TYPE_CHECKING:
    from sightline.runtime.choose import Choice


@click.command(name="bench")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@with_settings("engine", "precision", "threads", "batch_max", "memory_mb")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def command(settings: Settings, names: tuple[str, ...], as_json: bool) -> None:
    """Measure models on this machine and choose their engines.

    Without a NAME, all models. The choice is remembered for this machine; a running server takes it
    over when it loads the model the next time.
    """
    from sightline.registry import Registry  # noqa: PLC0415 - the engines stay out of --help
    from sightline.runtime.choose import choose  # noqa: PLC0415
    from sightline.serving.pool import ModelPool  # noqa: PLC0415

    registry = Registry(settings)
    bundles = [registry.resolve(name) for name in names] if names else registry.list()
    if names and any(bundle.stages for bundle in bundles):
        raise BadOption("A pipeline has no network of its own to measure.", next_step="Measure its models.")
    bundles = [bundle for bundle in bundles if not bundle.stages]
    if not bundles and not as_json:
        click.echo(NO_MODEL)
    cache = ModelPool(settings, registry).cache_dir
    answers = []
    for bundle in bundles:
        choice = choose(bundle.model_path, bundle.manifest, settings, cache, fresh=True)
        answers.append({"name": bundle.name, "version": bundle.version} | choice.to_json())
        if not as_json:
            click.echo(f"{clean(bundle.reference)}\n{for_people(choice)}\n")
    if as_json:
        click.echo(json.dumps({"models": answers}, indent=2))


def for_people(choice: "Choice") -> str:
    """The table of what was tried, the chosen row marked, and the reason."""
    rows: list[list[Any]] = [["", "plan", "pictures/s", "one alone", "difference"]]
    for row in choice.measurements:
        mark = "*" if row.plan == choice.plan else ""
        if row.fault:
            rows.append([mark, row.plan.describe(), "-", "-", clean(row.fault)])
        else:
            numbers = [f"{row.images_per_s:.0f}", f"{row.latency_ms:.1f} ms", f"{row.difference:.1e}"]
            rows.append([mark, row.plan.describe(), *numbers])
    return f"{columns(rows, right=frozenset({2, 3}), indent='  ')}\n  {clean(choice.reason)}"
