"""Redis and PostgreSQL of a test's own: on loopback, in a temporary folder, ended by their process ids."""

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_STARTS_S = 90.0
_PORTS = range(10_000, 32_000)
"""Below those that the kernel gives to connections on their way out, which may take one at any moment."""
_DATABASES = 8
"""That a cluster keeps, of 8 MB each: far more than one test asks for."""

LOOPBACK = "127.0.0.1"


class Missing(Exception):
    """The server is not installed; the words say which."""


def free_port(host: str = LOOPBACK) -> int:
    """A port on loopback that nobody uses just now, nor takes by chance before it is used."""
    while True:
        port = secrets.choice(_PORTS)
        with suppress(OSError), socket.socket() as probe:
            probe.bind((host, port))
            return port


class OwnRedis:
    """A Redis server that can be stopped, started again on the same port, and made to hang."""

    def __init__(self, folder: Path, *, append: bool = False, host: str = LOOPBACK) -> None:
        self._program = shutil.which("redis-server")
        if self._program is None:
            raise Missing("redis-server is not installed.")
        self._folder, self._append, self._host = folder, append, host
        self.port = free_port(host)
        self.url = f"redis://{host}:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Start it, with what it kept if it keeps anything."""
        words = ["--port", str(self.port), "--bind", self._host, "--dir", str(self._folder), "--save", ""]
        words += [] if self._host == LOOPBACK else ["--protected-mode", "no"]
        words += [
            "--appendonly",
            "yes" if self._append else "no",
            "--daemonize",
            "no",
            "--logfile",
            "redis.log",
        ]
        self._process = subprocess.Popen([str(self._program), *words], stdout=subprocess.DEVNULL)
        _wait_for(lambda: self.command("PING").startswith("+PONG"))

    def command(self, *words: str) -> str:
        """Say something to it, without the library under test; what it answers."""
        with socket.create_connection((self._host, self.port), 20) as line:
            line.settimeout(20)
            parts = "".join(f"${len(word)}\r\n{word}\r\n" for word in words)
            line.sendall(f"*{len(words)}\r\n{parts}".encode())
            return line.recv(65536).decode("utf-8", "replace")

    def pause(self) -> None:
        """SIGSTOP: worse than dead, for connections stay open."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """SIGCONT."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL."""
        self._signal(signal.SIGCONT)
        self._signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait(60)
        self._process = None

    def _signal(self, number: int) -> None:
        if self._process is not None:
            self._process.send_signal(number)


class OwnPostgres:
    """A PostgreSQL cluster; `database` makes an empty database in it."""

    def __init__(self, host: str = LOOPBACK) -> None:
        self._host = host
        programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
        found = shutil.which("postgres") or (str(programs[-1]) if programs else "")
        if not found:
            raise Missing("PostgreSQL (postgres, initdb) is not installed.")
        self._bin = Path(found).resolve().parent
        self._as: list[str] = []
        self._folder = Path(tempfile.mkdtemp(prefix="sightline-pg-"))
        if os.geteuid() == 0:  # it refuses to run as root
            try:
                user = pwd.getpwnam("postgres")
            except KeyError as error:
                raise Missing("PostgreSQL does not run as root, and there is no user `postgres`.") from error
            os.chown(self._folder, user.pw_uid, user.pw_gid)
            self._as = ["runuser", "-u", "postgres", "--"]
        self.port = free_port(host)
        self._made = 0
        data = self._folder / "data"
        self._run("initdb", "-D", str(data), "-U", "sightline", "--auth=trust", "--no-sync", "-E", "UTF8")
        with (data / "pg_hba.conf").open("a") as rules:
            rules.write("host all all samenet trust\n")  # it listens where nobody else is
        self._process = subprocess.Popen(
            [
                *self._as,
                str(self._bin / "postgres"),
                "-D",
                str(data),
                "-p",
                str(self.port),
                "-k",
                str(self._folder),
                "-c",
                f"listen_addresses={host}",
                "-c",
                "max_connections=200",
                "-c",
                "shared_buffers=32MB",
                "-c",
                "fsync=off",  # what it keeps is deleted when it stops, however it stops
                "-c",
                "full_page_writes=off",
                "-c",
                "max_wal_size=64MB",  # the disk of a machine that runs tests may be small; by default 1 GB
                "-c",
                "min_wal_size=32MB",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self._folder,
            start_new_session=True,
        )
        _wait_for(self._is_up)

    def _is_up(self) -> bool:
        return not self._run("pg_isready", "-h", self._host, "-p", str(self.port), check=False)

    def database(self) -> str:
        """The URL of a new, empty database; of those made before, all but the last few are gone."""
        self._made += 1
        name = f"test{self._made}"
        here = ("-h", self._host, "-p", str(self.port), "-U", "sightline")
        if self._made > _DATABASES:
            self._run("dropdb", *here, "--force", f"test{self._made - _DATABASES}")
        self._run("createdb", *here, name)
        return f"postgresql://sightline@{self._host}:{self.port}/{name}"

    def _run(self, program: str, *words: str, check: bool = True) -> int:
        done = subprocess.run(
            [*self._as, str(self._bin / program), *words], capture_output=True, check=False, cwd=self._folder
        )
        if check and done.returncode:
            raise RuntimeError(done.stderr.decode("utf-8", "replace"))
        return done.returncode

    def close(self) -> None:
        """Stop it and delete what it kept."""
        pid = int((self._folder / "data" / "postmaster.pid").read_text().split()[0])
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGQUIT)  # "immediate": connections are cut, and nothing is written any more
        self._process.wait(60)
        shutil.rmtree(self._folder, ignore_errors=True)


@contextmanager
def own_redis(*, append: bool = False, host: str = LOOPBACK) -> Iterator[OwnRedis]:
    """A Redis for the length of a block."""
    with tempfile.TemporaryDirectory(prefix="sightline-redis-") as folder:
        server = OwnRedis(Path(folder), append=append, host=host)
        try:
            yield server
        finally:
            server.kill()


@contextmanager
def own_postgres(host: str = LOOPBACK) -> Iterator[OwnPostgres]:
    """A PostgreSQL for the length of a block."""
    server = OwnPostgres(host)
    try:
        yield server
    finally:
        server.close()


def _wait_for(ready: object) -> None:
    end = time.monotonic() + _STARTS_S
    while time.monotonic() < end:
        with suppress(OSError):
            if ready():  # type: ignore[operator]
                return
        time.sleep(0.05)
    raise RuntimeError("A server of the test did not start.")
