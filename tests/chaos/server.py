"""The real server under fire: killed while clients submit, and asked while its Redis hangs."""

import http.client
import json
import random
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from tests.chaos.servers import OwnRedis, free_port

from sightline.jobs.ledger import Ledger
from sightline.settings import Settings

PICTURE = Path(__file__).resolve().parents[2] / "src/sightline/web/static/samples/cat.jpg"


class Server:
    """``sightline serve`` on a port that stays the same over its deaths."""

    def __init__(self, settings: Settings) -> None:
        """Not started yet."""
        self._settings = replace(settings, port=free_port())
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *, workers: int = 0) -> None:
        """Start, and wait until it is ready."""
        pairs = [f"{item.name}={getattr(self._settings, item.name)}" for item in fields(Settings)]
        said = [f"--set={pair}" for pair in [*pairs, f"workers={workers}"] if not pair.endswith("=")]
        words = [sys.executable, "-m", "sightline", "serve", *said]
        self._process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(4000):  # a busy machine
            with suppress(OSError, http.client.HTTPException):
                if self.ask("GET", "/health/ready")[0] == 200:
                    return
            time.sleep(0.05)
        raise RuntimeError("The server does not start.")

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
        """One request; status and body."""
        line = http.client.HTTPConnection("127.0.0.1", self._settings.port, timeout=60)
        try:
            line.request(method, path, body, {name.replace("_", "-"): it for name, it in headers.items()})
            answer = line.getresponse()
            return answer.status, answer.read()
        finally:
            line.close()

    def end(self, number: int = signal.SIGKILL) -> None:
        """Kill it, or ask it to stop."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(60)
        self._process = None


def _form(picture: bytes) -> tuple[bytes, str]:
    mark = secrets.token_hex(8)
    head = f'--{mark}\r\ncontent-disposition: form-data; name="image"; filename="cat.jpg"\r\n'
    body = head.encode() + b"content-type: image/jpeg\r\n\r\n" + picture + f"\r\n--{mark}--\r\n".encode()
    return body, f"multipart/form-data; boundary={mark}"


def killed_server(
    settings: Settings, jobs: int, *, every_s: float = 3.0, seed: int = 0, say: Callable[..., Any] = print
) -> list[str]:
    """Submit so many jobs over HTTP while the server is killed, with the same key until each is accepted.

    Returns:
        Promises that were broken, in words.
    """
    server, chance = Server(replace(settings, jobs_max=10**6)), random.Random(seed)
    picture = PICTURE.read_bytes()
    said: dict[int, str] = {}
    resent = 0
    numbers = iter(range(jobs))
    lock = threading.Lock()

    def client() -> None:
        nonlocal resent
        while (number := _next(numbers, lock)) is not None:
            body, kind = _form(picture)
            while number not in said:
                with suppress(OSError, http.client.HTTPException):
                    status, text = server.ask(
                        "POST", "/api/v1/jobs", body, content_type=kind, idempotency_key=f"client-{number}"
                    )
                    if status == 202:
                        said[number] = json.loads(text)["id"]
                        break
                    if status < 500:
                        raise AssertionError(f"status {status}: {text[:300]!r}")
                resent += 1
                time.sleep(0.1)

    clients = [threading.Thread(target=client, daemon=True) for _ in range(4)]
    server.start()
    for thread in clients:
        thread.start()
    kills = 0
    try:
        while any(thread.is_alive() for thread in clients):
            before = len(said)
            while len(said) == before and any(thread.is_alive() for thread in clients):
                time.sleep(0.05)  # on a busy machine a server may need longer than it is given
            time.sleep(chance.uniform(0.0, 1.0) * every_s)
            if any(thread.is_alive() for thread in clients):
                server.end()
                kills += 1
                server.start()
    finally:
        server.end()
    with Ledger.open(settings) as ledger:
        known = {
            row[0] for row in ledger.database.read(lambda it: it.exec_driver_sql("SELECT id FROM jobs").all())
        }
        lost = set(said.values()) - known
        say(
            f"server        killed {kills} times, {resent} requests sent again; "
            f"{len(lost)} of {len(said)} lost, {len(known) - jobs} too many",
            flush=True,
        )
        server.start(workers=1)
        try:
            while ledger.unfinished():
                time.sleep(0.5)
        finally:
            server.end(signal.SIGTERM)
        ends = [ledger.get(one).state for one in said.values() if one in known]
        say(
            f"then          {ends.count('done')} of {len(ends)} done by the workers of the server", flush=True
        )
    return (
        [f"{len(lost)} jobs lost"] * bool(lost)
        + ["jobs were made twice"] * (len(known) != jobs)
        + ["not all are done"] * (set(ends) != {"done"})
    )


def _next(numbers: Any, lock: threading.Lock) -> int | None:
    with lock:
        return next(numbers, None)


def answers_without_redis(
    settings: Settings, redis: OwnRedis, requests: int, *, say: Callable[..., Any] = print
) -> list[str]:
    """Predict over HTTP while Redis is there, hangs, and is gone.

    Returns:
        Promises that were broken, in words.
    """
    server, picture, broken = Server(settings), PICTURE.read_bytes(), []
    server.start(workers=1)
    with Ledger.open(settings) as ledger:
        ledger.submit("predict", {})  # so that the server's workers are there, and meet the same Redis
    server.ask("POST", "/api/v1/predict", picture, content_type="image/jpeg")
    for name, fault in (("is there", redis.go_on), ("hangs", redis.pause), ("is gone", redis.kill)):
        fault()
        times = []
        for _ in range(requests):
            began = time.monotonic()
            status, _ = server.ask("POST", "/api/v1/predict", picture, content_type="image/jpeg")
            times.append(1000 * (time.monotonic() - began))
            if status != 200:
                broken.append(f"status {status} while Redis {name}")
        times.sort()
        middle, late = times[len(times) // 2], times[int(len(times) * 0.95)]
        say(f"predict       median {middle:.0f} ms, 95 % {late:.0f} ms while Redis {name}", flush=True)
    server.end(signal.SIGTERM)
    return broken
