"""``sightline jobs cancel``."""

import click

from sightline.cli.options import with_settings
from sightline.settings import Settings


@click.command(name="cancel")
@click.argument("job_ids", metavar="ID...", nargs=-1, required=True)
@with_settings("database", "queue")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def command(settings: Settings, job_ids: tuple[str, ...], as_json: bool) -> None:
    """Cancel jobs that wait or run; their pictures so far stay.

    The beginning of an ID is enough.
    """
    from sightline.cli.jobs.changing import change  # noqa: PLC0415 - the database stays out of --help

    change(settings, job_ids, lambda ledger, job: ledger.cancel(job.id), as_json=as_json)
