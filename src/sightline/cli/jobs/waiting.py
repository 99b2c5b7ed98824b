"""Waiting for a job at a terminal: a bar, a word when nobody works on it, an exit code at the end."""

import json
import time
from dataclasses import replace
from typing import Final

import click

from sightline.cli.exits import ExitCode
from sightline.cli.jobs.finding import SHOWN
from sightline.cli.jobs.words import figures, sentence, unit_of
from sightline.cli.progress import Progress
from sightline.errors import DeadlineExceeded
from sightline.jobs.inputs import PREDICT
from sightline.jobs.ledger import Ledger
from sightline.settings import Settings
from sightline.storage.job_kept import Job
from sightline.worker.presence import anybody

_LOOK_S: Final = 0.25
TAKEN_S: Final = 5.0
"""A worker that is there has taken a job by then, or is busy with others."""


def is_taken(ledger: Ledger, job: Job, settings: Settings, within_s: float = TAKEN_S) -> bool:
    """Whether somebody seems to work: workers of this machine are there, this job was begun, others run."""
    if anybody(settings):
        return True
    end = time.monotonic() + within_s
    while True:
        if ledger.get(job.id).state != "queued" or ledger.page(state="running", limit=1).total:
            return True
        if time.monotonic() > end:
            return False
        time.sleep(_LOOK_S)


def say_that_nobody_works(job: Job) -> None:
    """On standard error: the job is safe, but it waits. Workers elsewhere may only be slow to take it."""
    click.echo(
        f"No worker has taken job {job.id[:SHOWN]} so far, and none of this data folder runs here.\n"
        "  The job stays in the line until one takes it.\n"
        "  Next: unless workers run elsewhere, start `sightline serve` or `sightline worker`, or work it\n"
        f"  off here: `sightline jobs wait --run {job.id[:SHOWN]}`.",
        err=True,
    )


def wait(ledger: Ledger, job: Job, settings: Settings, *, run: bool, timeout_s: float = 0.0) -> Job:
    """The job when it has ended.

    Args:
        ledger: Of the job.
        job: Which job.
        settings: For the workers.
        run: Start workers here that end with this command.
        timeout_s: Seconds to wait; 0: for ever.

    Raises:
        DeadlineExceeded: It had not ended by then.
    """
    if not run:
        return _watch(ledger, job, settings, said=False, timeout_s=timeout_s)
    from sightline.worker.crew import Crew  # noqa: PLC0415 - processes that most waits do not need

    with Crew(replace(settings, workers=max(1, settings.workers))):
        return _watch(ledger, job, settings, said=True, timeout_s=timeout_s)


def _watch(ledger: Ledger, job: Job, settings: Settings, *, said: bool, timeout_s: float) -> Job:
    progress = Progress(0, unit=unit_of(job))
    began = time.monotonic()
    try:
        while not job.ended:
            waited = time.monotonic() - began
            if timeout_s and waited > timeout_s:
                raise DeadlineExceeded(
                    f"Job {job.id[:SHOWN]} has not ended within {timeout_s:g} s; it is {job.state}.",
                    next_step=f"It goes on: `sightline jobs wait {job.id[:SHOWN]}`.",
                )
            if not said and waited > TAKEN_S:
                said = True
                if not is_taken(ledger, job, settings, 0):
                    say_that_nobody_works(job)
            time.sleep(_LOOK_S)
            job = ledger.get(job.id)
            if job.progress.total:
                progress.to(job.progress.done, job.progress.total)
    finally:
        progress.pause()
    return job


def say_how_it_ended(job: Job, *, as_json: bool) -> ExitCode:
    """Words or JSON on standard output, and the exit code: 0 only when nothing of it failed."""
    if as_json:
        click.echo(json.dumps(job.to_json(), indent=2))
    else:
        click.echo(sentence(job))
        if job.error and job.state != "done":
            click.echo(f"  Next: {job.error['next_step']}", err=True)
        for line in figures(job):
            click.echo(line)
        if job.kind == PREDICT and job.progress.done:
            click.echo(f"Take the results: sightline jobs results {job.id[:SHOWN]}")
    return ExitCode.OK if job.state == "done" and not job.failed else ExitCode.SOME_FAILED
