"""The files that a job has made, sent as they lie: parts of a film cost their own size, not the film's."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from tests.web import tiny
from tests.web.conftest import Server, end, start

from sightline.jobs.keeping import keep_file
from sightline.jobs.ledger import Ledger
from sightline.jobs.video import VIDEO
from sightline.settings import load_settings
from sightline.storage.job_kept import Item

_MB = 1 << 20
_SIZE = 96 * _MB + 7


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, str, bytes]]:
    """A server whose one job has made a film of 96 MB, its address, and what it begins with."""
    folder = tmp_path_factory.mktemp("film")
    settings = load_settings({"data_dir": str(folder / "data"), "disk_reserve_mb": 0}, environment={})
    tiny.install(settings, folder / "bundles")
    begin = os.urandom(_MB)
    made = Path(settings.data_path / "film")
    with made.open("wb") as file:
        file.write(begin)
        file.truncate(_SIZE)
    with Ledger.open(settings) as ledger:
        digest = keep_file(ledger, made, "video/webm")
        job = ledger.submit(VIDEO, {})
        claim = ledger.claim("test", (VIDEO,))
        assert claim is not None
        ledger.put_items(claim, [Item(claim.root, 0, "film.webm", "done", image=digest)])
        ledger.finish(claim, {"files": [{"name": "film.webm", "media_type": "video/webm", "digest": digest}]})
    running = start(settings.data_path)
    yield running, f"{running.url}/api/v1/jobs/{job.id}", begin
    end(running)


def test_parts_and_the_whole(film: tuple[Server, str, bytes]) -> None:
    _, place, begin = film
    with httpx.Client(timeout=60) as client:
        part = client.get(f"{place}/files/film.webm", headers={"range": "bytes=5-104"})
        assert (part.status_code, part.content) == (206, begin[5:105])
        assert part.headers["content-range"] == f"bytes 5-104/{_SIZE}"
        assert part.headers["content-length"] == "100"
        last = client.get(f"{place}/files/film.webm", headers={"range": f"bytes={_SIZE - 3}-"})
        assert (last.status_code, last.content) == (206, bytes(3))
        beyond = client.get(f"{place}/files/film.webm", headers={"range": f"bytes={_SIZE}-"})
        assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{_SIZE}")
        head = client.head(f"{place}/files/film.webm")
        assert (head.status_code, head.headers["content-length"], head.content) == (200, str(_SIZE), b"")
        assert head.headers["content-type"] == "video/webm"
        with client.stream("GET", f"{place}/files/film.webm") as whole:
            assert whole.headers["content-length"] == str(_SIZE)
            assert whole.headers["accept-ranges"] == "bytes"
            assert sum(len(chunk) for chunk in whole.iter_bytes()) == _SIZE


def test_a_film_is_not_in_memory_whoever_asks_for_it(film: tuple[Server, str, bytes]) -> None:
    server, place, begin = film

    def seek(start: int) -> bytes:
        return httpx.get(
            f"{place}/files/film.webm", headers={"range": f"bytes={start}-{start + 9}"}, timeout=60
        ).content

    peak = _peak_kb(server)
    with ThreadPoolExecutor(4) as players:
        assert list(players.map(seek, range(16))) == [begin[at : at + 10] for at in range(16)]
    with httpx.stream("GET", f"{place}/results?format=zip", timeout=60) as packed:
        assert sum(len(chunk) for chunk in packed.iter_bytes()) > _SIZE
    assert _peak_kb(server) - peak < 60 * 1024


def _peak_kb(server: Server) -> int:
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0])
