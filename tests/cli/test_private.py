"""What Sightline keeps is for its user only, whoever makes the data folder, however open it was before."""

import os
import re
import signal
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.conftest import Run
from tests.watching.conftest import MakeVideo, colour_data, video
from tests.worker.working import album

from sightline.cli.jobs import waiting

__all__ = ["colour_data", "video"]


@pytest.fixture(autouse=True)
def _usual_umask(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As most machines have it: others may read."""
    monkeypatch.setattr(waiting, "TAKEN_S", 0.0)
    before = os.umask(0o022)
    yield
    os.umask(before)


def open_to_others(data: Path) -> list[str]:
    """What in the data folder other users may read, write or enter; models are public anyway."""
    found = [data, *(path for path in data.rglob("*") if "models" not in path.relative_to(data).parts)]
    return [
        f"{path.relative_to(data)} {stat.filemode(path.stat().st_mode)}"
        for path in found
        if path.stat().st_mode & 0o077
    ]


def test_a_job_is_first(run: Run, tmp_path: Path) -> None:
    data = tmp_path / "new" / "data"
    done = run("predict", "--job", album(tmp_path / "album", 1), data=data)
    assert done.exit_code == 0, done.stderr
    assert (data / "results" / "results.sqlite").is_file()
    assert any((data / "results" / "blobs").rglob("*"))
    assert open_to_others(data) == []
    assert (tmp_path / "new").stat().st_mode & 0o077 == 0


def test_a_look_is_first(run: Run, tmp_path: Path) -> None:
    assert run("jobs", "list", data=tmp_path / "data").exit_code == 0
    assert (tmp_path / "data" / "results" / "results.sqlite").is_file()
    assert open_to_others(tmp_path / "data") == []


@pytest.mark.parametrize("words", [("predict", "--job"), ("jobs", "list")], ids="-".join)
def test_what_was_open_is_closed(run: Run, tmp_path: Path, words: tuple[str, ...]) -> None:
    data = tmp_path / "data"
    assert run("jobs", "list", data=data).exit_code == 0
    results = data / "results"
    (results / "results.sqlite-wal").touch()
    (results / "blobs").mkdir(exist_ok=True)
    for path in (data, results, results / "blobs"):
        path.chmod(0o755)
    for path in results.glob("results.sqlite*"):
        path.chmod(0o644)
    more = [album(tmp_path / "album", 1)] if words[0] == "predict" else []
    assert run(*words, *more, data=data).exit_code == 0
    assert [found for found in open_to_others(data) if "blobs" not in found or more] == []


def test_a_folder_of_everybody_stays_so(run: Run, tmp_path: Path) -> None:
    data = tmp_path / "shared"
    data.mkdir()
    data.chmod(0o1777)
    assert run("jobs", "list", data=data).exit_code == 0
    assert stat.S_IMODE(data.stat().st_mode) == 0o1777
    assert (data / "results").stat().st_mode & 0o077 == 0


def test_a_folder_that_somebody_works_in_stays_so(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = tmp_path / "work"
    (work / "src").mkdir(parents=True)
    work.chmod(0o755)
    monkeypatch.chdir(work / "src")
    assert run("jobs", "list", data=work).exit_code == 0
    assert stat.S_IMODE(work.stat().st_mode) == 0o755
    assert (work / "results").stat().st_mode & 0o077 == 0


def test_a_server_is_first(sightline_command: list[str], tmp_path: Path) -> None:
    data = tmp_path / "data"
    server = subprocess.Popen(
        [*sightline_command, "serve", "--port", "0", "--allowed-hosts", "cam.example"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"SIGHTLINE_DATA_DIR": str(data)},
    )
    try:
        assert server.stdout is not None
        assert re.search(r"https?://127\.0\.0\.1:\d+", server.stdout.readline())
        assert list(data.glob("*key*")) + list(data.glob("*secret*"))
        assert open_to_others(data) == []
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=120)
    finally:
        server.kill()
        server.communicate()
    assert open_to_others(data) == []


def test_a_watch_that_keeps(
    sightline_command: list[str], colour_data: Path, video: MakeVideo, tmp_path: Path
) -> None:
    colour_data.chmod(0o755)
    words = ["watch", str(video("red")), "--store", "--model", "colour", "--threads", "1", "--count", "1"]
    subprocess.run(
        [*sightline_command, *words],
        check=True,
        capture_output=True,
        env=os.environ | {"SIGHTLINE_DATA_DIR": str(colour_data)},
        timeout=120,
        cwd=tmp_path,
    )
    assert (colour_data / "results" / "results.sqlite").is_file()
    assert open_to_others(colour_data) == []
