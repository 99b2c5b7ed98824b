"""``sightline jobs list``."""

import json
from typing import TYPE_CHECKING, get_args

import click

from sightline.cli.options import with_settings
from sightline.settings import Settings
from sightline.storage.job_kept import JobState

if TYPE_CHECKING:
    from sightline.storage.job_kept import Job


@click.command(name="list")
@with_settings("database", "queue")
@click.option("--state", type=click.Choice(get_args(JobState)), help="Only jobs in this state.")
@click.option("--kind", help="Only jobs of this kind: predict, video, evaluate, import, train.")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="Most jobs.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def command(settings: Settings, state: JobState | None, kind: str | None, limit: int, as_json: bool) -> None:
    """List jobs, the newest first."""
    from sightline.jobs.ledger import Ledger  # noqa: PLC0415 - the database stays out of --help

    with Ledger.open(settings) as ledger:
        page = ledger.page(state=state, kind=kind, limit=limit)
    if as_json:
        click.echo(json.dumps({"jobs": [job.to_json() for job in page.items], "total": page.total}, indent=2))
    elif not page.items:
        click.echo("There is no such job. Submit one: `sightline predict --job FOLDER`.")
    else:
        from sightline.cli.terminal import columns  # noqa: PLC0415

        rows = [_cells(job) for job in page.items]
        click.echo(columns([["id", "kind", "state", "progress", "failed", "submitted", ""], *rows]))
        if page.total > len(page.items):
            click.echo(f"{page.total - len(page.items)} older ones: --limit {page.total}")


def _cells(job: "Job") -> list[str]:
    from sightline.cli.jobs import words  # noqa: PLC0415
    from sightline.cli.jobs.finding import SHOWN  # noqa: PLC0415
    from sightline.cli.terminal import clean  # noqa: PLC0415

    error = clean(str(job.error["message"]))[:60] if job.error else ""
    failed = str(job.failed or "")
    return [job.id[:SHOWN], job.kind, job.state, words.progress_of(job), failed, words.age(job), error]
