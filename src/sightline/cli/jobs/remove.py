"""``sightline jobs remove``."""

import click

from sightline.cli.options import with_settings
from sightline.settings import Settings


@click.command(name="remove")
@click.argument("job_ids", metavar="ID...", nargs=-1, required=True)
@with_settings("database", "queue")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def command(settings: Settings, job_ids: tuple[str, ...], as_json: bool) -> None:
    """Forget jobs that have ended, with their results and files.

    The beginning of an ID is enough.
    """
    from sightline.cli.jobs.changing import change  # noqa: PLC0415 - the database stays out of --help

    change(settings, job_ids, lambda ledger, job: ledger.remove(job.id), as_json=as_json)
