"""``sightline jobs``."""

import click

from sightline.cli.lazy import LazyGroup

_HERE = "sightline.cli.jobs"
_COMMANDS = {
    "list": (f"{_HERE}.list", "List jobs, the newest first."),
    "show": (f"{_HERE}.show", "Show one job, and why pictures of it failed."),
    "wait": (f"{_HERE}.wait", "Wait until a job has ended, with its progress."),
    "results": (f"{_HERE}.results", "Write a job's results: JSON lines, CSV, COCO or a zip."),
    "cancel": (f"{_HERE}.cancel", "Cancel jobs that wait or run."),
    "retry": (f"{_HERE}.retry", "Try jobs again that failed, or the pictures of them that did."),
    "remove": (f"{_HERE}.remove", "Forget jobs that have ended, with their results."),
}


@click.group(name="jobs", cls=LazyGroup, table=_COMMANDS)
def command() -> None:
    """Look at jobs, wait for them, take their results."""
