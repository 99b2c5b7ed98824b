"""One function in a fresh child: what comes back, and what happens when it goes wrong."""

import ctypes
import operator
import os
import signal
import socket
import subprocess
import sys
import time
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sightline.errors import ConfigError
from sightline.sandbox import ChildDied, ChildTimeout, Limits, run_once
from sightline.settings import load_settings
from sightline.vision import codec

QUICK = Limits(memory_mb=256, cpu_s=1, wall_s=10)


def test_the_answer_comes_back() -> None:
    assert run_once(operator.add, 2, 3) == 5
    assert run_once(Path, "a/b") == Path("a/b")


def test_arrays_and_frames_come_back_whole() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (300, 400, 3), dtype=np.uint8)
    frame = run_once(codec.decode, codec.encode(pixels, "image/png"), codec.Limits())
    np.testing.assert_array_equal(frame.pixels, pixels)
    np.testing.assert_array_equal(run_once(np.add, np.arange(5), 1), np.arange(5) + 1)


def test_our_errors_come_back_with_every_field() -> None:
    with pytest.raises(ConfigError, match="no setting of Sightline") as caught:
        run_once(load_settings, {"nonsense": 1})
    assert "use one of" in caught.value.next_step


def test_other_errors_are_told() -> None:
    with pytest.raises(ChildDied, match="ValueError: invalid literal") as caught:
        run_once(int, "x")
    assert caught.value.failed
    assert caught.value.signal == 0


@pytest.mark.parametrize(
    ("function", "arguments", "number"),
    [
        (os.abort, (), signal.SIGABRT),
        (ctypes.string_at, (1,), signal.SIGSEGV),
        (sum, (range(10**12),), signal.SIGXCPU),
        (os._exit, (3,), 0),
    ],
)
def test_a_child_that_dies_is_reported(function: Any, arguments: tuple[Any, ...], number: int) -> None:
    with pytest.raises(ChildDied) as caught:
        run_once(function, *arguments, limits=QUICK)
    assert caught.value.signal == number
    assert not caught.value.failed


def test_memory_is_limited() -> None:
    with pytest.raises(ChildDied, match="memory") as caught:
        run_once(bytearray, 400 << 20, limits=QUICK)
    assert caught.value.memory
    assert len(run_once(bytes, 100 << 20, limits=QUICK)) == 100 << 20


def test_wall_time_is_limited_from_outside() -> None:
    started = time.monotonic()
    with pytest.raises(ChildTimeout, match=r"killed after 0\.7 s"):
        run_once(time.sleep, 60, limits=Limits(wall_s=0.7))
    assert time.monotonic() - started < 50, "it was not waited for"


def test_secrets_and_descriptors_stay_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGHTLINE_SECRET", "hush")
    assert run_once(os.getenv, "SIGHTLINE_SECRET") is None
    assert run_once(os.getenv, "OPENBLAS_NUM_THREADS") == "1"
    with socket.socket() as open_here:
        os.set_inheritable(open_here.fileno(), True)
        assert (
            len(run_once(os.listdir, "/proc/self/fd")) == 6
        )  # three, the wire's two, and the listing itself


def test_a_function_that_cannot_be_imported_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    here = types.ModuleType("known_to_the_parent_only")
    here._local = _local  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, here.__name__, here)
    monkeypatch.setattr(_local, "__module__", here.__name__)
    with pytest.raises(ChildDied, match=r"imported|answer"):
        run_once(_local, limits=QUICK)


def _local() -> None: ...


def test_the_child_ends_with_its_parent() -> None:
    program = (
        "import time, sightline.sandbox as s\ns.run_once(time.sleep, 100, limits=s.Limits(wall_s=100))\n"
    )
    with subprocess.Popen([sys.executable, "-c", program]) as parent:
        child = _wait_for_child(parent.pid)
        time.sleep(0.5)
        parent.kill()
    deadline = time.monotonic() + 30
    while _alive(child):
        assert time.monotonic() < deadline, "the child outlived its parent"
        time.sleep(0.05)


def _wait_for_child(pid: int) -> int:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        if found:
            return int(found[0])
        time.sleep(0.02)
    pytest.fail("the parent started no child")


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
