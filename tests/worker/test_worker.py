"""Workers as processes: what they do with good work, with bad work, and when somebody kills them."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from tests.chaos.run import family
from tests.chaos.tasks import ENTRY, digest

from sightline.jobs.ledger import Ledger
from sightline.settings import Settings
from sightline.storage.job_kept import Job
from sightline.worker.crew import Crew

Start = Callable[..., subprocess.Popen[bytes]]
_WORK = (
    "import json, sys; from sightline.settings import Settings; from sightline.worker.main import work; "
    "order = json.loads(sys.argv[1]); work(Settings(**order.pop('settings')), **order)"
)


def wait(ledger: Ledger, job: Job, *states: str, seconds: float = 60) -> Job:
    """Until the job is in one of these states."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        now = ledger.get(job.id)
        if now.state in (states or ("done", "failed", "dead", "cancelled")):
            return now
        time.sleep(0.05)
    raise AssertionError(f"{ledger.get(job.id)} is not {states} after {seconds} s")


@pytest.fixture
def start(job_settings: Settings) -> Iterator[Start]:
    """Start workers with the kinds of tests; those that are left are killed at the end."""
    running: list[subprocess.Popen[bytes]] = []

    def begin(slots: int = 1, **changes: object) -> subprocess.Popen[bytes]:
        settings = asdict(replace(job_settings, **changes))  # type: ignore[arg-type]
        order = json.dumps({"settings": settings, "slots": slots, "tasks": ENTRY})
        running.append(subprocess.Popen([sys.executable, "-c", _WORK, order], start_new_session=True))
        return running[-1]

    yield begin
    for process in running:
        process.kill()
        process.wait()


def pid_of(crew: Crew) -> int | None:
    """Of its supervisor; it changes from look to look, which a type checker cannot know of a property."""
    return crew.pid


def test_one_warm_process_does_many_jobs(ledger: Ledger, start: Start) -> None:
    start()
    jobs = [ledger.submit("where", {}) for _ in range(4)]
    answers = [wait(ledger, job).result for job in jobs]
    assert len({answer["pid"] for answer in answers if answer}) == 1
    assert sorted(answer["times"] for answer in answers if answer) == [1, 2, 3, 4]


def test_a_split_job_is_done_by_all(ledger: Ledger, start: Start) -> None:
    start(2)
    job = ledger.submit("split", {"parts": 6, "seconds": 0.1})
    done = wait(ledger, job)
    assert (done.state, done.progress.done, done.result) == ("done", 6, {"parts": 6})
    assert [item.result for item in ledger.items(job.id).items] == [{"index": index} for index in range(6)]


def test_bad_work_ends_with_its_reason_and_hurts_nobody(ledger: Ledger, start: Start) -> None:
    start(job_attempts=2)
    bad = {kind: ledger.submit(kind, {}) for kind in ("poison", "defect", "refuse")}
    slow = ledger.submit("deaf", {"seconds": 600}, limit_s=1)
    good = [ledger.submit("checksum", {"text": f"t{number}"}) for number in range(5)]
    for number, job in enumerate(good):
        assert wait(ledger, job).result == {"sha256": digest(f"t{number}")}
    ends = {kind: wait(ledger, job) for kind, job in {**bad, "deaf": slow}.items()}
    found = {kind: (end.state, end.attempt, end.error and end.error["code"]) for kind, end in ends.items()}
    assert found == {
        "poison": ("dead", 2, "worker_died"),
        "defect": ("dead", 2, "internal"),
        "refuse": ("failed", 1, "bad_option"),
        "deaf": ("dead", 2, "job_timeout"),
    }
    assert "secret" not in str(ends["defect"].error)


@pytest.mark.parametrize("whole", [True, False], ids=["everything", "the parent only"])
def test_what_a_killed_worker_did_is_done_by_another(ledger: Ledger, start: Start, *, whole: bool) -> None:
    job = ledger.submit("checksum", {"text": "x", "seconds": 3, "items": 6})
    first = start()
    wait(ledger, job, "running")
    child = family(first.pid)[1]
    if whole:
        os.kill(child, signal.SIGSTOP)  # it must not speak after its parent
        os.kill(child, signal.SIGKILL)
    first.kill()
    first.wait()
    start()
    done = wait(ledger, job)
    assert (done.state, done.attempt, done.result) == ("done", 2, {"sha256": digest("x")})
    assert len(ledger.items(job.id).items) == 6
    assert not Path(f"/proc/{child}").exists(), "the child outlived its parent"


def test_a_stopped_worker_hands_its_job_back(ledger: Ledger, start: Start) -> None:
    job = ledger.submit("checksum", {"text": "x", "seconds": 600})
    worker = start()
    wait(ledger, job, "running")
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(20) == 0
    back = ledger.get(job.id)
    assert (back.state, back.attempt, back.error) == ("queued", 0, None)


def test_a_worker_that_is_stopped_twice_does_not_wait(ledger: Ledger, start: Start) -> None:
    job = ledger.submit("deaf", {"seconds": 600})
    worker = start()
    wait(ledger, job, "running")
    end = time.monotonic() + 60
    while worker.poll() is None and time.monotonic() < end:  # two signals at once would be one
        worker.send_signal(signal.SIGTERM)
        time.sleep(0.5)
    assert worker.returncode == 0
    assert ledger.get(job.id).state == "queued"


def test_a_cancelled_job_stops(ledger: Ledger, start: Start) -> None:
    start()
    job = ledger.submit("checksum", {"text": "x", "seconds": 600})
    wait(ledger, job, "running")
    ledger.cancel(job.id)
    assert wait(ledger, ledger.submit("where", {})).state == "done", "the worker is free again"
    assert ledger.get(job.id).state == "cancelled"


def test_a_job_taken_ahead_does_not_pay_for_the_one_before(ledger: Ledger, start: Start) -> None:
    bad, next_one = ledger.submit("greedy", {}), ledger.submit("where", {})
    start(job_attempts=1)
    assert wait(ledger, bad).state == "dead"
    done = wait(ledger, next_one)
    assert (done.state, done.attempt) == ("done", 1), "handed back, so its first attempt still counts as none"
    assert done.result is not None
    assert done.result["times"] == 1


def test_a_stopped_worker_hands_back_what_it_took_ahead(ledger: Ledger, start: Start) -> None:
    job, next_one = ledger.submit("greedy", {"seconds": 600}), ledger.submit("where", {})
    worker = start()
    end = time.monotonic() + 60
    while not ledger.get(job.id).progress.done and time.monotonic() < end:
        time.sleep(0.05)
    assert ledger.get(next_one.id).state == "running"
    worker.terminate()
    worker.wait(60)
    now = [ledger.get(it.id) for it in (job, next_one)]
    assert [(it.state, it.attempt) for it in now] == [("queued", 0), ("queued", 0)]


@pytest.mark.parametrize("job_settings", ["local+sqlite"], indirect=True)
def test_a_crew_comes_with_the_first_job_and_leaves_when_it_is_idle(
    ledger: Ledger, job_settings: Settings
) -> None:
    settings = replace(job_settings, workers=1)
    with Crew(settings, tasks=ENTRY, idle_s=1) as crew:
        time.sleep(1.2)
        assert pid_of(crew) is None, "nobody wanted anything"
        assert wait(ledger, ledger.submit("where", {})).state == "done"
        pid = pid_of(crew)
        assert pid is not None
        end = time.monotonic() + 30
        while Path(f"/proc/{pid}").exists() and time.monotonic() < end:
            time.sleep(0.1)
        assert not Path(f"/proc/{pid}").exists(), "it is idle"
        again = ledger.submit("checksum", {"text": "x", "seconds": 600})
        wait(ledger, again, "running")
    assert ledger.get(again.id).state == "queued", "handed back when the server stops"


def test_without_workers_a_crew_starts_nothing(data_settings: Settings) -> None:
    with Crew(replace(data_settings, workers=0)) as crew:
        assert crew.pid is None
    assert not data_settings.data_path.exists()


_SERVER = (
    "import json, sys, time; from sightline.settings import Settings\n"
    "from sightline.worker.crew import Crew\n"
    "order = json.loads(sys.argv[1])\n"
    "with Crew(Settings(**order.pop('settings')), **order): time.sleep(600)"
)


@pytest.mark.parametrize("job_settings", ["local+sqlite"], indirect=True)
def test_the_crew_of_a_killed_server_hands_its_job_back(ledger: Ledger, job_settings: Settings) -> None:
    settings = asdict(replace(job_settings, workers=1, lease_s=60))
    order = json.dumps({"settings": settings, "tasks": ENTRY})
    server = subprocess.Popen([sys.executable, "-c", _SERVER, order], start_new_session=True)
    job = ledger.submit("checksum", {"text": "x", "seconds": 600})
    wait(ledger, job, "running")
    crew = family(server.pid)[1]
    server.kill()
    server.wait()
    back = wait(ledger, job, "queued", seconds=30)
    assert back.attempt == 0, "long before its lease has passed"
    end = time.monotonic() + 20
    while Path(f"/proc/{crew}").exists() and time.monotonic() < end:
        time.sleep(0.1)
    assert not Path(f"/proc/{crew}").exists()
