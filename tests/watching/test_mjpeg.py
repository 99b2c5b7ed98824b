from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sightline.errors import FetchRefused
from sightline.watching.mjpeg import Parts, boundary_of

MOST = 1 << 16


def stream(bodies: list[bytes], *, lengths: bool, newline: bytes = b"\r\n") -> bytes:
    out = b""
    for body in bodies:
        length = b"Content-Length: %d%b" % (len(body), newline) if lengths else b""
        out += b"--edge" + newline + b"Content-Type: image/jpeg" + newline + length + newline + body + newline
    return out + b"--edge--" + newline


@given(
    bodies=st.lists(
        st.binary(min_size=1, max_size=200).filter(lambda body: b"--edge" not in body), max_size=6
    ),
    cuts=st.lists(st.integers(0, 2000), max_size=20),
    newline=st.sampled_from([b"\r\n", b"\n"]),
)
def test_parts_are_found_however_the_stream_is_cut(
    bodies: list[bytes], cuts: list[int], newline: bytes
) -> None:
    data = stream(bodies, lengths=True, newline=newline)
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    parts = Parts(b"--edge", most=MOST)
    found = [part for a, b in pairwise(edges) for part in parts.feed(data[a:b])]
    assert found == bodies


@given(bodies=st.lists(st.binary(max_size=200), max_size=6), step=st.integers(1, 50))
def test_cameras_that_tell_no_lengths(bodies: list[bytes], step: int) -> None:
    bodies = [b"\xff\xd8" + body.replace(b"--", b"") + b"\xff\xd9" for body in bodies]
    data = stream(bodies, lengths=False)
    parts = Parts(b"--edge", most=MOST)
    found = [part for at in range(0, len(data), step) for part in parts.feed(data[at : at + step])]
    assert found == bodies


@pytest.mark.parametrize(
    "kind",
    [
        "multipart/x-mixed-replace; boundary=edge",
        "multipart/x-mixed-replace;boundary=--edge",
        'Multipart/X-Mixed-Replace; boundary="edge"',
    ],
)
def test_boundaries_are_declared_in_different_ways(kind: str) -> None:
    assert boundary_of(kind) == b"--edge"


@pytest.mark.parametrize("kind", ["text/html", "", "multipart/x-mixed-replace", "image/png"])
def test_what_is_no_stream_is_refused(kind: str) -> None:
    with pytest.raises(FetchRefused, match="not a stream of pictures"):
        boundary_of(kind)


@pytest.mark.parametrize(
    "data",
    [
        b"--edge\r\nContent-Length: 99999999\r\n\r\n",
        b"--edge\r\n\r\n" + b"x" * (MOST + 1),
        b"--edge\r\n" + b"X: y\r\n" * 5000,
    ],
    ids=["announced", "endless body", "endless headers"],
)
def test_a_camera_cannot_fill_the_memory(data: bytes) -> None:
    with pytest.raises(FetchRefused):
        list(Parts(b"--edge", most=MOST).feed(data))


def test_noise_without_a_boundary_is_not_kept() -> None:
    parts = Parts(b"--edge", most=MOST)
    for _ in range(100):
        assert list(parts.feed(b"y" * 10_000)) == []
    assert len(parts._bytes) < 100
