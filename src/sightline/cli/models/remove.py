"""``sightline models remove NAME``."""

import click

from sightline.cli.options import with_settings
from sightline.settings import Settings


@click.command(name="remove")
@click.argument("reference", metavar="NAME")
@with_settings()
@click.option("--yes", is_flag=True, help="Do not ask.")
def command(settings: Settings, reference: str, yes: bool) -> None:
    """Delete an imported model or one version of it.

    NAME is a name (all its imported versions), or name@version. Models that ship with Sightline stay.
    """
    from sightline.registry import Registry  # noqa: PLC0415 - pydantic stays out of --help

    registry = Registry(settings)
    name, _, version = reference.partition("@")
    own = [one.reference for one in registry.removable(reference)]
    if not yes:
        click.confirm(f"Delete {', '.join(own)}?", abort=True, err=True)
    for bundle in registry.remove(name, version or None):
        click.echo(f"Removed {bundle.reference}.")
