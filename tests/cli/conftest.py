"""Running the command line as a person does, in this process."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from tests.training.conftest import toy

from sightline.cli.main import cli

__all__ = ["Run", "run", "toy"]
Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """``run("models", "list", data=FOLDER, input=BYTES)`` → click's result with exit code, stdout, stderr."""
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)

    def call(*words: object, data: Path | None = None, **options: Any) -> Result:
        monkeypatch.setenv("SIGHTLINE_DATA_DIR", str(data or tmp_path / "data"))
        return CliRunner().invoke(cli, [str(word) for word in words], prog_name="sightline", **options)

    return call
