"""``sightline jobs show``."""

import json
from typing import TYPE_CHECKING, Final

import click

from sightline.cli.options import with_settings
from sightline.settings import Settings

if TYPE_CHECKING:
    from sightline.jobs.ledger import Ledger
    from sightline.storage.job_kept import Job

_FAILURES: Final = 10


@click.command(name="show")
@click.argument("job_id", metavar="ID")
@with_settings("database", "queue")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def command(settings: Settings, job_id: str, as_json: bool) -> None:
    """Show one job, and why pictures of it failed.

    The beginning of an ID is enough.
    """
    from sightline.cli.jobs.finding import find  # noqa: PLC0415 - the database stays out of --help
    from sightline.jobs.ledger import Ledger  # noqa: PLC0415

    with Ledger.open(settings) as ledger:
        job = find(ledger, job_id)
        click.echo(json.dumps(job.to_json(), indent=2) if as_json else _for_people(ledger, job))


def _for_people(ledger: "Ledger", job: "Job") -> str:
    from sightline.cli.jobs import words  # noqa: PLC0415
    from sightline.cli.terminal import clean  # noqa: PLC0415

    lines = [words.sentence(job), f"  id         {job.id}", f"  model      {job.model or '-'}"]
    lines += [
        f"  submitted  {words.moment(job.created)}",
        f"  started    {words.moment(job.started)}",
        f"  ended      {words.moment(job.finished)}",
        f"  forgotten  {words.moment(job.expires)}",
        f"  attempts   {job.attempt}",
    ]
    if job.error:
        lines.append(f"  next       {clean(str(job.error['next_step']))}")
    failures = ledger.items(job.id, limit=_FAILURES, failed_only=True)
    for item in failures.items:
        why = clean(str(item.error["message"])) if item.error else ""
        lines.append(f"  failed     {clean(item.source)}: {why}")
    if failures.total > len(failures.items):
        lines.append(f"  … and {failures.total - len(failures.items)} more.")
    return "\n".join(lines)
