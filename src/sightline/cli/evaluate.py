"""``sightline evaluate MODEL DATA``."""

import json
from pathlib import Path

import click

from sightline.cli.jobs.submitting import Work, job_options, place_of, submit_order
from sightline.cli.options import SIZE_HELP, with_settings
from sightline.cli.progress import Progress
from sightline.settings import Settings


@click.command(name="evaluate")
@click.argument("reference", metavar="MODEL")
@click.argument("data", type=click.Path(path_type=Path, exists=True))
@with_settings("engine", "precision", "threads")
@click.option(
    "--pictures",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder of the pictures of a COCO file, if it is not beside it.",
)
@click.option(
    "--first", type=click.IntRange(0), default=0, help="Only so many pictures, evenly over the set."
)
@click.option(
    "--min-score",
    type=click.FloatRange(0, 1),
    default=0.01,
    show_default=True,
    help="Weaker answers do not count.",
)
@click.option(
    "--rounds",
    type=click.IntRange(0),
    default=200,
    show_default=True,
    help="Bootstrap rounds for the intervals.",
)
@click.option("--size", type=click.IntRange(1), help=SIZE_HELP)
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@job_options
@click.pass_context
def command(
    ctx: click.Context,
    settings: Settings,
    reference: str,
    data: Path,
    pictures: Path | None,
    first: int,
    min_score: float,
    rounds: int,
    size: int | None,
    as_json: bool,
    work: Work,
) -> None:
    """Measure a model on labelled pictures.

    DATA is a COCO file, a folder with one folder of pictures a class, or an .npz. Every picture takes
    the served road, so the figures are those that users get; intervals are 95 % bootstrap ones.
    """
    if work.elsewhere:
        from sightline.jobs.orders import EvaluateOrder  # noqa: PLC0415

        folder = str(pictures.absolute()) if pictures else ""
        order = EvaluateOrder(reference, place_of(data), folder, min_score, rounds, first, size)
        ctx.exit(submit_order(order, settings, work, as_json=as_json))
    from sightline.evaluation import Rules, evaluate  # noqa: PLC0415 - numpy and the engines stay out of --help
    from sightline.serving.road import Road  # noqa: PLC0415

    rules = Rules(min_score=min_score, rounds=rounds, first=first, pictures=str(pictures or ""), size=size)
    progress = Progress(first)
    with Road.open(settings) as road:
        bundle = road.registry.resolve(reference)
        bundle.manifest.at(size)  # a size that is not offered is said before any model is loaded
        road.load(bundle.reference)  # loading must not count against the deadline of the first picture
        try:
            report = evaluate(road, bundle.reference, data, rules=rules, progress=progress.to)
        finally:
            progress.pause()
    click.echo(json.dumps(report.to_json(), indent=2) if as_json else report.table().rstrip("\n"))
