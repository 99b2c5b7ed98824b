"""The hostile pictures through the command line: each is answered or refused in words, and the rest go on."""

import json
import time
from pathlib import Path

import pytest
from tests.cli.conftest import Run
from tests.hostile.corpus import FILES


@pytest.mark.shared
@pytest.mark.slow
def test_every_hostile_file_is_answered_or_refused(run: Run, shared: Path) -> None:
    began = time.monotonic()
    done = run("predict", f"{shared}/badimages/**/*.*", "--json")
    assert done.exit_code == 1
    answer = json.loads(done.stdout)
    assert len(answer["results"]) + len(answer["errors"]) >= FILES
    codes = {error["code"] for error in answer["errors"]}
    assert codes <= {"not_a_picture", "picture_too_large", "picture_too_complex"}
    assert "Traceback" not in done.stderr
    assert "\x1b" not in done.stderr
    assert time.monotonic() - began < 120
