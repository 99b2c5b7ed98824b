"""``sightline predict SOURCE...``: the words; ``looking.py`` does the work."""

from pathlib import Path

import click

from sightline.cli.completion import files
from sightline.cli.exits import ExitCode
from sightline.cli.jobs.submitting import Work, job_options, submit_pictures
from sightline.cli.options import MODEL_HELP, SIZE_HELP, with_settings
from sightline.errors import BadOption
from sightline.settings import Settings

FORMATS = ("table", "json", "csv", "coco", "yolo", "voc")


@click.command(name="predict")
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...", shell_complete=files)
@with_settings("model", "engine", "precision", "threads", model=MODEL_HELP)
@click.option("--min-score", type=click.FloatRange(0, 1), help="Leave out what scores less.")
@click.option("--max-results", type=click.IntRange(1, 1000), help="Most things per picture.")
@click.option(
    "--labels", metavar="A,B", help="Only these labels, comma separated; a comma within one is %2C."
)
@click.option("--size", type=click.IntRange(1), help=SIZE_HELP)
@click.option("--format", "kind", type=click.Choice(FORMATS), help="How to answer.  [default: table]")
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option(
    "--save",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Write annotated pictures here; yolo and voc files too.",
)
@job_options
@click.pass_context
def command(
    ctx: click.Context,
    settings: Settings,
    sources: tuple[str, ...],
    min_score: float | None,
    max_results: int | None,
    labels: str | None,
    size: int | None,
    kind: str | None,
    as_json: bool,
    save: Path | None,
    work: Work,
) -> None:
    """Say what is in pictures.

    SOURCE is a file, a folder, a glob such as 'trip/**/*.jpg', a zip of pictures, an address that
    begins with http:// or https://, or - for standard input. Answers come in the order of the sources.
    A picture that cannot be read is reported on standard error, the others go on, and the exit
    code is 1.

    With --job, a worker looks at them and keeps the results for `sightline jobs results`; then SOURCE
    may also be a prefix of an object store, such as s3://bucket/folder/, or one video.
    """
    from sightline.formats.text import labels_of  # noqa: PLC0415 - numpy and the engines stay out of --help
    from sightline.types import Ask  # noqa: PLC0415

    if as_json and kind not in {None, "json"}:
        raise BadOption(
            f"--json and --format {kind} contradict each other.", next_step="Give one of the two."
        )
    wanted = frozenset(labels_of(labels)) if labels else None
    ask = Ask(min_score, max_results, wanted, size)
    if work.elsewhere:
        _only_results(kind, save)
        ctx.exit(submit_pictures(sources, ask, settings, work, as_json=as_json or kind == "json"))
    from sightline.cli.looking import Order, look_at  # noqa: PLC0415

    order = Order(sources, ask, "json" if as_json else kind or "table", save)
    if look_at(order, settings):
        ctx.exit(int(ExitCode.SOME_FAILED))


def _only_results(kind: str | None, save: Path | None) -> None:
    """A job keeps its results; how they are written is said when they are taken."""
    if save is not None or kind not in {None, "json"}:
        raise BadOption(
            f"--job keeps its results, so {'--save' if save else f'--format {kind}'} comes later.",
            next_step="`sightline jobs results ID --format csv`, coco, or zip with the annotated pictures.",
        )
