"""``sightline models quantize NAME PICTURES...``."""

from collections.abc import Iterator
from pathlib import Path

import click

from sightline.cli.completion import files
from sightline.cli.options import with_settings
from sightline.cli.terminal import clean, columns, size
from sightline.errors import BadOption, SightlineError
from sightline.settings import Settings


@click.command(name="quantize")
@click.argument("reference", metavar="NAME")
@click.argument("pictures", nargs=-1, required=True, metavar="PICTURES...", shell_complete=files)
@with_settings()
@click.option("--name", help="Without --judge: what the int8 model shall be called.  [default: NAME-int8]")
@click.option(
    "--most", type=click.IntRange(8), default=128, show_default=True, help="Most calibration pictures."
)
@click.option(
    "--judge",
    type=click.Path(path_type=Path, exists=True),
    help="Labelled pictures, as `evaluate` reads them: they decide, and the model gets a new version.",
)
@click.option("--first", type=click.IntRange(0), default=0, help="Judge on so many pictures only.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="With --judge: only write the bundle here, as the version that it is.",
)
def command(
    settings: Settings,
    reference: str,
    pictures: tuple[str, ...],
    name: str | None,
    most: int,
    judge: Path | None,
    first: int,
    out: Path | None,
) -> None:
    """Make an int8 version with calibration pictures.

    PICTURES are files, folders, globs or zips, as for `predict`: at least 8, better 100, and such as
    the model will see, none of them among those of --judge. With --judge, ways of quantising are tried
    until one loses at most 0.5 points (AP, mask AP, top-1) on the labelled pictures; the int8 file then
    belongs to the model, which gets a new version, and runs where it is clearly faster. Without, the
    int8 model is one of its own, and is taken if it reads pictures that were held back as the float
    model does.
    """
    if judge:
        if name:
            raise BadOption(
                "--name is for an int8 model of its own, which --judge does not make.",
                next_step="Leave one of the two out.",
            )
        _vary(settings, reference, _bytes(pictures, settings, most), judge, first, out)
        return
    if out or first:
        raise BadOption(
            "--out and --first need --judge.", next_step="Give labelled pictures, or leave them out."
        )
    from sightline.serving.quantizing import make_smaller  # noqa: PLC0415 - the engines stay out of --help

    target = name or f"{reference.partition('@')[0]}-int8"
    done = make_smaller(reference, target, _bytes(pictures, settings, most), settings, _tell)
    rows = [[row.title, f"{row.alike:.0%} alike", f"{row.distance:.3f} off"] for row in done.made.attempts]
    click.echo(columns(rows, indent="  "))
    click.echo(
        f"Imported {clean(done.bundle.reference)}: {size(done.made.bytes_before)} → "
        f"{size(done.made.bytes_after)}, calibrated with {done.pictures} pictures."
    )
    click.echo(f"See what it gains here: sightline models bench {reference} {done.bundle.name}")


def _vary(
    settings: Settings, reference: str, pictures: Iterator[bytes], judge: Path, first: int, out: Path | None
) -> None:
    from sightline.evaluation import Rules  # noqa: PLC0415 - numpy and the engines stay out of --help
    from sightline.evaluation.variant import Exam, make_variant  # noqa: PLC0415

    exam = Exam(judge, Rules(first=first))
    done = make_variant(reference, pictures, exam, settings, out=out, tell=_tell)
    click.echo("\n".join(f"  {clean(row.told)}" for row in done.made.attempts))
    where = f"Imported {clean(done.bundle.reference)}" if done.bundle else f"Wrote {done.folder}"
    click.echo(
        f"{where}: int8 {size(done.made.bytes_before)} → {size(done.made.bytes_after)}, "
        f"{done.variant.loses:.2f} points lost on {clean(done.variant.judged_on)}."
    )
    if done.bundle:
        click.echo(f"See what it gains here: sightline models bench {done.bundle.name}")


def _bytes(words: tuple[str, ...], settings: Settings, most: int) -> Iterator[bytes]:
    from sightline.cli.sources import expand  # noqa: PLC0415

    found = list(expand(words, settings))
    step = max(1, len(found) // most)
    for picture in found[::step][:most]:
        try:
            yield picture.read()
        except SightlineError as error:
            click.echo(f"{clean(picture.source)}: {clean(error.message)} Left out.", err=True)


def _tell(words: str) -> None:
    click.echo(f"{words} …", err=True)
