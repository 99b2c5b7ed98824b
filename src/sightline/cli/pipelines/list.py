"""``sightline pipelines list``."""

import json
from typing import Any

import click

from sightline.cli.options import with_settings
from sightline.cli.terminal import clean, columns
from sightline.settings import Settings


@click.command(name="list")
@with_settings()
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def command(settings: Settings, as_json: bool) -> None:
    """List the pipelines here and the models that they chain."""
    from sightline.registry import Registry  # noqa: PLC0415 - pydantic stays out of --help

    rows = [
        {
            "name": bundle.name,
            "version": bundle.version,
            "title": bundle.title,
            "first": pipeline.first.model,
            "second": pipeline.second.model or "rule",
            "verdicts": list(pipeline.names),
        }
        for bundle in Registry(settings).list()
        if (pipeline := bundle.manifest.pipeline) is not None
    ]
    if as_json:
        click.echo(json.dumps({"pipelines": rows}, indent=2, ensure_ascii=False))
    elif not rows:
        click.echo("There is no pipeline. Write one and import it: docs/how-to/pipelines.md.")
    else:
        head = ["name", "first stage", "second stage", "verdicts"]
        cells: list[list[Any]] = [
            [
                f"{row['name']}@{row['version']}",
                str(row["first"]),
                str(row["second"]),
                ", ".join(row["verdicts"]),
            ]
            for row in rows
        ]
        click.echo(columns([head, *([clean(cell) for cell in line] for line in cells)]))
