"""What ``cancel``, ``retry`` and ``remove`` share: several jobs, one line for each, JSON on request."""

import json
from collections.abc import Callable

import click

from sightline.cli.exits import ExitCode, words
from sightline.cli.jobs.finding import SHOWN, find
from sightline.cli.jobs.words import sentence
from sightline.errors import SightlineError
from sightline.jobs.ledger import Ledger
from sightline.settings import Settings
from sightline.storage.job_kept import Job

Change = Callable[[Ledger, Job], Job | None]
"""What is done to a job; ``None``: it is gone."""


def change(settings: Settings, ids: tuple[str, ...], what: Change, *, as_json: bool) -> None:
    """Do it to each job. One that refuses does not stop the others; the exit code then is 1.

    Raises:
        SightlineError: There is only one job, and it refused.
    """
    with Ledger.open(settings) as ledger:
        done: list[dict[str, object]] = []
        for word in ids:
            try:
                found = find(ledger, word)
                job = what(ledger, found)
            except SightlineError as error:
                if len(ids) == 1:
                    raise
                click.echo(f"{word}: {words(error)}", err=True)
                continue
            done.append(job.to_json() if job else {"id": found.id, "state": "removed"})
            if not as_json:
                click.echo(sentence(job) if job else f"Job {found.id[:SHOWN]} is gone, with its results.")
    if as_json:
        click.echo(json.dumps({"jobs": done}, indent=2))
    if len(done) < len(ids):
        click.get_current_context().exit(int(ExitCode.SOME_FAILED))
