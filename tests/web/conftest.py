"""A real server: the whole application in its own process, on a free port, with small models."""

import asyncio
import json
import os
import re
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
from tests.web import tiny
from tests.web.gate import Gate

from sightline.settings import load_settings

T = TypeVar("T")


def awaited(work: Coroutine[Any, Any, T]) -> T:
    """What comes of it, on a thread of its own: a browser of this process keeps a loop in the main one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


_START = (
    "import json,sys; from sightline.settings import load_settings; from sightline.web.serve import serve; "
    "from sightline.worker.crew import Crew\n"
    "settings = load_settings(json.loads(sys.argv[1]), environment={})\n"
    "if sys.argv[2:]: from tests.web.gate import hold_at; hold_at(int(sys.argv[2]))\n"
    "with Crew(settings): serve(settings)"
)


_START_S = 180.0
"""Longest time until a server is ready on a machine that starts several."""
_ANYONE = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
_ANYONE.check_hostname = False
_ANYONE.verify_mode = ssl.CERT_NONE
_ROOT = str(Path(__file__).resolve().parents[2])


@dataclass
class Server:
    """A running `sightline serve`."""

    process: subprocess.Popen[str]
    data: Path
    lines: list[str] = field(default_factory=list)
    log: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        """The printed address, without the key."""
        return self.link.partition("?")[0].rstrip("/")

    @property
    def link(self) -> str:
        """The printed address."""
        found = re.search(r"https?://\S+", "".join(self.lines))
        assert found, self.log
        return found[0]

    @property
    def port(self) -> int:
        """The port."""
        return int(self.url.rsplit(":", 1)[1])

    def stop(self, timeout: float = 30) -> int:
        """SIGTERM and wait; the exit code."""
        self.process.terminate()
        return self.process.wait(timeout)


def _drain(stream: Any, into: list[str]) -> threading.Thread:
    def read() -> None:
        into.extend(iter(stream.readline, ""))

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    return thread


def start(data: Path, gate: Gate | None = None, **options: Any) -> Server:
    """Start a server on a data folder and wait until it is ready; ``gate`` holds its first picture."""
    wishes = {
        "data_dir": str(data),
        "port": 0,
        "model": "tiny",
        "engine": "onnxruntime",  # "auto" would measure both, in a child that takes all cores for seconds
        "decoders": 2,
        "disk_reserve_mb": 0,
        "workers": 0,
    } | options
    environment = {"PATH": os.environ["PATH"], "PYTHONWARNINGS": "error::ResourceWarning"}
    environment |= {
        name: value for name, value in os.environ.items() if name.startswith(("COV", "PYTHONPATH"))
    }
    if gate:
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, (_ROOT, environment.get("PYTHONPATH"))))
    process = subprocess.Popen(
        [sys.executable, "-c", _START, json.dumps(wishes), *([str(gate.port)] if gate else [])],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    server = Server(process, data)
    _drain(process.stdout, server.lines)
    _drain(process.stderr, server.log)
    until = time.monotonic() + _START_S
    while time.monotonic() < until:
        assert process.poll() is None, "".join(server.log)
        if "://" in "".join(server.lines) and _ready(server):
            return server
        time.sleep(0.02)
    process.kill()
    end(server)
    pytest.fail("The server did not become ready: " + "".join(server.log))


def _ready(server: Server) -> bool:
    try:
        # Whether its certificate is the right one is for the tests of certificates to say.
        return httpx.get(f"{server.url}/health/ready", timeout=5, verify=_ANYONE).status_code == 200
    except httpx.TransportError:
        return False


def end(server: Server) -> None:
    """Stop whatever is left of it."""
    if server.process.poll() is None:
        server.process.terminate()
        try:
            server.process.wait(40)
        except subprocess.TimeoutExpired:
            server.process.kill()
            server.process.wait()
    for stream in (server.process.stdout, server.process.stderr):
        assert stream is not None
        stream.close()


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with the two small models. Only the shared server writes into it."""
    folder = tmp_path_factory.mktemp("tiny")
    options = load_settings({"data_dir": str(folder / "data")}, environment={})
    tiny.install(options, folder / "bundles")
    return folder / "data"


@pytest.fixture(scope="session")
def server(tiny_data: Path) -> Iterator[Server]:
    """The server that most tests share."""
    running = start(tiny_data)
    yield running
    end(running)


@pytest.fixture
def starting(tmp_path: Path, tiny_data: Path) -> Iterator[Callable[..., Server]]:
    """Starts further servers with other settings; they are ended with the test."""
    running: list[Server] = []

    def begin(gate: Gate | None = None, **options: Any) -> Server:
        folder = tmp_path / f"data{len(running)}"
        if not folder.exists():
            tiny.install(
                load_settings({"data_dir": str(folder)}, environment={}), tmp_path / f"b{len(running)}"
            )
        running.append(start(folder, gate, **options))
        return running[-1]

    yield begin
    for one in running:
        end(one)


@pytest.fixture
def gate() -> Iterator[Gate]:
    """Holds the first picture of the server that is started with it."""
    made = Gate()
    yield made
    made.close()


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    """Talks to the shared server."""
    with httpx.Client(base_url=server.url, timeout=30) as opened:
        yield opened


@pytest.fixture(scope="session")
def cat(samples: Path) -> bytes:
    """A JPEG that ships with Sightline."""
    return (samples / "cat.jpg").read_bytes()
