"""The wire between parent and child, and why a child is not believed."""

import os
import pickle
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sightline.errors import Busy, NotAPicture
from sightline.sandbox.wire import KEPT_MAX, Channel, Hangup
from sightline.types import Fit, Frame, Prepared

Pair = tuple[Channel, Channel]


@pytest.fixture
def pair() -> Iterator[Pair]:
    ends = Channel.pair()
    yield ends
    for end in ends:
        end.close()


class _Evil:
    """A pickle that runs a command."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.system, (f"touch {self.canary}",))


@pytest.mark.parametrize(
    "value",
    [None, 3, "text", b"bytes", [1, (2.5, {"a": {1, 2}})], np.int64(4), np.float32(0.5), Path("x")],
)
def test_plain_values_pass(pair: Pair, value: object) -> None:
    pair[0].send(value)
    assert pair[1].receive(trusted=False) == value


def test_arrays_and_frozen_values_pass(pair: Pair) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (2000, 2000, 3), dtype=np.uint8)
    picture = Prepared(pixels, Fit(1, 1, 0, 0, 9, 9, 9, 9), 1.5)
    pair[0].send(("done", picture))
    kind, got = pair[1].receive(trusted=False)
    np.testing.assert_array_equal(got.tensor, pixels)
    assert (kind, got.fit, got.decode_ms) == ("done", picture.fit, 1.5)
    assert pixels.nbytes > KEPT_MAX
    assert os.fstat(pair[0].descriptors[1]).st_size == 0, "a large message leaves no memory behind"


def test_many_small_arrays_and_odd_layouts_pass(pair: Pair) -> None:
    arrays = [np.full(2000 + i, i) for i in range(1200)] + [np.arange(9000).reshape(90, 100)[::2, ::3]]
    pair[0].send(arrays)
    for sent, got in zip(arrays, pair[1].receive(trusted=False), strict=True):
        np.testing.assert_array_equal(sent, got)


def test_errors_pass_with_their_fields(pair: Pair) -> None:
    pair[0].send(Busy("Full.", retry_after_s=7, next_step="Wait."))
    got = pair[1].receive(trusted=False)
    assert (type(got), str(got), got.retry_after_s, got.next_step) == (Busy, "Full.", 7, "Wait.")
    pair[0].send(NotAPicture("No."))
    assert pair[1].receive(trusted=False).next_step == NotAPicture.default_next_step


def test_an_answer_that_would_run_something_is_a_hangup(pair: Pair, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    pair[0].send(("done", _Evil(canary)))
    with pytest.raises(Hangup):
        pair[1].receive(trusted=False)
    assert not canary.exists()
    pair[0].send(_Evil(canary))
    pair[1].receive(trusted=True)
    assert canary.exists(), "the same pickle does run where the sender is trusted"


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("builtins", "eval"),
        ("builtins", "getattr"),
        ("os", "system"),
        ("subprocess", "Popen"),
        ("numpy", "load"),
        ("sightline.sandbox.start", "start"),
        ("sightline.sandbox.start", "subprocess.Popen"),
        ("sightline.sandbox.pool", "Pool"),
        ("sightline.settings", "load_settings"),
    ],
)
def test_names_that_have_no_place_in_an_answer(pair: Pair, module: str, name: str) -> None:
    _raw(pair[0], _naming("builtins", "set"))
    assert pair[1].receive(trusted=False) is set, "the way that names are sent here is understood"
    _raw(pair[0], _naming(module, name))
    with pytest.raises(Hangup) as caught:
        pair[1].receive(trusted=False)
    assert isinstance(caught.value.__cause__, (pickle.UnpicklingError, AttributeError))


def test_lies_about_sizes_are_hangups(pair: Pair) -> None:
    for sizes in [(100,), (1 << 40,), ((1 << 64) - 1,), (0,), (4, 1 << 30)]:
        _raw(pair[0], b"N.", sizes)
        with pytest.raises(Hangup):
            pair[1].receive(trusted=False, largest=1 << 31)
    with socket.socket(fileno=os.dup(pair[0].descriptors[0])) as sock:
        sock.send(b"odd")
    with pytest.raises(Hangup):
        pair[1].receive(trusted=False)


def test_a_frame_that_is_none_is_refused(pair: Pair) -> None:
    fine = pickle.dumps(Frame(np.zeros((2, 2, 3), np.uint8), 2, 2), protocol=5)
    _raw(pair[0], fine[: len(fine) // 2])
    with pytest.raises(Hangup):
        pair[1].receive(trusted=False)


def test_a_closed_end_is_a_hangup_and_silence_a_timeout(pair: Pair) -> None:
    with pytest.raises(TimeoutError):
        pair[1].receive(timeout_s=0.05, trusted=False)
    pair[0].close()
    with pytest.raises(Hangup):
        pair[1].receive(trusted=False)
    with pytest.raises(Hangup):
        pair[1].send(1)


def _naming(module: str, name: str) -> bytes:
    """A pickle that is the object of that name (PROTO 4, two short strings, STACK_GLOBAL, STOP)."""
    words = (b"\x8c" + bytes([len(word)]) + word.encode() for word in (module, name))
    return b"\x80\x04" + b"".join(words) + b"\x93."


def _raw(end: Channel, data: bytes, sizes: tuple[int, ...] | None = None) -> None:
    """What a child in foreign hands could write."""
    wire, memory = end.descriptors
    os.ftruncate(memory, 0)
    os.pwrite(memory, data, 0)
    sizes = sizes or (len(data),)
    with socket.socket(fileno=os.dup(wire)) as sock:
        sock.send(struct.pack(f"<I{len(sizes)}Q", len(sizes), *sizes))
