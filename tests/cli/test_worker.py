"""``sightline worker``."""

import signal
import subprocess
from pathlib import Path

import pytest

from sightline.jobs.ledger import Ledger
from sightline.settings import load_settings


def test_a_worker_says_what_it_does_and_stops_cleanly(sightline_command: list[str], tmp_path: Path) -> None:
    settings = load_settings({"data_dir": str(tmp_path), "disk_reserve_mb": 0}, environment={})
    with Ledger.open(settings) as ledger:
        ledger.submit("nobody does this", {})
    words = [*sightline_command, "worker", "--data-dir", str(tmp_path), "--concurrency", "2"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line == "Working on the local queue with 2 at a time; 1 waiting. Ctrl-C stops.\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


@pytest.mark.parametrize(
    ("option", "advice"),
    [("--queue=kafka://h", "redis://host:6379/0"), ("--database=mysql://h/n", "postgresql://user")],
)
def test_places_that_cannot_work_are_said_at_once(
    option: str, advice: str, sightline_command: list[str], tmp_path: Path
) -> None:
    words = [*sightline_command, "worker", "--data-dir", str(tmp_path), option]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert advice in done.stderr
