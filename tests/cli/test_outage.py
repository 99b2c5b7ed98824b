"""Commands whose database or data folder is off: words and the right exit code, no bug, no password."""

import os
import re
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.conftest import Run
from tests.worker.working import album


@pytest.fixture
def away() -> Iterator[str]:
    """The address of a database where nobody listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"postgresql://me:hush@127.0.0.1:{bound.getsockname()[1]}/x"


def test_commands_without_their_database(
    run: Run, tmp_path: Path, away: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIGHTLINE_DATABASE", away)
    for words in (["predict", "--job", album(tmp_path / "album", 1)], ["jobs", "list"], ["rules", "list"]):
        done = run(*words)
        assert done.exit_code == 4, done.stderr
        assert "cannot be reached: Connection refused" in done.stderr
        assert "hush" not in done.stderr
        assert "bug" not in done.stderr


@pytest.mark.parametrize("words", [["serve", "--port", "0"], ["jobs", "list"]], ids=lambda words: words[0])
def test_a_data_folder_that_cannot_be_written(run: Run, tmp_path: Path, words: list[str]) -> None:
    (tmp_path / "file").write_text("")
    done = run(*words, data=tmp_path / "file" / "data")
    assert done.exit_code == 2, done.stderr
    assert "cannot be made: Not a directory" in done.stderr


def test_a_folder_of_the_kernel(run: Run) -> None:
    done = run("serve", "--port", "0", data=Path("/proc/self/fd"))
    assert done.exit_code == 2
    assert "/fd cannot be written" in done.stderr


def test_a_server_waits_for_its_database(sightline_command: list[str], tmp_path: Path, away: str) -> None:
    server = subprocess.Popen(
        [*sightline_command, "serve", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"SIGHTLINE_DATA_DIR": str(tmp_path / "data"), "SIGHTLINE_DATABASE": away},
    )
    lines: list[str] = []
    assert server.stdout is not None
    assert server.stderr is not None
    log = server.stderr
    reader = threading.Thread(target=lambda: lines.extend(iter(log.readline, "")), daemon=True)
    reader.start()
    try:
        address = re.search(r"http://127\.0\.0\.1:\d+", server.stdout.readline())
        assert address
        for _ in range(3):
            with pytest.raises(urllib.error.HTTPError) as caught:
                urllib.request.urlopen(f"{address[0]}/api/v1/jobs", timeout=120)
            with caught.value as refused:
                assert refused.code == 503
                assert refused.headers["retry-after"] == "5"
                assert b'"unreachable"' in refused.read()
        end = time.monotonic() + 120
        while time.monotonic() < end and sum("until the database" in line for line in lines) < 3:
            time.sleep(0.1)
    finally:
        server.terminate()
        server.wait(120)
        reader.join(60)
        log.close()
        server.stdout.close()
    said = [line for line in lines if "until the database" in line]
    assert len(said) == len({re.search(r'"message":\s*"(.*?) until', line)[1] for line in said})  # type: ignore[index]
    assert not any("Traceback" in line or "hush" in line for line in lines), lines
