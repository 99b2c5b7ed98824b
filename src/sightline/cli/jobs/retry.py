"""``sightline jobs retry``."""

import click

from sightline.cli.options import with_settings
from sightline.settings import Settings


@click.command(name="retry")
@click.argument("job_ids", metavar="ID...", nargs=-1, required=True)
@with_settings("database", "queue")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def command(settings: Settings, job_ids: tuple[str, ...], as_json: bool) -> None:
    """Try jobs again that failed, are dead or were cancelled.

    Of a job that is done, only the pictures that failed are looked at again.
    The beginning of an ID is enough.
    """
    from sightline.cli.jobs.changing import change  # noqa: PLC0415 - the database stays out of --help

    change(settings, job_ids, lambda ledger, job: ledger.retry(job.id), as_json=as_json)
