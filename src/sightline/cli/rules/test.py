"""``sightline rules test ID``."""

import click

from sightline.cli.options import with_settings
from sightline.cli.terminal import columns
from sightline.settings import Settings


@click.command(name="test")
@click.argument("rule", metavar="ID")
@with_settings()
def command(settings: Settings, rule: str) -> None:
    """Do a rule's actions once, now, with a made-up event of the type `rule.test`."""
    from sightline.cli.rules.words import delivery_row  # noqa: PLC0415 - the database stays out of --help
    from sightline.rules import RuleDesk  # noqa: PLC0415

    desk = RuleDesk.open(settings)
    try:
        made = {one.id for one in desk.test(rule)}
        desk.deliver()
        rows = [delivery_row(one) for one in desk.deliveries(rule=rule, limit=100) if one.id in made]
    finally:
        desk.close()
    click.echo(columns(rows))
