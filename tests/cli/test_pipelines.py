"""``sightline pipelines set``: another second stage in one command, and everything that it refuses."""

import json
import zipfile
from pathlib import Path

import pytest
from tests.cli.conftest import Run
from tests.serving.test_pipelines import BLUE, DOOR, RED, RULE, png
from tests.web import tiny

from sightline.settings import load_settings


@pytest.fixture
def data(run: Run, tmp_path: Path) -> Path:
    """A data folder with a detector, a classifier of colours, and the pipelines `door` and `walker`."""
    folder = tmp_path / "data"
    tiny.install(load_settings({"data_dir": str(folder)}, environment={}), tmp_path / "bundles")
    for name, text in (("door", DOOR), ("walker", RULE)):
        (tmp_path / f"{name}.toml").write_text(text)
        assert run("models", "import", tmp_path / f"{name}.toml", data=folder).exit_code == 0
    return folder


def test_a_rule_gives_way_to_a_classifier_and_comes_back(run: Run, data: Path, tmp_path: Path) -> None:
    words = ("--verdict", "red=dog_walker", "--sure", "dog_walker=0.4", "--sure", "person=0.9")
    done = run("pipelines", "set", "walker", "--second", "colours", *words, data=data)
    assert done.exit_code == 0, done.stderr
    assert "walker@2 answers now; its second stage is colours." in done.stdout
    assert "red -> dog_walker" in done.stdout
    assert "blue -> person" in done.stdout
    assert "sightline evaluate walker FOLDER" in done.stdout
    shown = run("pipelines", "show", "walker", data=data).stdout
    assert "colours" in shown
    assert "dog_walker 0.4" in shown
    listed = json.loads(run("pipelines", "list", "--json", data=data).stdout)["pipelines"]
    assert {row["name"]: row["second"] for row in listed}["walker"] == "colours"
    (tmp_path / "red.png").write_bytes(png(RED))
    told = run("predict", tmp_path / "red.png", "--model", "walker", "--json", data=data)
    assert json.loads(told.stdout)["verdict"] == "dog_walker"
    assert run("models", "promote", "walker@1", data=data).exit_code == 0
    assert "a rule, no network" in run("pipelines", "show", "walker", data=data).stdout


def test_labels_that_are_called_like_verdicts_need_no_words(run: Run, data: Path, tmp_path: Path) -> None:
    text = DOOR.replace('"door"', '"plain"').replace(
        'red = "rider", blue = "human"', 'red = "red", blue = "blue"'
    )
    text = text.replace("sure = { rider = 0.4, human = 0.4 }", "sure = { red = 0.4 }")
    text = text.replace('["rider", "unknown", "human"]', '["red", "unknown", "blue"]')
    text = text.replace('titles = { rider = "a rider in red" }', "").replace(
        'folders = { human = "person" }', ""
    )
    (tmp_path / "plain.toml").write_text(text)
    assert run("models", "import", tmp_path / "plain.toml", data=data).exit_code == 0
    done = run("pipelines", "set", "plain", "--second", "colours", data=data)
    assert done.exit_code == 0, done.stderr
    assert "green -> blue" in done.stdout, "what is left goes to the last verdict of the order"
    (tmp_path / "blue.png").write_bytes(png(BLUE))
    told = json.loads(run("predict", tmp_path / "blue.png", "--model", "plain", "--json", data=data).stdout)
    assert told["verdict"] in {"blue", "unknown"}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("walker", "--second", "colours"), "stands for the verdict 'dog_walker'"),
        (("walker", "--second", "absent"), "There is no model 'absent'"),
        (("absent", "--second", "colours"), "There is no model 'absent'"),
        (("tiny", "--second", "colours"), "tiny@1 is no pipeline"),
        (("walker", "--second", "tiny", "--verdict", "dog=dog_walker"), "must be a classifier"),
        (("walker", "--second", "door", "--verdict", "rider=dog_walker"), "a pipeline itself"),
        (("walker", "--second", "colours", "--verdict", "red"), "--verdict wants NAME=VALUE, got 'red'"),
        (("walker", "--second", "colours", "--verdict", "=x"), "--verdict wants NAME=VALUE"),
        (("walker", "--second", "colours", "--verdict", "red=cat"), "red=cat: the labels of colours are"),
        (("walker", "--second", "colours", "--verdict", "pink=person"), "pink=person"),
        (("walker", "--second", "colours", "--sure", "person=often"), "a score between 0 and 1, got 'often'"),
        (("walker", "--second", "colours", "--sure", "person=1.5"), "a score between 0 and 1, got '1.5'"),
        (
            ("walker", "--second", "colours", "--verdict", "red=dog_walker", "--sure", "cat=0.5"),
            "second.sure names verdicts",
        ),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_changes(
    run: Run, data: Path, words: tuple[str, ...], sentence: str
) -> None:
    done = run("pipelines", "set", *words, data=data)
    assert done.exit_code not in {0, 70}
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert "a rule, no network" in run("pipelines", "show", "walker", data=data).stdout


def test_a_zip_of_a_pipeline_is_taken_in_and_a_broken_one_is_not(
    run: Run, data: Path, tmp_path: Path
) -> None:
    for name, files in {"good": {"pipeline.toml": DOOR}, "empty": {"notes.txt": "-"}}.items():
        with zipfile.ZipFile(tmp_path / f"{name}.zip", "w") as archive:
            for inside, text in files.items():
                archive.writestr(inside, text)
    done = run("models", "import", tmp_path / "good.zip", "--name", "again", data=data)
    assert done.exit_code == 0, done.stderr
    assert "Imported again@1: a pipeline of tiny and colours" in done.stdout
    done = run("models", "import", tmp_path / "empty.zip", data=data)
    assert "holds no model.onnx" in done.stderr
    (tmp_path / "cut.zip").write_bytes(b"PK\x03\x04 cut")
    assert run("models", "import", tmp_path / "cut.zip", data=data).exit_code != 0
    done = run("models", "import", tmp_path / "door.toml", "--name", "colours", data=data)
    assert "is a model that is here" in done.stderr
