"""Every hostile picture through every way in: refused or answered, in time, without growth, never a 5xx."""

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from tests.hostile.corpus import FILES, hostile_pictures, memory_of, percentile
from tests.web.conftest import Server

ROUNDS = 3
OCTETS = {"content-type": "application/octet-stream"}


@pytest.mark.shared
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_whole_corpus_three_times(starting: Callable[..., Server], shared: Path) -> None:
    pictures = list(hostile_pictures(shared))
    assert len(pictures) >= FILES
    server = starting()
    pid = server.process.pid
    took: list[float] = []
    wrong: list[str] = []
    memory: list[int] = []
    with httpx.Client(base_url=server.url, timeout=60) as client:
        for turn in range(ROUNDS + 1):
            for picture in pictures if turn else pictures[::8]:
                begun = time.monotonic()
                answer = client.post("/api/v1/predict", content=picture.data, headers=OCTETS)
                took.append(time.monotonic() - begun)
                if answer.status_code >= 500 or answer.status_code not in {200, 400, 413, 415, 422}:
                    wrong.append(f"{picture.name}: {answer.status_code} {answer.text[:200]}")
            memory.append(memory_of(pid))
    assert wrong == []
    assert server.process.poll() is None
    assert '"event":"failure"' not in "".join(server.log)
    assert percentile(took, 0.99) <= 2, f"median {statistics.median(took):.3f} s"
    assert max(took) <= 10
    assert memory[-1] <= memory[0] * 1.1, [f"{value / 2**20:.0f} MiB" for value in memory]


@pytest.mark.shared
@pytest.mark.timeout(600)
def test_storing_and_drawing_are_as_safe(starting: Callable[..., Server], shared: Path) -> None:
    server = starting()
    with httpx.Client(base_url=server.url, timeout=60) as client:
        for picture in list(hostile_pictures(shared))[::9]:
            files = {"image": (picture.name, picture.data)}
            for path, headers in (("?store=true", {}), ("", {"accept": "image/png"})):
                answer = client.post(f"/api/v1/predict{path}", files=files, headers=headers)
                assert answer.status_code < 500, f"{picture.name}: {answer.text[:300]}"
                if answer.status_code == 200 and path:
                    one = answer.json()["id"]
                    for part in ("image", "thumbnail", "annotated"):
                        assert client.get(f"/api/v1/results/{one}/{part}").status_code == 200, picture.name
    assert '"event":"failure"' not in "".join(server.log)
