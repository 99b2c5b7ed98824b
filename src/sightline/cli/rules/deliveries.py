"""``sightline rules deliveries``."""

import json
from dataclasses import asdict

import click

from sightline.cli.options import with_settings
from sightline.cli.terminal import columns
from sightline.settings import Settings


@click.command(name="deliveries")
@with_settings()
@click.option("--rule", default="", metavar="ID", help="Only of this rule.")
@click.option("--limit", type=click.IntRange(1, 200), default=20, show_default=True, help="At most so many.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def command(settings: Settings, rule: str, limit: int, as_json: bool) -> None:
    """Show what was sent and what came back, the newest first."""
    from sightline.cli.rules.words import delivery_row  # noqa: PLC0415 - the database stays out of --help
    from sightline.rules import RuleDesk  # noqa: PLC0415

    desk = RuleDesk.open(settings)
    try:
        found = desk.deliveries(rule=rule, limit=limit)
    finally:
        desk.close()
    if as_json:
        rows = [{name: value for name, value in asdict(one).items() if name != "token"} for one in found]
        click.echo(json.dumps({"deliveries": rows}, indent=2, ensure_ascii=False))
    elif not found:
        click.echo("Nothing has been sent yet.")
    else:
        head = ["time (UTC)", "kind", "to", "source", "state", "status", "answer"]
        click.echo(columns([head, *map(delivery_row, found)]))
