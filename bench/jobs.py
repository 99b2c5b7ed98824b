"""Throughput of jobs: ``python -m bench.jobs FOLDER [--pictures 600] [--workers 1,2,4] [--rounds 3]``.

The same pictures by ``sightline predict --json`` and by a job, in turns, so that a busy machine is busy for
both. Rates leave out what is paid once: of ``predict``, from its first answer to its last; of the job, from
the row's start (listing and splitting included) to its end, on workers that have the model loaded. Memory is
the largest worker's anonymous resident set after a quarter of the job and at its end.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sightline.jobs.inputs import LIST_TYPE, PREDICT, Inputs, PredictOrder, urls_blob
from sightline.jobs.ledger import Ledger
from sightline.runtime.features import this_machine
from sightline.settings import Settings, load_settings
from sightline.storage.folders import SUFFIXES
from sightline.storage.kept import Picture


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="pictures to take from; repeated if there are too few")
    parser.add_argument("--pictures", type=int, default=600)
    parser.add_argument("--workers", default="1")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", default="")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-jobs-") as place:
        album = _album(asked.folder, Path(place, "album"), asked.pictures)
        machine = f"{this_machine().describe()}, {os.cpu_count()} processors"
        load = f"load average {os.getloadavg()[0]:.1f} before"
        print(f"# Jobs, {time.strftime('%Y-%m-%d')}\n\n{machine}, {asked.pictures} pictures, {load}.\n")
        print("| workers | predict, pictures/s | job, pictures/s | ratio | MB at a quarter | MB at the end |")
        print("|---|---|---|---|---|---|")
        for count in map(int, asked.workers.split(",")):
            settings = load_settings({"data_dir": str(Path(place, f"data{count}")), "model": asked.model})
            _row(album, settings, count, asked.rounds)


def _row(album: Path, settings: Settings, workers: int, rounds: int) -> None:
    with workers_of(settings, workers) as supervisor, Ledger.open(settings) as ledger:
        _job(album, ledger, settings, supervisor)  # loads the models
        pairs, sizes = [], (0.0, 0.0)
        for _ in range(rounds):
            direct = predict(album, settings)
            rate, *found = _job(album, ledger, settings, supervisor)
            sizes = max(sizes[0], found[0]), max(sizes[1], found[1])
            pairs.append((direct, rate))
    ratio = statistics.median(job / direct for direct, job in pairs)
    direct, job = (statistics.median(column) for column in zip(*pairs, strict=True))
    print(
        f"| {workers} | {direct:.1f} | {job:.1f} | {ratio:.2f} | {sizes[0]:.0f} | {sizes[1]:.0f} |",
        flush=True,
    )


def _album(source: Path, album: Path, count: int) -> Path:
    found = sorted(path for path in source.rglob("*") if path.suffix.lower() in SUFFIXES)
    album.mkdir()
    for number in range(count):
        path = found[number % len(found)]
        shutil.copyfile(path, album / f"{number:06d}{path.suffix}")
    return album


@contextmanager
def workers_of(settings: Settings, count: int) -> Iterator[int]:
    words = [sys.executable, "-m", "sightline", "worker", "--concurrency", str(count)]
    words += ["--data-dir", settings.data_dir, *(["--model", settings.model] if settings.model else [])]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait(60)


def predict(album: Path, settings: Settings) -> float:
    """Pictures a second of the command line between its first and its last answer."""
    return answers_per_s(["predict", "--json"], album, settings)


def answers_per_s(command: list[str], source: Path, settings: Settings) -> float:
    """JSON answers a second of a command about ``source`` between its first and its last one."""
    words = [sys.executable, "-m", "sightline", *command, "--data-dir", settings.data_dir, str(source)]
    words += ["--model", settings.model] if settings.model else []
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        times = [time.monotonic() for line in process.stdout if b'"predictions"' in line]
    if process.returncode:
        raise SystemExit(f"{command[0]} ended with {process.returncode}.")
    return (len(times) - 1) / (times[-1] - times[0])


def _job(album: Path, ledger: Ledger, settings: Settings, supervisor: int) -> tuple[float, float, float]:
    """Pictures a second of one job, and the workers' memory in MB at a quarter and at the end."""
    digest = ledger.keep(Picture(urls_blob([str(album)]), LIST_TYPE))
    order = PredictOrder(Inputs("files", digest, 1), settings.model or None)
    job = ledger.submit(PREDICT, order.to_json(), blobs=[digest])
    quarter = 0.0
    while not (job := ledger.get(job.id)).ended:
        if not quarter and job.progress.total and job.progress.done * 4 >= job.progress.total:
            quarter = _memory_mb(supervisor)
        time.sleep(0.2)
    end = _memory_mb(supervisor)
    if job.state != "done" or job.failed:
        raise SystemExit(f"The job is {job.state}, {job.failed} pictures failed: {job.error}")
    assert job.finished is not None
    assert job.started is not None
    ledger.remove(job.id)
    return job.progress.done / (job.finished - job.started), quarter, end


def _memory_mb(supervisor: int) -> float:
    """Of the largest worker: its keeper stands between, and decoders hang below it and are not counted."""
    workers = [worker for keeper in children(supervisor) for worker in children(keeper)]
    return max(map(private_mb, workers), default=0.0)


def children(pid: int) -> list[int]:
    """Processes that the main thread of this one started."""
    return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


def private_mb(pid: int) -> float:
    """Anonymous resident memory."""
    rows = dict(row.split(":", 1) for row in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(rows["RssAnon"].split()[0]) / 1024


if __name__ == "__main__":
    main()
