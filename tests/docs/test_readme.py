"""README and tutorial are what people try first: transcripts, requests and programs run as they stand."""

import contextlib
import io
import json
import os
import re
import shlex
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Run

from sightline.registry import Registry
from sightline.settings import load_settings

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text("utf-8")
SAMPLES = ROOT / "src/sightline/web/static/samples"


def _blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"^ *```{language}\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with nothing but what ships, at an address without a slash at the end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "sightline", "serve", "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"SIGHTLINE_DATA_DIR": str(tmp_path_factory.mktemp("readme"))},
    )
    try:
        assert process.stdout is not None
        address = re.search(r"http://[\d.]+:\d+", process.stdout.readline())
        assert address
        yield address[0]
    finally:
        process.terminate()
        process.communicate(timeout=30)


def test_the_first_lines_say_how_to_start_and_what_it_costs() -> None:
    head = "\n".join(README.splitlines()[:25])
    assert re.search(r"make run .*\d+ s.*\d+ MB", head)
    assert re.search(r"make test .*\d+ min.*\d GB", head)


def test_a_model_ships_that_the_repository_trained() -> None:
    bundle = Registry(load_settings({"data_dir": "nowhere"}, environment={})).resolve(None)
    assert bundle.bundled
    assert "sightline train" in bundle.card
    assert bundle.name in README


def _near(said: str, shown: str) -> bool:
    """Equal up to the arithmetic of another processor: 0.03 of a score, 4 pixels of a side."""
    if not re.fullmatch(r"[\d.]+", shown):
        return said == shown
    return abs(float(said) - float(shown)) <= (0.03 if "." in shown else 4)


@pytest.mark.parametrize("page", ["README.md", "docs/tutorial/first-result.md"])
def test_the_transcript_is_what_the_command_prints(
    run: Run, monkeypatch: pytest.MonkeyPatch, page: str
) -> None:
    blocks = _blocks("console", (ROOT / page).read_text("utf-8"))
    (block,) = [block for block in blocks if re.search(r"sightline predict [^\n]+\n\w", block)]
    command, _, shown = block.partition("sightline predict ")[2].partition("\n")
    monkeypatch.chdir(ROOT)
    done = run("predict", *shlex.split(command))
    assert done.exit_code == 0, done.stderr
    said = [line.split() for line in done.stdout.splitlines()]
    wanted = [line.split() for line in shown.splitlines()]
    assert [len(line) for line in said] == [len(line) for line in wanted]
    for line, model in zip(said, wanted, strict=True):
        assert all(_near(word, other) for word, other in zip(line, model, strict=True)), (line, model)


def _curl(line: str, address: str) -> dict[str, Any]:
    """What curl does with ``-F image=@FILE``, without needing curl."""
    words = shlex.split(line)
    name, _, file = words[words.index("-F") + 1].partition("=@")
    edge = "one-edge"
    head = f'--{edge}\r\nContent-Disposition: form-data; name="{name}"; filename="{Path(file).name}"\r\n\r\n'
    body = head.encode() + (ROOT / file).read_bytes() + f"\r\n--{edge}--\r\n".encode()
    url = next(word for word in words if word.startswith("http")).replace("http://127.0.0.1:8000", address)
    request = urllib.request.Request(
        url, data=body, headers={"Content-Type": f"multipart/form-data; boundary={edge}"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        result: dict[str, Any] = json.load(answer)
    return result


def test_the_request_gives_the_answer(server: str) -> None:
    (line,) = [line[2:] for block in _blocks("console") for line in block.splitlines() if "curl" in line]
    (shown,) = [json.loads(block) for block in _blocks("json")]
    said = _curl(line, server)
    assert said.keys() == shown.keys()
    for field in ("source", "model", "task", "image"):
        assert said[field] == shown[field]
    (thing,), (model) = said["predictions"], shown["predictions"][0]
    assert thing["label"] == model["label"]
    assert thing["score"] == pytest.approx(model["score"], abs=0.03)
    assert thing["box"] == pytest.approx(model["box"], abs=4)


@pytest.mark.parametrize(
    "program",
    [
        pytest.param(block, id=f"{page}-{number}")
        for page in ("README.md", "docs/how-to/http.md")
        for number, block in enumerate(_blocks("python", (ROOT / page).read_text("utf-8")))
    ],
)
def test_programs_run(server: str, program: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    lines = program.splitlines()
    indent = len(lines[0]) - len(lines[0].lstrip())
    code = "\n".join(line[indent:] for line in lines).replace("http://127.0.0.1:8000", server)
    monkeypatch.chdir(ROOT if "samples/" in code else tmp_path)
    (tmp_path / "photo.jpg").write_bytes((SAMPLES / "cat.jpg").read_bytes())
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "program", "exec"), {"__name__": "__main__"})
    assert printed.getvalue().startswith("cat 0.")


def test_the_program_of_the_jobs_page_sends_portions_and_submits_them(server: str) -> None:
    (code,) = _blocks("python", (ROOT / "docs/how-to/jobs.md").read_text("utf-8"))
    names: dict[str, Any] = {}
    exec(compile(code.replace("http://127.0.0.1:8000", server), "program", "exec"), names)
    portions = [names["upload"]([SAMPLES / name]) for name in ("cat.jpg", "coffee.jpg")]
    address = names["submit"](portions[0] + portions[1], "holiday-2026")
    assert names["submit"](portions[0] + portions[1], "holiday-2026") == address
    with urllib.request.urlopen(server + address, timeout=60) as answer:
        job = json.load(answer)
    assert "cat.jpg" in job["name"]
    assert "coffee.jpg" in job["name"]
