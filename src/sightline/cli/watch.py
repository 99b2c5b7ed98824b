"""``sightline watch SOURCE...``: the words; ``watcher.py`` does the work."""

from pathlib import Path

import click

from sightline.cli.completion import files
from sightline.cli.exits import ExitCode
from sightline.cli.options import MODEL_HELP, SIZE_HELP, with_settings
from sightline.errors import BadOption
from sightline.settings import Settings

_EVERY = 10.0


@click.command(name="watch")
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...", shell_complete=files)
@with_settings("model", "engine", "precision", "threads", model=MODEL_HELP)
@click.option(
    "--every",
    type=click.FloatRange(0, 86_400),
    help="Seconds from look to look; 0: as --every-frame.  [default: 10]",
)
@click.option("--every-frame", is_flag=True, help="Look at every frame; of a camera, as fast as it goes.")
@click.option("--motion", is_flag=True, help="Look only when something has changed.")
@click.option("--min-score", type=click.FloatRange(0, 1), help="Leave out what scores less.")
@click.option("--max-results", type=click.IntRange(1, 1000), help="Most things per picture.")
@click.option(
    "--labels", metavar="A,B", help="Only these labels, comma separated; a comma within one is %2C."
)
@click.option("--size", type=click.IntRange(1), help=SIZE_HELP)
@click.option("--store", is_flag=True, help="Keep pictures and answers, as long as retention_days says.")
@click.option(
    "--jsonl", type=click.Path(path_type=Path, dir_okay=False), help="Append the lines to this file too."
)
@click.option("--count", type=click.IntRange(1), help="End after so many answers of each source.")
@click.option(
    "--retries", type=click.IntRange(0), help="Give a lost camera up after so many tries.  [default: never]"
)
@click.pass_context
def command(
    ctx: click.Context,
    settings: Settings,
    sources: tuple[str, ...],
    every: float | None,
    every_frame: bool,
    motion: bool,
    min_score: float | None,
    max_results: int | None,
    labels: str | None,
    size: int | None,
    store: bool,
    jsonl: Path | None,
    count: int | None,
    retries: int | None,
) -> None:
    """Watch cameras and videos.

    SOURCE is a camera of this machine (0 or /dev/video0), an address of a network camera (rtsp://... or
    http://..., MJPEG or JPEG), or a video file. Several are watched side by side. Each answer is one line of
    JSON on standard output; what goes wrong is said on standard error. A camera that is lost is opened again
    after a pause. Ctrl-C ends it.
    """
    from sightline.cli.watcher import Order, watch  # noqa: PLC0415 - numpy and the engines stay out of --help
    from sightline.formats.text import labels_of  # noqa: PLC0415 - brings numpy
    from sightline.types import Ask  # noqa: PLC0415

    if every is not None and every_frame:
        raise BadOption("--every and --every-frame contradict each other.", next_step="Give one of the two.")
    wanted = frozenset(labels_of(labels)) if labels else None
    order = Order(
        sources=sources,
        ask=Ask(min_score, max_results, wanted, size),
        every_s=0.0 if every_frame else _EVERY if every is None else every,
        motion=motion,
        store=store,
        jsonl=jsonl,
        count=count or 0,
        retries=-1 if retries is None else retries,
    )
    if watch(order, settings):
        ctx.exit(int(ExitCode.SOME_FAILED))
