"""Downloads against a loopback server that cuts, lies, ignores ranges or is gone. No hub is reached."""

import fcntl
import hashlib
import random
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from sightline.errors import BadOption, FetchRefused, StorageFull
from sightline.registry import pull
from sightline.registry.catalogue import File
from sightline.registry.pull import download
from sightline.settings import Settings

DATA = random.Random(7).randbytes(300_000)
PATH = "models/m.onnx"


class Hub:
    """One loopback server; the first part of a path says how it behaves."""

    def __init__(self) -> None:
        self.ranges: list[str] = []
        self.asked = 0
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                hub.asked += 1
                hub.ranges.append(self.headers.get("Range", ""))
                getattr(self, f"do_{self.path.split('/')[1]}")()

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

            def _send(self, data: bytes, start: int = 0, announce: int | None = None) -> None:
                self.send_response(206 if start else 200)
                if start:
                    self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
                self.send_header("Content-Length", str(len(data) - start if announce is None else announce))
                self.end_headers()
                self.wfile.write(data[start:])

            def _start(self) -> int:
                found = re.match(r"bytes=(\d+)-$", self.headers.get("Range", ""))
                return int(found[1]) if found else 0

            def do_good(self) -> None:
                self._send(DATA, self._start())

            def do_cut(self) -> None:
                """Break off after 100 kB, every time."""
                start = self._start()
                self.send_response(206 if start else 200)
                if start:
                    self.send_header("Content-Range", f"bytes {start}-{len(DATA) - 1}/{len(DATA)}")
                self.send_header("Content-Length", str(len(DATA) - start))
                self.end_headers()
                self.wfile.write(DATA[start : start + 100_000])

            def do_norange(self) -> None:
                self._send(DATA)

            def do_otherrange(self) -> None:
                self.send_response(206)
                self.send_header("Content-Range", f"bytes 5-{len(DATA) - 1}/{len(DATA)}")
                self.end_headers()

            def do_wrong(self) -> None:
                self._send(bytes(len(DATA)), self._start())

            def do_long(self) -> None:
                self._send(DATA + b"more")

            def do_endless(self) -> None:
                self.send_response(200)
                self.end_headers()
                while True:
                    self.wfile.write(DATA)

            def do_page(self) -> None:
                """A page of words for everything, and not how long it is."""
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"<p>Sign in to go on.</p>" * 1000)

            def do_short(self) -> None:
                self._send(DATA[:-1])

            def do_missing(self) -> None:
                self.send_error(404)

            def do_broken(self) -> None:
                self.send_error(503)

            def do_unsatisfiable(self) -> None:
                if self._start():
                    self.send_error(416)
                else:
                    self._send(DATA)

            def do_gzip(self) -> None:
                self.send_response(200)
                self.send_header("Content-Encoding", "gzip")
                self.end_headers()

            def do_moved(self) -> None:
                self.send_response(302)
                self.send_header("Location", "/good/" + self.path.split("/", 2)[2])
                self.send_header("Content-Length", "0")
                self.end_headers()

            def do_inside(self) -> None:
                self.send_response(302)
                self.send_header("Location", "http://127.0.0.2/")
                self.end_headers()

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: Any) -> None:
                """Clients of this server leave when they like."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def base(self, behaviour: str) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/{behaviour}/"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


@pytest.fixture
def hub() -> Iterator[Hub]:
    server = Hub()
    yield server
    server.close()


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _seconds: None)


def _ask(hub: Hub, tmp_path: Path, *behaviours: str) -> tuple[File, Settings]:
    mirrors = ",".join(hub.base(behaviour) for behaviour in behaviours)
    urls = tuple(hub.base(behaviour) + PATH for behaviour in behaviours)
    file = File(path=PATH, bytes=len(DATA), sha256=hashlib.sha256(DATA).hexdigest(), urls=urls)
    return file, Settings(data_dir=str(tmp_path), mirrors=mirrors, disk_reserve_mb=0)


def test_a_download_is_proven_reported_and_cached(hub: Hub, tmp_path: Path) -> None:
    file, settings = _ask(hub, tmp_path, "good")
    seen: list[tuple[int, int]] = []
    path = download(file, settings, lambda done, total: seen.append((done, total)))
    assert path.read_bytes() == DATA
    assert seen[-1] == (len(DATA), len(DATA))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    hub.close()
    assert download(file, settings) == path, "the second time needs no network"


def test_a_connection_that_breaks_is_taken_up_where_it_stopped(hub: Hub, tmp_path: Path) -> None:
    file, settings = _ask(hub, tmp_path, "cut")
    assert download(file, settings).read_bytes() == DATA
    assert hub.ranges == ["", "bytes=100000-", "bytes=200000-"]


def test_the_next_place_goes_on_where_the_last_one_stopped(hub: Hub, tmp_path: Path) -> None:
    file, settings = _ask(hub, tmp_path, "good")
    folder = tmp_path / "cache" / "downloads"
    folder.mkdir(parents=True)
    (folder / f"{file.sha256}.part").write_bytes(DATA[:1234])
    assert download(file, settings).read_bytes() == DATA
    assert hub.ranges == ["bytes=1234-"]


@pytest.mark.parametrize("behaviour", ["norange", "otherrange", "unsatisfiable", "good"])
@pytest.mark.parametrize("rest", [DATA[:1000], b"other bytes", bytes(len(DATA)), DATA, DATA + b"x"])
def test_whatever_lies_there_the_end_is_right(hub: Hub, tmp_path: Path, behaviour: str, rest: bytes) -> None:
    file, settings = _ask(hub, tmp_path, behaviour, "good")
    folder = tmp_path / "cache" / "downloads"
    folder.mkdir(parents=True)
    (folder / f"{file.sha256}.part").write_bytes(rest)
    assert download(file, settings).read_bytes() == DATA


@pytest.mark.parametrize(
    "bad", ["wrong", "long", "endless", "short", "missing", "broken", "gzip", "otherrange", "inside"]
)
def test_a_bad_place_is_left_for_the_next_one(hub: Hub, tmp_path: Path, bad: str) -> None:
    file, settings = _ask(hub, tmp_path, bad, "good")
    assert download(file, settings).read_bytes() == DATA


@pytest.mark.parametrize(
    "bad", ["wrong", "page", "long", "endless", "short", "missing", "gzip", "otherrange"]
)
def test_a_wrong_place_costs_nothing_of_what_is_there(hub: Hub, tmp_path: Path, bad: str) -> None:
    file, settings = _ask(hub, tmp_path, bad, "good")
    folder = tmp_path / "cache" / "downloads"
    folder.mkdir(parents=True)
    (folder / f"{file.sha256}.part").write_bytes(DATA[:200_000])
    assert download(file, settings).read_bytes() == DATA
    assert hub.ranges[-1] == "bytes=200000-"


def test_a_place_without_ranges_brings_the_beginning_again(hub: Hub, tmp_path: Path) -> None:
    file, settings = _ask(hub, tmp_path, "norange")
    folder = tmp_path / "cache" / "downloads"
    folder.mkdir(parents=True)
    (folder / f"{file.sha256}.part").write_bytes(DATA[:200_000])
    seen: list[int] = []
    assert download(file, settings, lambda done, _total: seen.append(done)).read_bytes() == DATA
    assert min(seen) > 200_000
    assert hub.asked == 1


def test_what_is_there_stays_while_the_right_place_is_down(hub: Hub, tmp_path: Path) -> None:
    file, settings = _ask(hub, tmp_path, "page", "broken")
    folder = tmp_path / "cache" / "downloads"
    folder.mkdir(parents=True)
    part = folder / f"{file.sha256}.part"
    part.write_bytes(DATA[:200_000])
    with pytest.raises(FetchRefused, match=r"begins otherwise.*It answered 503"):
        download(file, settings)
    assert part.read_bytes() == DATA[:200_000]


def test_a_redirect_inside_the_hub_is_followed(hub: Hub, tmp_path: Path) -> None:
    file, settings = _ask(hub, tmp_path, "moved")
    assert download(file, settings).read_bytes() == DATA


def test_when_no_place_has_it_each_is_named_with_its_reason(hub: Hub, tmp_path: Path) -> None:
    file, settings = _ask(hub, tmp_path, "missing", "wrong")
    with pytest.raises(FetchRefused, match=r"It answered 404.*another SHA-256"):
        download(file, settings)
    assert not (tmp_path / "cache" / "downloads" / file.sha256).exists()


def test_a_damaged_cache_is_downloaded_again(hub: Hub, tmp_path: Path) -> None:
    file, settings = _ask(hub, tmp_path, "good")
    path = download(file, settings)
    path.write_bytes(bytes(len(DATA)))
    assert download(file, settings).read_bytes() == DATA


def test_places_of_the_shipped_catalogue_may_not_be_private(hub: Hub, tmp_path: Path) -> None:
    file, _ = _ask(hub, tmp_path, "good")
    with pytest.raises(FetchRefused, match="may not be opened"):
        download(file, Settings(data_dir=str(tmp_path), disk_reserve_mb=0))
    assert hub.asked == 0


def test_no_room_is_said_before_anything_is_sent(hub: Hub, tmp_path: Path) -> None:
    file, settings = _ask(hub, tmp_path, "good")
    tight = Settings(data_dir=str(tmp_path), mirrors=settings.mirrors, disk_reserve_mb=1 << 40)
    with pytest.raises(StorageFull):
        download(file, tight)
    assert hub.asked == 0


def test_a_disk_that_fills_is_said_to_be_full(hub: Hub, tmp_path: Path) -> None:
    """``/dev/full`` takes a write as a full disk does."""
    file, settings = _ask(hub, tmp_path, "good")
    folder = tmp_path / "cache" / "downloads"
    folder.mkdir(parents=True)
    (folder / f"{file.sha256}.part").symlink_to("/dev/full")
    with pytest.raises(StorageFull, match="no room to download"):
        download(file, settings)


def test_two_downloads_of_one_file_do_not_mix(hub: Hub, tmp_path: Path) -> None:
    file, settings = _ask(hub, tmp_path, "good")
    folder = tmp_path / "cache" / "downloads"
    folder.mkdir(parents=True)
    with (folder / f"{file.sha256}.part").open("ab") as part:
        fcntl.flock(part, fcntl.LOCK_EX)
        with pytest.raises(BadOption, match="Another process"):
            download(file, settings)
    assert pull.CUTS_MAX > 1
