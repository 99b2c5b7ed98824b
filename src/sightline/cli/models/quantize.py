"""``sightline models quantize NAME PICTURES...``."""

from collections.abc import Iterator

import click

from sightline.cli.completion import files
from sightline.cli.options import with_settings
from sightline.cli.terminal import clean, columns, size
from sightline.errors import SightlineError
from sightline.settings import Settings


@click.command(name="quantize")
@click.argument("reference", metavar="NAME")
@click.argument("pictures", nargs=-1, required=True, metavar="PICTURES...", shell_complete=files)
@with_settings()
@click.option("--name", help="What the int8 model shall be called.  [default: NAME-int8]")
@click.option(
    "--most", type=click.IntRange(8), default=128, show_default=True, help="Most calibration pictures."
)
def command(
    settings: Settings, reference: str, pictures: tuple[str, ...], name: str | None, most: int
) -> None:
    """Make an int8 version with calibration pictures.

    PICTURES are files, folders, globs or zips, as for `predict`: at least 8, better 100, and such as
    the model will see. The float model stays as it is; the int8 one is a model of its own. It is taken
    only if it reads pictures that were held back as the float model does.
    """
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
