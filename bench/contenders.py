"""Starting, asking and ending what is compared. Each contender is a child process group of our own."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from bench import graphs, load

_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass
class Sample:
    """One round of one contender."""

    rate: float
    median_ms: float
    cpu_ms: float
    """Processor time of all its processes, for each answer."""


@dataclass
class Server:
    """An HTTP server under test."""

    title: str
    command: list[str]
    path: str
    form: bool = False
    """Takes a form; otherwise the bare bytes of the picture."""
    environment: dict[str, str] = field(default_factory=dict)
    port: int = 0
    started_s: float = 0.0
    process: subprocess.Popen[bytes] | None = None

    def start(self, body: bytes) -> None:
        """Start it and wait for the first answer."""
        self.port = free_port()
        command = [part.replace("{port}", str(self.port)) for part in self.command]
        graphs.OUT.mkdir(parents=True, exist_ok=True)
        log = (graphs.OUT / f"{self.title.split()[0].strip(',').lower()}.log").open("ab")
        environment = os.environ | {"PYTHONPATH": str(graphs.ROOT)} | self.environment
        data = self.request(body)
        began = time.perf_counter()
        self.process = subprocess.Popen(
            command, cwd=graphs.ROOT, env=environment, stdout=log, stderr=log, start_new_session=True
        )
        while not load.closed(self.port, data, 1, 0.001).good_ms:
            if self.process.poll() is not None or time.perf_counter() - began > 60:
                msg = f"{self.title} did not start; see {log.name}."
                raise SystemExit(msg)
            time.sleep(0.02)
        self.started_s = time.perf_counter() - began

    def run(self, body: bytes, connections: int, seconds: float) -> Sample:
        """One closed-loop round."""
        before = cpu_s(self.pids())
        found = load.closed(self.port, self.request(body), connections, seconds)
        if found.broken:
            msg = f"{self.title}: {found.broken} answers were neither 200 nor 503: {found.last[:200]!r}"
            raise SystemExit(msg)
        used = cpu_s(self.pids()) - before
        return Sample(found.rate, found.median_ms(), 1e3 * used / max(1, len(found.good_ms)))

    def request(self, body: bytes) -> bytes:
        """One POST of the picture."""
        return load.request(self.path, self.port, body, form=self.form)

    def pids(self) -> list[int]:
        """Its processes."""
        assert self.process is not None
        return family(self.process.pid)

    def stop(self) -> None:
        """End its process group."""
        end(self.process)


class Limit:
    """The in-process limit, in a child that obeys lines."""

    def __init__(self, graph: Path, plan: str) -> None:
        command = [sys.executable, "-m", "bench.limit", str(graph), plan]
        self.process = subprocess.Popen(
            command, cwd=graphs.ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )
        assert self.process.stdout is not None
        self.process.stdout.readline()

    def run(self, callers: int, seconds: float) -> Sample:
        """One round."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        pids = [self.process.pid]
        before, began = cpu_s(pids), time.perf_counter()
        self.process.stdin.write(f"{callers} {seconds}\n".encode())
        self.process.stdin.flush()
        times = json.loads(self.process.stdout.readline())
        took, used = time.perf_counter() - began, cpu_s(pids) - before
        return Sample(len(times) / took, load.percentile(times, 50), 1e3 * used / len(times))

    def stop(self) -> None:
        """End it."""
        end(self.process)


def sightline(title: str, data_dir: Path, model: str, **settings: str) -> Server:
    """Sightline with the model of a data folder."""
    knobs = {"data_dir": str(data_dir), "model": model} | settings
    return Server(
        title,
        [sys.executable, "-m", "sightline", "serve", "--port", "{port}"],
        "/api/v1/predict?max_results=5",
        environment={f"SIGHTLINE_{name.upper()}": value for name, value in knobs.items()},
    )


def flask(graph: Path, workers: int, threads: int, session_threads: int) -> Server:
    """Flask behind gunicorn."""
    words = [sys.executable, "-m", "gunicorn", "--bind", "127.0.0.1:{port}", "--workers", str(workers)]
    words += ["--threads", str(threads), "--log-level", "error", "bench.plain_flask:app"]
    title = f"Flask + gunicorn, {workers} x {threads}"
    about = {"BENCH_MODEL": str(graph), "BENCH_THREADS": str(session_threads)}
    return Server(title, words, "/predict", environment=about)


def litserve(graph: Path, workers: int, session_threads: int, batch: int) -> Server:
    """LitServe."""
    words = [sys.executable, "-m", "bench.lit", str(graph), "--port", "{port}", "--workers", str(workers)]
    words += ["--threads", str(session_threads), "--batch", str(batch)]
    return Server(
        f"LitServe, {workers} workers, batch {batch}",
        words,
        "/predict",
        form=True,
        environment={"BENCH_MODEL": str(graph), "BENCH_THREADS": "1"},
    )


def free_port() -> int:
    """A port that nobody uses at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def family(pid: int) -> list[int]:
    """A process and all its descendants."""
    found, line = [], [pid]
    while line:
        current = line.pop()
        found.append(current)
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{current}/task").iterdir():
                line += [int(child) for child in (task / "children").read_text().split()]
    return found


def cpu_s(pids: list[int]) -> float:
    """Processor seconds that the processes have used so far."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
    return total / _TICK


def rss_mb(pids: list[int]) -> float:
    """Resident memory of all the processes together; shared pages count in each of them."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    return total / (1 << 20)


def end(process: "subprocess.Popen[bytes] | None") -> None:
    """Stop a child, kindly first, and then whatever is left of its group: LitServe's workers outlive it."""
    if process is None:
        return
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(10)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
