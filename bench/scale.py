"""Jobs at scale: ``python -m bench.scale FOLDER [--pictures 2000] [--workers 1,2,4] [--hosts far,both]``.

One job on 1, 2 and 4 workers of this machine, and across two hosts that are made of network namespaces (as
root): Redis, PostgreSQL and an S3 store, which has the pictures and takes the thumbnails, on the near one;
workers on the far one, or on both. Results are counted: every picture has exactly one. ``sightline predict
--json`` on the same folder is the measure, run before each job (with ``--rounds 0`` once, before all).

Pictures are taken in turns until there are enough, each encoded again with a small square of its own
colour: equal pictures would have equal thumbnails, which are kept once. Rates leave out what is paid once: of
``predict``, from its first answer to its last; of a job, from its start (listing and splitting included) to
its end, on workers that have loaded the model. Memory is the largest worker's anonymous resident set at a
tenth of the job, at its middle and at its end.
"""

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import fsspec
from bench.hosts import Hosts, cluster, two_hosts
from bench.jobs import children, predict, private_mb
from PIL import Image, ImageDraw
from tests.chaos.servers import Missing

from sightline.jobs.inputs import LIST_TYPE, PREDICT, Inputs, PredictOrder, urls_blob
from sightline.jobs.ledger import Ledger
from sightline.runtime.features import this_machine
from sightline.settings import Settings, load_settings
from sightline.storage.folders import SUFFIXES
from sightline.storage.job_kept import Job
from sightline.storage.kept import Picture

_HEAD = "| workers | predict, pictures/s | job, pictures/s | ratio | MB at 10 % | half | end | load |"


_WARM: Final = 64
"""Pictures for each worker in the job before the first, so that all have loaded the model."""


@dataclass(frozen=True)
class Place:
    """Where a job's pictures are, and what its results call them."""

    inputs: str
    sources: frozenset[str]


@dataclass(frozen=True)
class Bench:
    """What all rows share."""

    album: Path
    folder: Path
    rounds: int
    direct: float
    """Rate of ``predict`` when it is measured once."""


@dataclass(frozen=True)
class Run:
    """What one job did."""

    rate: float
    memory: tuple[float, float, float]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path, help="pictures to take from")
    parser.add_argument("--pictures", type=int, default=2000)
    parser.add_argument("--workers", default="1,2,4", help="counts on one machine; empty for none")
    parser.add_argument("--hosts", default="far,both", help="near, far, both; empty for none")
    parser.add_argument("--rounds", type=int, default=1)
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that everything is taken down on the way
    with tempfile.TemporaryDirectory(prefix="bench-scale-") as name:
        place = Path(name)
        album = _album(asked.folder, place / "album", asked.pictures)
        machine = f"{this_machine().describe()}, {len(os.sched_getaffinity(0))} processors"
        print(f"# Jobs at scale, {time.strftime('%Y-%m-%d')}\n\n{machine}, {asked.pictures} pictures.\n")
        print(f"{_HEAD}\n{'|---' * 8}|", flush=True)
        once = 0.0 if asked.rounds else predict(album, load_settings({"data_dir": str(place / "data0")}))
        bench = Bench(album, place, asked.rounds, once)
        for count in filter(None, asked.workers.split(",")):
            _one_machine(bench, int(count))
        wanted = [host for host in asked.hosts.split(",") if host]
        if wanted:
            try:
                _two_hosts(bench, wanted)
            except Missing as error:
                print(f"\nTwo hosts were not measured: {error}")


def _album(source: Path, album: Path, count: int) -> Path:
    found = sorted(path for path in source.rglob("*") if path.suffix.lower() in SUFFIXES)
    album.mkdir()
    for number in range(count):
        image = Image.open(found[number % len(found)]).convert("RGB")
        colour = (number % 256, number // 256 * 16 % 256, 128)
        ImageDraw.Draw(image).rectangle((0, 0, 23, 23), colour)
        image.save(album / f"{number:06d}.jpg", quality=92)
    return album


def _one_machine(bench: Bench, count: int) -> None:
    data = bench.folder / f"data{count}"
    settings = load_settings({"data_dir": str(data)})
    places = (_here(_some(bench, count)), _here(bench.album))
    with _workers(settings, [([], count, data)]) as pids, Ledger.open(settings) as ledger:
        _measure(f"{count}", bench, settings, ledger, places, pids)


def _some(bench: Bench, workers: int) -> Path:
    """The first pictures in a folder of their own."""
    folder = bench.folder / f"some{workers}"
    folder.mkdir(exist_ok=True)
    for path in sorted(bench.album.iterdir())[: _WARM * workers]:
        if not (folder / path.name).exists():
            (folder / path.name).hardlink_to(path)
    return folder


def _here(folder: Path) -> Place:
    return Place(str(folder), frozenset(map(str, folder.iterdir())))


def _two_hosts(bench: Bench, wanted: list[str]) -> None:
    with two_hosts() as hosts, cluster(hosts.address) as words:
        settings = load_settings({"data_dir": str(bench.folder / "near"), **words})
        places = (_uploaded(_some(bench, 2)), _uploaded(bench.album))
        for host in wanted:
            with Ledger.open(settings) as ledger, _on(host, hosts, settings, bench.folder) as pids:
                before = hosts.received_mb
                title = {"near": "1 beside the servers", "far": "1 on the other host"}.get(host)
                _measure(title or "1 on each of two hosts", bench, settings, ledger, places, pids)
                print(
                    f"\n{hosts.received_mb - before:.0f} MB came over the cable.\n" * (host != "near"), end=""
                )


@contextmanager
def _on(host: str, hosts: Hosts, settings: Settings, folder: Path) -> Iterator[list[int]]:
    """Workers there; on both, each has half of the processors, for there is one machine below."""
    names = {"near": [hosts.near], "far": [hosts.far], "both": [hosts.near, hosts.far]}[host]
    share = max(1, len(os.sched_getaffinity(0)) // len(names))
    each = replace(settings, threads=share, decoders=min(4, share)) if len(names) > 1 else settings
    with _workers(each, [(hosts.on(name, []), 1, folder / name) for name in names]) as pids:
        yield pids


def _uploaded(folder: Path) -> Place:
    files = sorted(folder.iterdir())
    store = fsspec.filesystem("s3", use_listings_cache=False)
    names = [f"pictures/{folder.name}/{path.name}" for path in files]
    for start in range(0, len(files), 100):
        store.put([str(path) for path in files[start : start + 100]], names[start : start + 100])
    return Place(f"s3://pictures/{folder.name}/", frozenset(f"s3://{name}" for name in names))


@contextmanager
def _workers(settings: Settings, wanted: list[tuple[list[str], int, Path]]) -> Iterator[list[int]]:
    """Supervisors (before, concurrency, data folder) that take this job; their process ids."""
    words = ("queue", "database", "blobs", "job_prefixes", "threads", "decoders")
    given = {f"SIGHTLINE_{name.upper()}": str(getattr(settings, name)) for name in words}
    with ExitStack() as stack:
        pids = []
        for before, count, data in wanted:
            command = [*before, sys.executable, "-m", "sightline", "worker", "--concurrency", str(count)]
            environment = os.environ | given | {"SIGHTLINE_DATA_DIR": str(data)}
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment)
            stack.callback(_end, process)
            pids.append(process.pid)
        yield pids


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _measure(
    title: str, bench: Bench, settings: Settings, ledger: Ledger, places: tuple[Place, Place], pids: list[int]
) -> None:
    """One row. Of the places, the first is only for loading the models."""
    few, place = places
    _job(ledger, few, pids)
    directs, runs = [], []
    for _ in range(max(1, bench.rounds)):
        directs.append(bench.direct or predict(bench.album, settings))
        runs.append(_job(ledger, place, pids))
    ratio = statistics.median(run.rate / direct for direct, run in zip(directs, runs, strict=True))
    rate = statistics.median(run.rate for run in runs)
    sizes = " | ".join(f"{max(run.memory[at] for run in runs):.0f}" for at in range(3))
    direct, load = statistics.median(directs), os.getloadavg()[0]
    print(f"| {title} | {direct:.1f} | {rate:.1f} | {ratio:.2f} | {sizes} | {load:.1f} |", flush=True)


def _job(ledger: Ledger, place: Place, pids: list[int]) -> Run:
    """One job from its submission to its end; every picture has exactly one result."""
    if place.inputs.startswith("s3://"):
        job = ledger.submit(PREDICT, PredictOrder(Inputs("prefix", place=place.inputs)).to_json())
    else:
        digest = ledger.keep(Picture(urls_blob([place.inputs]), LIST_TYPE))
        job = ledger.submit(PREDICT, PredictOrder(Inputs("files", digest, 1)).to_json(), blobs=[digest])
    memory: list[float] = []
    while not (job := ledger.get(job.id)).ended:
        done = job.progress.done / max(1, job.progress.total)
        if len(memory) < 2 and done >= (0.1, 0.5)[len(memory)]:
            memory.append(_memory_mb(pids))
        time.sleep(0.2)
    last = _memory_mb(pids)
    start, middle = [*memory, last, last][:2]
    _check(ledger, job, place)
    assert job.finished is not None
    assert job.started is not None
    ledger.remove(job.id)
    return Run(job.progress.done / (job.finished - job.started), (start, middle, last))


def _check(ledger: Ledger, job: Job, place: Place) -> None:
    sources, results, after = [], set(), -1
    while True:
        page = ledger.items(job.id, after=after, limit=500)
        for item in page.items:
            sources.append(item.source)
            results.add(str(item.result["id"]) if item.result is not None else "")
        if page.next is None:
            break
        after = page.next
    once = len(sources) == len(results) == len(place.sources) and set(sources) == place.sources
    if job.state != "done" or job.failed or "" in results or not once:
        raise SystemExit(
            f"The job is {job.state}: {len(sources)} items and {len(results)} results of "
            f"{len(place.sources)} pictures, {job.failed} failed: {job.error}"
        )


def _memory_mb(supervisors: list[int]) -> float:
    """Of the largest worker: keepers stand between, and decoders hang below it and are not counted."""
    keepers = [keeper for pid in supervisors for keeper in children(pid)]
    return max((private_mb(worker) for keeper in keepers for worker in children(keeper)), default=0.0)


if __name__ == "__main__":
    main()
