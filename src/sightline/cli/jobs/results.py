"""``sightline jobs results``."""

import sys
from contextlib import closing, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from sightline.cli.options import with_settings
from sightline.errors import BadOption, StorageFull
from sightline.settings import Settings

if TYPE_CHECKING:
    from sightline.jobs.exports import Export, Format


@click.command(name="results")
@click.argument("job_id", metavar="ID")
@with_settings("database", "queue", "blobs")
@click.option(
    "--format",
    "kind",
    type=click.Choice(["jsonl", "csv", "coco", "zip"]),
    default="jsonl",
    show_default=True,
    help="zip: annotated pictures, a JSON file for each, errors.csv; of a video, the film.",
)
@click.option("--out", "-o", type=click.Path(path_type=Path, dir_okay=False), help="File to write.")
def command(settings: Settings, job_id: str, kind: "Format", out: Path | None) -> None:
    """Write a job's results to standard output, or to a file.

    What is there is written, also while the job runs. The beginning of an ID is enough.
    """
    from sightline.cli.jobs.finding import find  # noqa: PLC0415 - the database stays out of --help
    from sightline.jobs.exports import export  # noqa: PLC0415
    from sightline.jobs.ledger import Ledger  # noqa: PLC0415
    from sightline.jobs.pictures import Pictures  # noqa: PLC0415
    from sightline.serving.decoder import Decoder  # noqa: PLC0415

    if kind == "zip" and out is None and sys.stdout.isatty():
        raise BadOption("A zip is nothing for a terminal.", next_step="Say where it shall go: --out FILE.")
    with (
        Ledger.open(settings) as ledger,
        Pictures(settings, ledger.blobs) as pictures,
        Decoder(settings) if kind == "zip" else nullcontext() as decoder,
    ):
        draw = decoder.draw if decoder else _never
        _write(export(kind, ledger, find(ledger, job_id).id, pictures=pictures, draw=draw), out)


def _never(*_: object) -> bytes:
    raise AssertionError


def _write(made: "Export", out: Path | None) -> None:
    if out is None:
        _pour(made, sys.stdout.buffer)
        return
    try:
        with out.open("wb") as file:
            _pour(made, file)
    except OSError as error:
        raise StorageFull(f"{out} cannot be written: {error.strerror}.") from error
    click.echo(f"Wrote {out}", err=True)


def _pour(made: "Export", stream: BinaryIO) -> None:
    with closing(made.chunks) as chunks:
        stream.writelines(chunks)
    stream.flush()
