"""Jobs in words for people."""

import time
from datetime import UTC, datetime
from typing import Final

from sightline.cli.jobs.finding import SHOWN
from sightline.cli.terminal import clean, duration
from sightline.jobs.inputs import PREDICT
from sightline.jobs.orders import EVALUATE, TRAIN
from sightline.storage.job_kept import Job

_UNITS: Final = {PREDICT: "pictures", EVALUATE: "pictures", TRAIN: "epochs", "video": "frames"}


def unit_of(job: Job) -> str:
    """What its progress counts."""
    return _UNITS.get(job.kind, "steps")


def progress_of(job: Job) -> str:
    """``412 of 2000``, or what is known of it."""
    done, total = job.progress.done, job.progress.total
    if total:
        return f"{done} of {total}"
    return str(done) if done else ""


def sentence(job: Job) -> str:
    """How a job is, in one line."""
    head = f"Job {job.id[:SHOWN]} ({job.kind}) is {job.state}"
    told = progress_of(job)
    parts = [f"{told} {unit_of(job)}" if told else "", f"{job.failed} failed" if job.failed else ""]
    if job.rate and job.state in ("running", "done"):
        parts.append(f"{job.rate:.1f}/s")
    if job.left_s is not None:
        parts.append(f"{duration(job.left_s)} left")
    line = f"{head}: {', '.join(filter(None, parts))}." if any(parts) else f"{head}."
    return f"{line} {clean(str(job.error['message']))}" if job.error else line


def age(job: Job) -> str:
    """How long ago it was submitted, by this machine's clock."""
    return f"{duration(max(0.0, time.time() - job.created))} ago"


def moment(seconds: float | None) -> str:
    """A time as people write it, in UTC."""
    if seconds is None:
        return "-"
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def figures(job: Job) -> list[str]:
    """What an evaluation found, a line each: a share in percent, with its interval where there is one."""
    found = (job.result or {}).get("figures", {}) if job.kind == EVALUATE else {}
    lines = []
    for name, figure in found.items():
        low, high = figure.get("low"), figure.get("high")
        interval = "" if low is None or high is None else f" [{100 * low:.1f}, {100 * high:.1f}]"
        lines.append(f"  {clean(str(name)):<12} {100 * figure['value']:.1f}{interval} %")
    return lines
