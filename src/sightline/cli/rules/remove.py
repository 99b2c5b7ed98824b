"""``sightline rules remove ID``."""

import click

from sightline.cli.options import with_settings
from sightline.settings import Settings


@click.command(name="remove")
@click.argument("rule", metavar="ID")
@with_settings()
def command(settings: Settings, rule: str) -> None:
    """Remove a rule and its deliveries."""
    from sightline.rules import RuleDesk  # noqa: PLC0415 - the database stays out of --help

    desk = RuleDesk.open(settings)
    try:
        desk.remove(rule)
    finally:
        desk.close()
    click.echo(f"Removed rule {rule}.")
