"""``sightline models list``."""

import json
from typing import Any

import click

from sightline.cli.options import with_settings
from sightline.cli.terminal import clean, columns, size
from sightline.settings import Settings

NO_MODEL = "There is no model yet. Add one: `sightline models pull NAME` or `sightline models import FILE`."


@click.command(name="list")
@with_settings("catalogue")
@click.option("--all-versions", is_flag=True, help="Every version, not only the active one.")
@click.option("--available", is_flag=True, help="What `sightline models pull` can fetch, instead.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def command(settings: Settings, all_versions: bool, available: bool, as_json: bool) -> None:
    """List the models here; the default one is marked with *."""
    from sightline.cli.models import listing  # noqa: PLC0415 - pydantic and numpy stay out of --help

    rows = listing.catalogue(settings) if available else listing.models(settings, all_versions=all_versions)
    if as_json:
        click.echo(json.dumps({"models": rows}, indent=2, ensure_ascii=False))
    elif not rows:
        click.echo(NO_MODEL)
    else:
        head = ["", "name", "task", "labels", "size", "licence", "from"]
        click.echo(columns([head, *map(_cells, rows)], right=frozenset({3, 4})))


def _cells(row: dict[str, Any]) -> list[str]:
    mark = "*" if row["default"] else ""
    name = f"{row['name']}@{row['version']}" if row["version"] else row["name"]
    labels = str(row["label_count"] or "")
    return [
        mark,
        clean(name),
        row["task"],
        labels,
        size(row["bytes"]) if row["bytes"] else "",
        clean(row["licence"]),
        clean(row["from"]),
    ]
