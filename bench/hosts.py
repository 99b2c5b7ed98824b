"""Two hosts on one machine: network namespaces with a cable between them, servers of a cluster on one.

Everything has an end: namespaces are deleted and processes ended by their ids, whatever happens in between.
"""

import ctypes
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.chaos.servers import Missing, free_port, own_postgres, own_redis

_NEWNET: Final = 0x40000000
"""CLONE_NEWNET of setns(2)."""
_STARTS_S: Final = 60.0


@dataclass(frozen=True)
class Hosts:
    """Names of the two namespaces, and the address of the one with the servers."""

    near: str
    far: str
    address: str

    def on(self, host: str, words: list[str]) -> list[str]:
        """The command line, run on that host."""
        return ["ip", "netns", "exec", host, *words]

    @property
    def received_mb(self) -> float:
        """What has come over the cable to the far host."""
        shown = json.loads(_ip("-n", self.far, "-s", "-j", "link", "show", "dev", "cable"))
        return float(shown[0]["stats64"]["rx"]["bytes"]) / 1e6


@contextmanager
def two_hosts() -> Iterator[Hosts]:
    """Two namespaces with a cable; this process moves to the near one, for good.

    Raises:
        Missing: It is not permitted here, or the tool ``ip`` is not installed.
    """
    if shutil.which("ip") is None:
        raise Missing("the command `ip` (iproute2) is not installed.")
    if os.geteuid():
        raise Missing("network namespaces need root.")
    number = os.getpid()
    near, far = f"sightline-near-{number}", f"sightline-far-{number}"
    net = f"10.{77 + number // 250 % 100}.{number % 250}"
    made: list[str] = []
    try:
        for name in (near, far):
            try:
                _ip("netns", "add", name)
            except subprocess.CalledProcessError as error:
                raise Missing(f"network namespaces cannot be made here: {error.stderr.strip()}") from error
            made.append(name)
            _ip("-n", name, "link", "set", "lo", "up")
        _ip("link", "add", "cable", "netns", near, "type", "veth", "peer", "name", "cable", "netns", far)
        for name, last in ((near, 1), (far, 2)):
            _ip("-n", name, "addr", "add", f"{net}.{last}/24", "dev", "cable")
            _ip("-n", name, "link", "set", "cable", "up")
        _move_to(near)
        yield Hosts(near, far, f"{net}.1")
    finally:
        for name in made:
            with suppress(subprocess.CalledProcessError):
                _ip("netns", "del", name)


def _ip(*words: str) -> str:
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True).stdout


def _move_to(name: str) -> None:
    """Before any thread is started: each has a namespace of its own."""
    libc = ctypes.CDLL(None, use_errno=True)
    with Path("/run/netns", name).open("rb") as file:
        if libc.setns(file.fileno(), _NEWNET):
            raise Missing(
                f"this process may not enter a network namespace: {os.strerror(ctypes.get_errno())}."
            )


@contextmanager
def store(address: str) -> Iterator[str]:
    """An S3 server (moto) with the buckets ``pictures`` and ``kept``; the environment names it from now on.

    Raises:
        Missing: moto is not installed.
    """
    port = free_port(address)
    words = [sys.executable, "-m", "moto.server", "-H", address, "-p", str(port)]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://{address}:{port}"
    try:
        _wait_for(url, process)
        os.environ |= {
            "AWS_ENDPOINT_URL": url,
            "AWS_ACCESS_KEY_ID": "bench",
            "AWS_SECRET_ACCESS_KEY": "bench",
        }
        os.environ["AWS_DEFAULT_REGION"] = "us-east-1"
        for bucket in ("pictures", "kept"):
            urllib.request.urlopen(
                urllib.request.Request(f"{url}/{bucket}", method="PUT"), timeout=30
            ).close()
        yield url
    finally:
        process.kill()
        process.wait()


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + _STARTS_S
    while time.monotonic() < end:
        if process.poll() is not None:
            raise Missing("moto (a local S3 server) does not start; is `moto[server]` installed?")
        with suppress(urllib.error.URLError, TimeoutError):
            urllib.request.urlopen(url, timeout=5).close()
            return
        time.sleep(0.1)
    raise Missing("moto (a local S3 server) did not start in time.")


@contextmanager
def cluster(address: str) -> Iterator[dict[str, str]]:
    """Redis, PostgreSQL and S3 on one host, as settings.

    Raises:
        Missing: One of them is not installed.
    """
    with own_redis(host=address) as redis, own_postgres(address) as postgres, store(address):
        yield {
            "queue": redis.url,
            "database": postgres.database(),
            "blobs": "s3://kept/blobs",
            "job_prefixes": "s3://pictures/",
        }
