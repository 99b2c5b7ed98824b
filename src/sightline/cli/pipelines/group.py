"""``sightline pipelines``."""

import click

from sightline.cli.lazy import LazyGroup

_HERE = "sightline.cli.pipelines"
_COMMANDS = {
    "list": (f"{_HERE}.list", "List the pipelines here and the models that they chain."),
    "show": (f"{_HERE}.show", "Show one pipeline, stage by stage."),
    "set": (f"{_HERE}.set", "Give a pipeline another second stage."),
}


@click.group(name="pipelines", cls=LazyGroup, table=_COMMANDS)
def command() -> None:
    """Chain models: list, show and change pipelines.

    What one model finds, the next one judges. Pipelines are taken in, removed, promoted and asked like any
    model: `sightline models import FOLDER`, `sightline predict PHOTO --model visitors`.
    """
