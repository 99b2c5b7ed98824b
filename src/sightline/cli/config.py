"""``sightline config``."""

import json
import re
from dataclasses import asdict
from typing import Any

import click

from sightline.cli.options import CONFIG_FILE, OVERRIDES, with_settings
from sightline.cli.terminal import clean, columns
from sightline.settings import Settings, origins


@click.command(name="config")
@with_settings()
@click.option("--json", "as_json", is_flag=True, help="For machines: value and origin of every setting.")
@click.option("--changed", is_flag=True, help="Only settings that differ from their default.")
@click.pass_context
def command(ctx: click.Context, settings: Settings, as_json: bool, changed: bool) -> None:
    """Show every setting and where its value came from.

    Later sources win: default, sightline.toml, SIGHTLINE_* in the environment, flags.
    """
    came_from = origins(ctx.meta[OVERRIDES], file=ctx.meta[CONFIG_FILE])
    values = {name: _masked(value) for name, value in asdict(settings).items()}
    shown = [name for name in values if not changed or came_from[name] != "default"]
    if as_json:
        click.echo(
            json.dumps({name: {"value": values[name], "from": came_from[name]} for name in shown}, indent=2)
        )
        return
    rows = [[name, clean(str(values[name])) or "(empty)", came_from[name]] for name in shown]
    click.echo(columns([["setting", "value", "from"], *rows]))
    click.echo(f"\nData folder: {clean(str(settings.data_path))}")


def _masked(value: Any) -> Any:
    """Addresses may hold a password, which is nothing to show or to paste into a report."""
    return re.sub(r"(://[^:/@\s]*:)[^@/\s]+@", r"\1***@", value) if isinstance(value, str) else value
