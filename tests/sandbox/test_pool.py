"""Warm children: reuse, growth, shrinking, replacement, and nothing that can be opened inside."""

import operator
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from sightline.errors import Busy, NotAPicture
from sightline.sandbox import ChildDied, ChildTimeout, Limits, Pool
from sightline.sandbox.wire import Hangup
from sightline.vision import codec

MODULES = ["sightline.vision.codec"]
WAIT_S = 30.0


def _until(true: Callable[[], bool], otherwise: str = "") -> None:
    until = time.monotonic() + WAIT_S
    while not true():
        assert time.monotonic() < until, otherwise
        time.sleep(0.01)


@pytest.fixture
def pool() -> Iterator[Pool]:
    one = Pool(2, MODULES, Limits(memory_mb=128, cpu_s=1, wall_s=5), wait_s=5)
    yield one
    one.close()


def test_one_child_serves_many_jobs_and_more_come_on_demand(pool: Pool) -> None:
    assert pool.children == 0
    pids = {pool.call(os.getpid) for _ in range(5)}
    assert len(pids) == 1
    assert pool.children == 1
    with ThreadPoolExecutor(6) as threads:
        list(threads.map(lambda _: pool.call(time.sleep, 0.05), range(12)))
    assert pool.children == 2


def test_answers_reach_their_own_callers(pool: Pool) -> None:
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda i: pool.call(operator.mul, i, b"x" * 3000), range(200)))
    assert [len(answer) for answer in answers] == [3000 * i for i in range(200)]


def test_errors_come_back_and_the_child_lives_on(pool: Pool) -> None:
    pid = pool.call(os.getpid)
    with pytest.raises(NotAPicture):
        pool.call(codec.decode, b"no", codec.Limits())
    with pytest.raises(ChildDied, match="ZeroDivisionError") as caught:
        pool.call(operator.truediv, 1, 0)
    assert caught.value.failed
    with pytest.raises(ChildDied, match="memory"):
        pool.call(bytearray, 300 << 20)
    assert pool.call(os.getpid) == pid


def test_a_child_that_dies_at_work_is_replaced(pool: Pool) -> None:
    pid = pool.call(os.getpid)
    with pytest.raises(ChildDied, match="SIGABRT") as caught:
        pool.call(os.abort)
    assert caught.value.signal == signal.SIGABRT
    assert pool.call(os.getpid) != pid
    assert pool.children == 1


def test_a_child_that_died_while_idle_costs_nobody_an_answer(pool: Pool) -> None:
    pid = pool.call(os.getpid)
    os.kill(pid, signal.SIGKILL)
    _until(lambda: Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z")
    assert pool.call(operator.add, 1, 1) == 2


def test_processor_time_is_counted_per_job(pool: Pool) -> None:
    pid = pool.call(os.getpid)
    for _ in range(20):
        pool.call(sum, range(4_000_000))  # together over the two seconds that would end one job
    assert pool.call(os.getpid) == pid
    with pytest.raises(ChildDied, match="processor time"):
        pool.call(sum, range(10**12))


def test_a_job_that_overruns_is_killed() -> None:
    pool = Pool(1, MODULES, Limits(wall_s=0.5))
    try:
        started = time.monotonic()
        with pytest.raises(ChildTimeout):
            pool.call(time.sleep, 60)
        assert time.monotonic() - started < 50, "it was not waited for"
        assert pool.call(operator.add, 1, 1) == 2
    finally:
        pool.close()


def test_a_nursery_that_died_is_replaced(pool: Pool) -> None:
    first = pool.call(os.getpid)
    os.kill(pool.call(os.getppid), signal.SIGKILL)
    _until(lambda: not Path(f"/proc/{first}").exists(), "the child outlived its nursery")
    assert pool.call(operator.add, 1, 1) == 2


def test_the_memory_file_is_limited_like_memory(pool: Pool) -> None:
    said = []
    for fd in range(3, 64):
        try:
            pool.call(os.ftruncate, fd, 129 << 20)
        except ChildDied as error:
            said.append(error.message)
        else:
            said.append("grown")
    assert "grown" not in said
    assert any("File too large" in message for message in said)
    assert len(pool.call(bytes, 30 << 20)) == 30 << 20


def test_a_closed_pool_starts_nothing(pool: Pool) -> None:
    """A job that was handed to a dead child when the pool closed: it would have got a new nursery."""
    child = pool._take(None)
    pool.close()
    with pytest.raises(Hangup):
        child.channel.receive(timeout_s=30, trusted=False)
    with pytest.raises(Busy, match="stopping"):
        pool._offer(child, (operator.add, (1, 1), 1.0))
    assert pool._nursery._process.poll() is not None


def test_nothing_can_be_opened_inside(pool: Pool) -> None:
    attempts: list[tuple[Any, tuple[Any, ...]]]
    attempts = [(os.open, ("/etc/passwd", 0)), (socket.socket, ()), (os.pipe, ())]
    for function, arguments in attempts:
        with pytest.raises(ChildDied, match="Too many open files"):
            pool.call(function, *arguments)
    assert pool.call(os.getenv, "HOME") is None


def test_nothing_can_be_opened_inside_a_child_of_a_process_with_few_files() -> None:
    """Free numbers under the limit of descriptors would be as good as no limit."""
    program = (
        "import os\nfrom sightline.sandbox import ChildDied, Limits, Pool\npool = Pool(1, [], Limits())\n"
        "try:\n    print(pool.call(os.open, '/etc/passwd', 0))\n"
        "except ChildDied as error:\n    print(error.message)\npool.close()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert "Too many open files" in done.stdout


def test_a_full_pool_says_busy_in_time() -> None:
    pool = Pool(1, MODULES, Limits(), wait_s=0.2)
    pool.call(os.getpid)
    with ThreadPoolExecutor(1) as threads:
        try:
            slow = threads.submit(pool.call, time.sleep, 600)
            _until(lambda: not pool._idle)
            with pytest.raises(Busy, match="busy"):
                pool.call(os.getpid)
            assert not slow.done()
        finally:
            pool.close()
        assert isinstance(slow.exception(), Busy), "the pool is closed"


def test_it_shrinks_to_one_when_idle() -> None:
    pool = Pool(3, MODULES, Limits(), idle_s=0.3)
    try:
        with ThreadPoolExecutor(3) as threads:
            jobs = [threads.submit(pool.call, time.sleep, 2) for _ in range(3)]
            _until(lambda: pool.children == 3)
            assert [job.result() for job in jobs] == [None] * 3
        _until(lambda: pool.children == 1, "idle children stay")
        assert pool.call(operator.add, 1, 1) == 2
    finally:
        pool.close()


def test_closing_ends_everything_and_tells_running_jobs() -> None:
    pool = Pool(2, MODULES, Limits())
    pid, nursery = pool.call(os.getpid), pool.call(os.getppid)
    caught: list[BaseException] = []

    def wait() -> None:
        try:
            pool.call(time.sleep, 60)
        except Busy as error:
            caught.append(error)

    running = threading.Thread(target=wait)
    running.start()
    _until(lambda: not pool._idle)
    pool.close()
    running.join(WAIT_S)
    assert len(caught) == 1
    assert "stopping" in str(caught[0])
    assert not Path(f"/proc/{nursery}").exists()
    _until(lambda: not Path(f"/proc/{pid}").exists(), "a child is left")
    with pytest.raises(Busy):
        pool.call(os.getpid)
    pool.close()


def test_no_descriptor_is_lost(pool: Pool) -> None:
    pool.call(os.getpid)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        with pytest.raises(ChildDied):
            pool.call(os.abort)
    pool.call(os.getpid)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_nursery_that_cannot_start_is_our_fault(capfd: pytest.CaptureFixture[str]) -> None:
    pool = Pool(1, ["sightline.nowhere"], Limits())
    try:
        with pytest.raises(Exception, match="cannot be started"):
            pool.call(os.getpid)
    finally:
        pool.close()
    assert "sightline.nowhere" in capfd.readouterr().err


def test_children_end_when_the_server_is_killed() -> None:
    program = (
        "import os, time, sightline.sandbox as s\n"
        f"p = s.Pool(1, {MODULES!r}, s.Limits())\n"
        "print(p.call(os.getpid), p.call(os.getppid), flush=True)\n"
        "p.call(time.sleep, 60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        pids = [int(word) for word in server.stdout.readline().split()]
        assert len(pids) == 2
        server.kill()
    _until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids), "a child outlived the server")
