import os
import re
import signal
import subprocess
import urllib.request
from pathlib import Path

import pytest
from tests.cli.conftest import Run

pytestmark = pytest.mark.shared


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM], ids=lambda value: value.name)
def test_serve_prints_its_address_answers_and_stops(
    yolox_data: Path, samples: Path, sightline_command: list[str], end: signal.Signals
) -> None:
    server = subprocess.Popen(
        [*sightline_command, "serve", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"SIGHTLINE_DATA_DIR": str(yolox_data)},
    )
    try:
        assert server.stdout is not None
        address = re.search(r"http://127\.0\.0\.1:\d+", server.stdout.readline())
        assert address
        request = urllib.request.Request(
            f"{address[0]}/api/v1/predict",
            data=(samples / "astronaut.jpg").read_bytes(),
            headers={"Content-Type": "image/jpeg"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert b'"person"' in answer.read()
        server.send_signal(end)
        _, errors = server.communicate(timeout=30)
    finally:
        server.kill()
        server.wait()
    assert server.returncode == 0
    assert "Traceback" not in errors


def test_an_address_that_cannot_be_bound(run: Run) -> None:
    done = run("serve", "--host", "203.0.113.1", "--port", "0")
    assert done.exit_code == 2
    assert "cannot listen" in done.stderr


def test_a_default_model_that_is_not_there_is_said(run: Run) -> None:
    done = run("serve", "--host", "203.0.113.1", "--port", "0", "--model", "nix")
    assert "There is no model 'nix'" in done.stderr
    assert "only requests that name another model" in done.stderr
