"""``sightline models pull NAME...``."""

import click

from sightline.cli.options import with_settings
from sightline.cli.progress import Progress
from sightline.cli.terminal import clean, size
from sightline.settings import Settings


@click.command(name="pull")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@with_settings("catalogue", "mirrors")
def command(settings: Settings, names: tuple[str, ...]) -> None:
    """Download a model of the catalogue and import it.

    `sightline models list --available` shows the catalogue. A download that was cut goes on where it
    stopped; what does not have the catalogue's size and SHA-256 is thrown away; what is already here is
    not fetched again.
    """
    from sightline.registry import Registry  # noqa: PLC0415 - pydantic stays out of --help
    from sightline.registry.catalogue import find_entry  # noqa: PLC0415
    from sightline.serving.pulling import is_pulled, pull  # noqa: PLC0415

    registry = Registry(settings)
    entries = [find_entry(name, settings) for name in names]
    for entry in entries:
        if is_pulled(entry, registry):
            click.echo(f"{entry.name} is here already.")
            continue
        click.echo(f"Pulling {clean(entry.name)}: {size(entry.bytes)}, {clean(entry.licence)}", err=True)
        progress = Progress(entry.file.bytes, unit="bytes")
        try:
            report = pull(entry.name, registry, settings, progress.to)
        finally:
            progress.pause()
        click.echo(
            f"Imported {report.bundle.reference}. Try it: sightline predict PHOTO --model {entry.name}"
        )
