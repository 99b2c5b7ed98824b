"""Jobs under fire: kill workers at random, take Redis away, and count what is left. Also a command.

``python -m tests.chaos.run --queue redis --database postgres --jobs 1000 --minutes 10 --kill-every 5``

Nothing here knows the inside of what it checks but the ledger that everybody uses, /proc, and signals.
The last lines are the verdict; the exit code is 1 if a promise was broken.
"""

import argparse
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from sqlalchemy import select
from tests.chaos.server import answers_without_redis, killed_server
from tests.chaos.servers import OwnRedis, own_postgres, own_redis
from tests.chaos.tasks import ENTRY, digest

from sightline.jobs.ledger import Ledger
from sightline.settings import Settings, load_settings
from sightline.storage import claims
from sightline.storage.database import clock

BACK_S = 30.0
"""A job whose worker was killed runs again within this; a queue that lost its ids has them again."""
_WORK = (
    "import json, sys; from sightline.settings import Settings; from sightline.worker.main import work; "
    "order = json.loads(sys.argv[1]); work(Settings(**order.pop('settings')), **order)"
)
_SUBMIT = (
    "import json, sys; from sightline.settings import Settings; from sightline.jobs.ledger import Ledger; "
    "ledger = Ledger.open(Settings(**json.loads(sys.argv[1])))\n"
    "for number in range(10**6): print(ledger.submit('checksum', {'text': 'x'}).id, flush=True)"
)


@dataclass
class Plan:
    """One run."""

    jobs: int = 1000
    minutes: float = 10.0
    workers: int = 4
    slots: int = 1
    kill_every_s: float = 5.0
    pause_s: float = 60.0
    lease_s: float = 20.0
    redis_faults: bool = False
    seed: int = 0


@dataclass
class Kill:
    """One worker that was killed."""

    time: float
    how: str
    jobs: list[str]


@dataclass
class Report:
    """What came of it."""

    states: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    kills: list[Kill] = field(default_factory=list)
    back_s: list[float] = field(default_factory=list)
    refills: dict[str, float] = field(default_factory=dict)
    submit_s: dict[str, float] = field(default_factory=dict)
    offer_s: dict[str, float] = field(default_factory=dict)
    """Of a submission, what waiting for the queue took."""
    attempts: Counter[int] = field(default_factory=Counter)
    seconds: float = 0.0

    @property
    def broken(self) -> list[str]:
        """Promises that did not hold, in words."""
        words = list(self.wrong)
        if set(self.states) - {"done"}:
            words.append(f"not every job is done: {dict(self.states)}")
        if self.back_s and max(self.back_s) > BACK_S:
            words.append(f"a job was back on a worker only after {max(self.back_s):.1f} s")
        words += [f"refilled after {name} in {it:.1f} s" for name, it in self.refills.items() if it > BACK_S]
        words += [f"an offer took {it:.1f} s {name}" for name, it in self.offer_s.items() if it > 2.0]
        return words

    def lines(self) -> Iterator[str]:
        """For people."""
        how = Counter(kill.how for kill in self.kills)
        caught = sum(len(kill.jobs) for kill in self.kills)
        yield f"states        {dict(self.states)} after {self.seconds:.0f} s"
        yield f"kills         {len(self.kills)} ({dict(how)}); {caught} jobs were running there"
        if self.back_s:
            middle = statistics.median(self.back_s)
            slowest = max(self.back_s)
            yield f"back again    median {middle:.1f} s, slowest {slowest:.1f} s, {len(self.back_s)} times"
        yield f"attempts      {dict(sorted(self.attempts.items()))}"
        for name, seconds in self.refills.items():
            yield f"refilled      {seconds:.1f} s after {name}"
        for name, seconds in self.submit_s.items():
            queue = self.offer_s.get(name, 0.0)
            yield f"submission    slowest {seconds:.2f} s {name}, waiting for the queue {queue:.2f} s"
        yield "verdict       " + ("; ".join(self.broken) or "every promise held")


def start_worker(settings: Settings, slots: int) -> subprocess.Popen[bytes]:
    """A supervisor with the kinds of tests."""
    order = json.dumps({"settings": asdict(settings), "slots": slots, "tasks": ENTRY})
    return subprocess.Popen(
        [sys.executable, "-c", _WORK, order], stderr=subprocess.DEVNULL, start_new_session=True
    )


def family(pid: int) -> list[int]:
    """A process and all its descendants."""
    found = [pid]
    for one in found:
        for thread in Path(f"/proc/{one}/task").glob("*"):  # each thread has children of its own
            with suppress(OSError):
                found += map(int, (thread / "children").read_text().split())
    return found


class Workers:
    """Supervisors that come back a second after they were killed, as a service manager would do it."""

    def __init__(self, settings: Settings, plan: Plan) -> None:
        """Start them."""
        self._settings, self._slots = settings, plan.slots
        self.all = [start_worker(settings, plan.slots) for _ in range(plan.workers)]

    def kill(self, number: int, how: str) -> int:
        """Kill one of them, alone or with all it started; its process id."""
        process = self.all[number]
        for pid in family(process.pid) if how == "group" else [process.pid]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()
        threading.Timer(1.0, self._again, (number,)).start()
        return process.pid

    def _again(self, number: int) -> None:
        self.all[number] = start_worker(self._settings, self._slots)

    def close(self) -> None:
        """End them all."""
        time.sleep(1.2)  # the last timer
        for process in self.all:
            process.terminate()
        for process in self.all:
            with suppress(subprocess.TimeoutExpired):
                process.wait(40)
            process.kill()
            process.wait()


def running_on(ledger: Ledger, pid: int) -> list[str]:
    """Jobs whose worker is this supervisor."""
    query = f"SELECT id FROM jobs WHERE state = 'running' AND worker LIKE '%:{pid}/%'"
    return [row[0] for row in ledger.database.read(lambda it: it.exec_driver_sql(query).all())]


def now_of(ledger: Ledger) -> float:
    """The database's clock."""
    return float(ledger.database.read(lambda it: it.execute(select(clock())).scalar_one()))


def storm(settings: Settings, plan: Plan, redis: OwnRedis | None = None, say: Any = print) -> Report:
    """Submit, kill, take Redis away if wanted, wait for the end, count."""
    settings = replace(settings, lease_s=plan.lease_s, jobs_max=10**6)
    chance, report = random.Random(plan.seed), Report()
    mean = plan.minutes * 60 * plan.workers * plan.slots / plan.jobs * 0.8
    began = time.monotonic()
    with Ledger.open(settings) as ledger:
        jobs: dict[str, str] = {}
        for number in range(plan.jobs):
            text, seconds = f"job {number}", chance.uniform(0.5, 1.5) * mean
            words = {"text": text, "seconds": seconds, "items": 2}
            jobs[ledger.submit("checksum", words, idempotency_key=text).id] = text
        workers = Workers(settings, plan)
        faults = threading.Thread(target=_take_redis_away, args=(settings, plan, redis, report, say))
        try:
            if redis is not None and plan.redis_faults:
                faults.start()
            _kill_until_done(ledger, workers, plan, report, chance, say)
        finally:
            if faults.ident is not None:
                faults.join()
            workers.close()
        report.seconds = time.monotonic() - began
        _count(ledger, jobs, report)
    return report


def _kill_until_done(
    ledger: Ledger, workers: Workers, plan: Plan, report: Report, chance: random.Random, say: Any
) -> None:
    begun = time.monotonic()
    next_kill = begun + plan.kill_every_s
    while ledger.unfinished() and time.monotonic() - begun < plan.minutes * 60 + 300:
        if (
            plan.kill_every_s
            and time.monotonic() >= next_kill
            and time.monotonic() - begun < plan.minutes * 60
        ):
            number, how = chance.randrange(plan.workers), chance.choice(["group", "parent"])
            at = now_of(ledger)
            there = running_on(ledger, workers.all[number].pid)
            workers.kill(number, how)
            report.kills.append(Kill(at, how, there))
            next_kill += plan.kill_every_s
            left = ledger.unfinished()
            say(
                f"{time.monotonic() - begun:6.0f} s  killed worker {number} ({how}); {left} unfinished",
                flush=True,
            )
        time.sleep(0.2)


def _take_redis_away(settings: Settings, plan: Plan, redis: OwnRedis, report: Report, say: Any) -> None:
    """FLUSHALL, a restart, a pause: each with its time until the queue knows every waiting id again."""
    third = plan.minutes * 60 / 4

    def pause() -> None:
        redis.pause()
        time.sleep(plan.pause_s)
        redis.go_on()

    def restart() -> None:
        redis.kill()
        redis.start()

    with Ledger.open(settings) as ledger:
        for name, fault in (
            ("FLUSHALL", lambda: redis.command("FLUSHALL")),
            ("a restart", restart),
            ("a pause", pause),
        ):
            time.sleep(third / 2)
            say(f"          Redis: {name}", flush=True)
            with _slowest_submission(ledger, report, f"during {name}"):
                fault()
            report.refills[name] = _until_refilled(ledger)
            say(
                f"          Redis knows every waiting id again after {report.refills[name]:.1f} s", flush=True
            )


@contextmanager
def _slowest_submission(ledger: Ledger, report: Report, name: str) -> Iterator[None]:
    """Submit all the time meanwhile."""
    over = threading.Event()

    offer = ledger.queue.offer

    def timed(job_id: str, priority: int = 0) -> bool:
        began = time.monotonic()
        taken = offer(job_id, priority)
        report.offer_s[name] = max(report.offer_s.get(name, 0.0), time.monotonic() - began)
        return taken

    def submit() -> None:
        while True:
            began = time.monotonic()
            ledger.submit("checksum", {"text": "meanwhile"})
            report.submit_s[name] = max(report.submit_s.get(name, 0.0), time.monotonic() - began)
            if over.wait(0.2):
                return

    ledger.queue.offer = timed  # type: ignore[method-assign]
    thread = threading.Thread(target=submit)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        ledger.queue.offer = offer  # type: ignore[method-assign]


def _until_refilled(ledger: Ledger) -> float:
    began = time.monotonic()
    while time.monotonic() - began < 120:
        waiting = {job.id for job in ledger.database.read(lambda it: claims.waiting(it, 10**6))}
        known = ledger.queue.waiting()
        if known is not None and not waiting - known:
            break
        time.sleep(0.1)
    return time.monotonic() - began


def _count(ledger: Ledger, jobs: dict[str, str], report: Report) -> None:
    """Every job, its one result, its items, and when it was back after a kill."""
    for job_id, text in jobs.items():
        job = ledger.get(job_id)
        report.states[job.state] += 1
        report.attempts[job.attempt] += 1
        if job.state == "done" and job.result != {"sha256": digest(text)}:
            report.wrong.append(f"job {job_id} has the wrong result")
        found = [item.result for item in ledger.items(job_id).items]
        if job.state == "done" and found != [{"sha256": digest(f"{text}/{index}")} for index in range(2)]:
            report.wrong.append(f"job {job_id} has the wrong items")
        ends = [one for one in ledger.events(job_id, limit=10_000) if one.data.get("state") == "done"]
        if len(ends) != 1:
            report.wrong.append(f"job {job_id} ended {len(ends)} times")
    for kill in report.kills:
        for job_id in kill.jobs:
            starts = [
                one.time
                for one in ledger.events(job_id, limit=10_000)
                if one.type == "state" and one.data["state"] == "running" and one.time > kill.time
            ]
            if starts:  # otherwise it ended in the moment before the kill
                report.back_s.append(starts[0] - kill.time)


def killed_submitters(settings: Settings, acknowledged: int, seed: int = 0) -> tuple[int, int, int]:
    """Kill the process that submits, again and again.

    Returns:
        How many ids it had said, how many of them are lost, and how often it was killed.
    """
    chance, said, kills = random.Random(seed), set[str](), 0
    words = json.dumps(asdict(replace(settings, jobs_max=10**6)))
    while len(said) < acknowledged:
        with subprocess.Popen([sys.executable, "-c", _SUBMIT, words], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            first = process.stdout.readline()
            timer = threading.Timer(chance.uniform(0.05, 0.4), process.kill)
            timer.start()
            lines = [first, *process.stdout]
            timer.join()
        kills += 1
        said |= {line.decode().strip() for line in lines if line.endswith(b"\n")}
    with Ledger.open(settings) as ledger:
        known = {
            row[0] for row in ledger.database.read(lambda it: it.exec_driver_sql("SELECT id FROM jobs").all())
        }
    return len(said), len(said - known), kills


def poisoned(settings: Settings, jobs: int, seconds: float, workers: int = 2) -> tuple[float, float]:
    """Seconds for so many jobs without, and with, one that kills whoever takes it."""
    times = []
    for with_poison in (False, True):
        with Ledger.open(settings) as ledger:
            process = start_worker(settings, workers)
            warm = [ledger.submit("where", {}).id for _ in range(workers * 2)]
            while any(not ledger.get(one).ended for one in warm):
                time.sleep(0.05)
            began = time.monotonic()
            if with_poison:
                bad = ledger.submit("poison", {})
            ids = [ledger.submit("checksum", {"text": "x", "seconds": seconds}).id for _ in range(jobs)]
            while any(not ledger.get(one).ended for one in reversed(ids)):
                time.sleep(0.05)
            times.append(time.monotonic() - began)
            if with_poison:
                while not ledger.get(bad.id).ended:
                    time.sleep(0.05)
                end = ledger.get(bad.id)
                assert (end.state, end.attempt) == ("dead", 3), end
            process.terminate()
            process.wait(30)
    return times[0], times[1]


@contextmanager
def place(queue: str, database: str, *, append: bool = False) -> Iterator[tuple[Settings, OwnRedis | None]]:
    """Settings for a run of its own, with the servers that it needs."""
    with ExitStack() as stack:
        words: dict[str, Any] = {
            "data_dir": stack.enter_context(tempfile.TemporaryDirectory(prefix="sightline-"))
        }
        redis = stack.enter_context(own_redis(append=append)) if queue == "redis" else None
        if redis is not None:
            words["queue"] = redis.url
        if database == "postgres":
            words["database"] = stack.enter_context(own_postgres()).database()
        yield load_settings(words, environment={}), redis


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(description="Jobs under fire.")
    parser.add_argument("--queue", choices=["local", "redis"], default="local")
    parser.add_argument("--database", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--minutes", type=float, default=10.0, help="How long workers are killed")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--slots", type=int, default=1, help="Children of each worker")
    parser.add_argument("--kill-every", type=float, default=5.0, metavar="S", help="0: never")
    parser.add_argument("--redis-faults", action="store_true", help="FLUSHALL, a restart, a pause meanwhile")
    parser.add_argument("--pause", type=float, default=60.0, metavar="S", help="How long Redis is stopped")
    parser.add_argument("--append", action="store_true", help="Redis keeps an append-only file")
    parser.add_argument(
        "--submitters", type=int, default=0, metavar="N", help="Kill who submits until N are said"
    )
    parser.add_argument("--poison", type=int, default=0, metavar="N", help="One poison job among N others")
    parser.add_argument(
        "--server", type=int, default=0, metavar="N", help="Kill the server until N jobs are in"
    )
    parser.add_argument("--predict", type=int, default=0, metavar="N", help="N predictions without Redis")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args(arguments)
    print(" ".join([f"{asked.queue} + {asked.database};", *map(str, arguments or sys.argv[1:])]), flush=True)
    broken: list[str] = []
    with place(asked.queue, asked.database, append=asked.append) as (settings, redis):
        if asked.submitters:
            said, lost, kills = killed_submitters(settings, asked.submitters, asked.seed)
            print(f"submitter     killed {kills} times; {lost} of {said} acknowledged jobs lost", flush=True)
            broken += [f"{lost} acknowledged jobs lost"] * bool(lost)
        elif asked.server:
            broken += killed_server(settings, asked.server, seed=asked.seed)
        elif asked.predict:
            assert redis is not None, "--predict is about --queue redis"
            broken += answers_without_redis(settings, redis, asked.predict)
        elif asked.poison:
            without, with_it = poisoned(settings, asked.poison, 0.5)
            print(
                f"poison        {asked.poison} jobs in {without:.1f} s, with it in {with_it:.1f} s "
                f"({100 * (with_it / without - 1):+.1f} %)"
            )
            broken += ["the others were delayed by more than 10 %"] * (with_it > 1.1 * without)
        else:
            plan = Plan(asked.jobs, asked.minutes, asked.workers, asked.slots, asked.kill_every, asked.pause)
            plan.redis_faults, plan.seed = asked.redis_faults, asked.seed
            report = storm(settings, plan, redis)
            print("\n".join(report.lines()))
            broken += report.broken
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
