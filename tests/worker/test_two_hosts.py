"""The command that measures jobs across two hosts, in its shortest form."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_a_worker_on_another_host_gives_every_picture_its_one_result(root: Path, samples: Path) -> None:
    """Pictures, blobs, database and queue are reached over the cable; the command counts the results."""
    words = [sys.executable, "-m", "bench.scale", str(samples), "--pictures", "12", "--workers", ""]
    with subprocess.Popen(
        [*words, "--hosts", "far", "--rounds", "0"], cwd=root, stdout=subprocess.PIPE, text=True
    ) as process:
        said, _ = process.communicate(timeout=280)
    assert process.returncode == 0, said
    if "Two hosts were not measured: " in said:
        pytest.skip(said.strip().splitlines()[-1])
    assert "| 1 on the other host |" in said
    assert " MB came over the cable." in said
    names = [path.name for path in Path("/run/netns").iterdir()]
    assert f"sightline-far-{process.pid}" not in names
