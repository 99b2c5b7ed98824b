"""``sightline worker``."""

import click

from sightline.cli.options import with_settings
from sightline.settings import Settings


@click.command(name="worker")
@with_settings("queue", "database", "blobs", "model", "engine", "precision", "threads", "job_s", "lease_s")
@click.option(
    "--concurrency",
    type=click.IntRange(1, 256),
    default=1,
    show_default=True,
    help="Jobs, or parts of large ones, at the same time; each has a process with its own models.",
)
def command(settings: Settings, concurrency: int) -> None:
    """Work on jobs: many pictures, videos, evaluations.

    It ends by Ctrl-C or SIGTERM; what is running then is handed back.

    Workers on any number of machines may share one queue, database and blob store. `sightline serve`
    starts workers of its own when there are jobs (setting `workers`).
    """
    from sightline.jobs.ledger import Ledger  # noqa: PLC0415 - the database stays out of --help
    from sightline.worker.main import work  # noqa: PLC0415

    with Ledger.open(settings) as ledger:
        waiting = ledger.unfinished()  # a database that cannot be opened is said before anything starts
    place = "the local queue" if settings.queue == "local" else "the queue in Redis"
    words = f"Working on {place} with {concurrency} at a time; {waiting} waiting. Ctrl-C stops."
    work(settings, slots=concurrency, started=lambda: click.echo(words))
