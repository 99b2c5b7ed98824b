"""``sightline models promote NAME@VERSION``."""

import click

from sightline.cli.options import with_settings
from sightline.errors import BadOption
from sightline.settings import Settings


@click.command(name="promote")
@click.argument("reference", metavar="NAME@VERSION")
@with_settings()
def command(settings: Settings, reference: str) -> None:
    """Make a version the one that answers; also the way back."""
    from sightline.registry import Registry  # noqa: PLC0415 - pydantic stays out of --help

    registry = Registry(settings)
    name, _, version = reference.partition("@")
    if not version:
        known = ", ".join(f"{name}@{bundle.version}" for bundle in registry.versions(name))
        raise BadOption(f"{reference} names no version.", next_step=f"Use one of: {known}.")
    click.echo(f"{registry.promote(name, version).reference} answers now when {name} is asked for.")
