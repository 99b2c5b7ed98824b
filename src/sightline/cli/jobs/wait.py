"""``sightline jobs wait``."""

import click

from sightline.cli.options import with_settings
from sightline.settings import Settings


@click.command(name="wait")
@click.argument("job_id", metavar="ID")
@with_settings("database", "queue", "model", "engine", "precision", "threads")
@click.option(
    "--timeout", "timeout_s", type=click.FloatRange(0), default=0, help="Most seconds; 0: for ever."
)
@click.option("--run", is_flag=True, help="Start a worker here that ends with this command.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@click.pass_context
def command(
    ctx: click.Context, settings: Settings, job_id: str, timeout_s: float, run: bool, as_json: bool
) -> None:
    """Wait until a job has ended, with its progress.

    The exit code is 0 when all of it is done, 1 when something of it failed, 4 when the time was over.
    Ctrl-C ends the wait, not the job. The beginning of an ID is enough.
    """
    from sightline.cli.jobs.finding import find  # noqa: PLC0415 - the database stays out of --help
    from sightline.cli.jobs.waiting import say_how_it_ended, wait  # noqa: PLC0415
    from sightline.jobs.ledger import Ledger  # noqa: PLC0415

    with Ledger.open(settings) as ledger:
        job = wait(ledger, find(ledger, job_id), settings, run=run, timeout_s=timeout_s)
    ctx.exit(int(say_how_it_ended(job, as_json=as_json)))
