"""Children that answer again and again: what they may, and how they end."""

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sightline.errors import NotAPicture
from sightline.sandbox import ChildDied, ChildTimeout, Over, Stream

WAIT_S = 20.0
Asked = Callable[[], bool]


def numbers(asked: Asked, count: int) -> Iterator[object]:
    yield None
    yield from range(count)


def refuses(asked: Asked) -> Iterator[object]:
    yield None
    yield 1
    raise NotAPicture("No more of this.")


def breaks(asked: Asked) -> Iterator[object]:
    yield None
    empty: dict[str, int] = {}
    yield empty["nothing"]


def sleeps(asked: Asked) -> Iterator[object]:
    yield None
    yield os.getpid()
    time.sleep(1000)
    yield None


def hoards(asked: Asked) -> Iterator[object]:
    yield None
    yield len(bytearray(1 << 30))


def counts_while_it_waits(asked: Asked) -> Iterator[object]:
    yield None
    count = 0
    while True:
        count += 1
        if asked():
            yield count


def opens(asked: Asked, spare: int, path: str) -> Iterator[object]:
    """How many files it can open, whether a socket, and whether it can fork."""
    loaded = Path(path).read_text()
    yield None
    held: list[object] = []
    try:
        while len(held) < 100:
            held.append(os.open(path, os.O_RDONLY))
    except OSError:
        pass
    for handle in held:
        os.close(handle)  # type: ignore[arg-type]
    try:
        socket.socket().close()
        sockets = True
    except OSError:
        sockets = False
    yield loaded, len(held), sockets
    del spare


def inherits(asked: Asked, number: int) -> Iterator[object]:
    yield None
    yield os.pread(number, 5, 0)


@pytest.fixture
def start(request: pytest.FixtureRequest) -> Callable[..., Stream]:
    def begin(function: Callable[..., Iterator[object]], *args: object, **more: object) -> Stream:
        options: dict[str, object] = {"memory_mb": 64, "spare": 0} | more
        made = Stream(function, *args, **options)  # type: ignore[arg-type]
        request.addfinalizer(made.close)
        return made

    return begin


def test_answers_come_one_by_one_and_end(start: Callable[..., Stream]) -> None:
    stream = start(numbers, 3)
    assert [stream.next(WAIT_S) for _ in range(3)] == [0, 1, 2]
    for _ in range(2):
        with pytest.raises(Over):
            stream.next(WAIT_S)


def test_errors_of_ours_come_through_and_others_in_words(start: Callable[..., Stream]) -> None:
    stream = start(refuses)
    assert stream.next(WAIT_S) == 1
    with pytest.raises(NotAPicture, match="No more of this"):
        stream.next(WAIT_S)
    with pytest.raises(ChildDied, match="KeyError"):
        start(breaks).next(WAIT_S)


def test_a_child_that_is_late_is_killed(start: Callable[..., Stream]) -> None:
    stream = start(sleeps)
    pid = stream.next(WAIT_S)
    with pytest.raises(ChildTimeout):
        stream.next(0.2)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    with pytest.raises(ChildDied):
        stream.next(0.2)


def test_memory_is_limited(start: Callable[..., Stream]) -> None:
    with pytest.raises(ChildDied, match="memory"):
        start(hoards).next(WAIT_S)


def test_a_child_that_dies_is_named(start: Callable[..., Stream]) -> None:
    stream = start(sleeps)
    os.kill(stream.next(WAIT_S), signal.SIGSEGV)
    with pytest.raises(ChildDied, match="SIGSEGV"):
        stream.next(WAIT_S)


def test_it_works_on_while_nobody_asks(start: Callable[..., Stream]) -> None:
    stream = start(counts_while_it_waits)
    count, until = stream.next(WAIT_S), time.monotonic() + WAIT_S
    while (more := stream.next(WAIT_S)) <= count + 100:
        assert time.monotonic() < until, "it counts only when it is asked"
        count = more
        time.sleep(0.2)


@pytest.mark.parametrize("spare", [0, 1, 3])
def test_it_opens_no_more_than_it_may(start: Callable[..., Stream], tmp_path: Path, spare: int) -> None:
    path = tmp_path / "file"
    path.write_text("before the limits")
    text, files, sockets = start(opens, spare, str(path), spare=spare).next(WAIT_S)
    assert (text, files, sockets) == ("before the limits", spare, spare > 0)


def test_an_open_file_can_be_handed_over(start: Callable[..., Stream], tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"hello")
    handle = os.open(path, os.O_RDONLY)
    try:
        stream = start(inherits, handle, files=[handle])
    finally:
        os.close(handle)
    assert stream.next(WAIT_S) == b"hello"


def test_closing_frees_who_waits_and_is_harmless_twice(start: Callable[..., Stream]) -> None:
    stream = start(sleeps)
    pid = stream.next(WAIT_S)
    timer = threading.Timer(0.2, stream.close)
    timer.start()
    with pytest.raises(ChildDied):
        stream.next(WAIT_S)
    timer.join()
    stream.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
