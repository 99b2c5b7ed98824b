"""``sightline rules list``."""

import json

import click

from sightline.cli.options import with_settings
from sightline.cli.terminal import columns
from sightline.settings import Settings


@click.command(name="list")
@with_settings()
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def command(settings: Settings, as_json: bool) -> None:
    """List the rules, the oldest first."""
    from sightline.cli.rules.words import rule_json, rule_row  # noqa: PLC0415 - the database stays out of --help
    from sightline.rules import RuleDesk  # noqa: PLC0415

    desk = RuleDesk.open(settings)
    try:
        rules = desk.rules()
    finally:
        desk.close()
    if as_json:
        click.echo(json.dumps({"rules": list(map(rule_json, rules))}, indent=2, ensure_ascii=False))
    elif not rules:
        click.echo("There is no rule yet. Add one: `sightline rules add --help`.")
    else:
        head = ["id", "name", "when", "actions", "quiet", "sources"]
        click.echo(columns([head, *map(rule_row, rules)]))
