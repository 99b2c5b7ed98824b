"""Commands that take minutes in earnest, on toys: train, evaluate, export, pull."""

import functools
import hashlib
import http.server
import json
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.conftest import Run


@pytest.mark.train
def test_train_judge_add_and_use(run: Run, toy: Path, tmp_path: Path) -> None:
    words = [
        "--out",
        tmp_path / "run",
        "--change",
        "optimiser.epochs=1",
        "--change",
        "bundle.title=Small squares",
    ]
    judged = tmp_path / "judged.json"
    judged.write_text((toy / "toy.json").read_text())
    (tmp_path / "images").symlink_to(toy / "pictures")
    done = run("train", toy / "toy.toml", *words, "--judge", judged, "--add")
    assert done.exit_code == 0, done.stderr
    assert "epoch 1/1  loss: " in done.stdout
    assert "Imported toy@1" in done.stdout
    assert "AP" in run("models", "show", "toy", "--card").stdout
    assert "Small squares" in run("models", "show", "toy").stdout

    again = run("train", toy / "toy.toml", *words, "--add")
    assert "Imported toy@2" in again.stdout, "a version is not overwritten, and the training is not lost"
    assert "epoch" not in again.stdout.replace("optimiser.epochs", "")
    assert f"Wrote {tmp_path / 'run' / 'bundle'}" in again.stdout

    report = run("evaluate", "toy", toy / "toy.json", "--pictures", toy / "pictures", "--rounds", "0")
    assert report.exit_code == 0, report.stderr
    assert "| AP50 |" in report.stdout
    few = run("evaluate", "toy", judged, "--first", "3", "--rounds", "0", "--json")
    assert json.loads(few.stdout)["pictures"] == 3


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["nix"], "everyday"),
        (["everyday", "--change", "seed"], "KEY=VALUE"),
        (["everyday", "--change", "x.y=1"], "x"),
    ],
    ids=str,
)
def test_wrong_recipes(run: Run, words: list[str], sentence: str) -> None:
    done = run("train", *words)
    assert done.exit_code == 2
    assert sentence in done.stderr


def test_without_torch_it_says_what_to_install(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sightline.cli.extra.find_spec", lambda _: None)
    for words in (["train", "everyday"], ["models", "export-torchvision"]):
        done = run(*words)
        assert done.exit_code == 2
        assert "extra `train`" in done.stderr
        assert "sightline.training" not in done.stderr


@pytest.mark.train
def test_export_a_classifier(run: Run, samples: Path, tmp_path: Path) -> None:
    done = run("models", "export-torchvision", "mobilenet_v2", "--weights", "none", "--name", "mobile")
    assert done.exit_code == 0, done.stderr
    assert "Imported mobile@1" in done.stdout
    seen = run("predict", samples / "cat.jpg", "--model", "mobile")
    assert seen.exit_code == 0
    assert len(seen.stdout.splitlines()) == 6
    written = run(
        "models", "export-torchvision", "mobilenet_v2", "--weights", "none", "--out", tmp_path / "out"
    )
    assert "Wrote" in written.stdout
    assert (tmp_path / "out" / "model.json").is_file()


@pytest.mark.parametrize(
    "words",
    [["resnet50", "--short-side", "480"], ["--weights", "gone.pth"]],
    ids=" ".join,
)
def test_wrong_exports(run: Run, words: list[str]) -> None:
    done = run("models", "export-torchvision", *words)
    assert done.exit_code == 2
    assert "Next: " in done.stderr


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def hub(shared: Path) -> Iterator[str]:
    """An address that serves the shared weights."""
    handler = functools.partial(_Quiet, directory=str(shared / "weights"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.shared
def test_pull_from_a_mirror(run: Run, hub: str, shared: Path, tmp_path: Path) -> None:
    data = (shared / "weights" / "yolox_nano_416.onnx").read_bytes()
    catalogue = tmp_path / "catalogue.toml"
    catalogue.write_text(
        '[hubs]\nnone = []\n[models.nano]\ntitle = "Nano"\ndescription = "Boxes."\ntask = "detect"\n'
        'licence = "Apache-2.0"\norigin = "Megvii"\nhub = "none"\npath = "yolox_nano_416.onnx"\n'
        'labels = "coco"\n'
        f'bytes = {len(data)}\nsha256 = "{hashlib.sha256(data).hexdigest()}"\n'
    )
    words = ["--catalogue", catalogue, "--mirrors", hub]
    listed = run("models", "list", "--available", *words[:2])
    assert "nano" in listed.stdout
    done = run("models", "pull", "nano", *words)
    assert done.exit_code == 0, done.stderr
    assert "Imported nano@1" in done.stdout
    assert run("models", "pull", "nano", *words).stdout == "nano is here already.\n"
    assert "here already" in run("models", "list", "--available", *words[:2]).stdout


def test_torch_is_not_loaded_by_other_commands() -> None:
    import subprocess  # noqa: PLC0415

    code = "import sys, sightline.cli.train, sightline.cli.models.export; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
