"""``--size`` on the command line, over a model of 16, 32 and 64."""

import json
from pathlib import Path

import jsonschema
import pytest
from tests.cli.conftest import Run
from tests.runtime import graphs
from tests.runtime.graphs import FOUND, SIZES

from sightline.cli.models.importing import hints
from sightline.errors import BadOption
from sightline.registry import Registry
from sightline.settings import load_settings


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with the model."""
    folder = tmp_path / "sized"
    Registry(load_settings({"data_dir": str(folder)}, environment={})).add(
        graphs.sized_bundle(tmp_path / "cells")
    )
    return folder


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "square.png"
    path.write_bytes(graphs.red_square())
    return path


@pytest.mark.parametrize("size", [None, *SIZES])
def test_a_picture_is_looked_at_as_asked(
    run: Run, data: Path, picture: Path, root: Path, size: int | None
) -> None:
    words = [] if size is None else ["--size", size]
    done = run("predict", picture, "--model", "cells", "--json", *words, data=data)
    assert done.exit_code == 0, done.stderr
    result = json.loads(done.stdout)
    jsonschema.validate(result, json.loads((root / "docs/reference/result.schema.json").read_text()))
    assert result["size"] == (size or 32)
    assert len(result["predictions"]) == FOUND[size or 32]


def test_a_size_that_is_not_offered_ends_the_command_with_those_that_are(
    run: Run, data: Path, picture: Path
) -> None:
    done = run("predict", picture, "--model", "cells", "--size", "48", data=data)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "Its sizes are: 16, 32, 64." in done.stderr
    everyday = run("predict", picture, "--size", "48", data=data)
    assert everyday.exit_code == 2
    assert "416" in everyday.stderr


def test_models_say_their_sizes(run: Run, data: Path) -> None:
    assert "16, 32, 64; 32 unless asked" in run("models", "show", "cells", data=data).stdout
    assert json.loads(run("models", "show", "cells", "--json", data=data).stdout)["sizes"] == [16, 32, 64]
    listed = json.loads(run("models", "list", "--json", data=data).stdout)["models"]
    assert {model["name"]: model["sizes"] for model in listed}["cells"] == [16, 32, 64]


def test_an_evaluation_is_made_at_the_size_and_says_so(
    run: Run, data: Path, picture: Path, tmp_path: Path
) -> None:
    """The marks are the cells of 64: the usual size finds boxes, but none of them fits."""
    marks = [
        {"id": 1 + 4 * y + x, "image_id": 1, "category_id": 1, "area": 256, "iscrowd": 0,
         "bbox": [32 + 16 * x, 32 + 16 * y, 16, 16]}
        for y in range(4) for x in range(4)
    ]  # fmt: skip
    image = {"id": 1, "file_name": picture.name, "width": 128, "height": 128}
    truth = {"images": [image], "annotations": marks, "categories": [{"id": 1, "name": "red"}]}
    judged = tmp_path / "judged.json"
    judged.write_text(json.dumps(truth))
    words = ["evaluate", "cells", judged, "--pictures", tmp_path, "--rounds", "0"]

    def report(*more: object) -> tuple[int, float]:
        done = run(*words, *more, "--json", data=data)
        assert done.exit_code == 0, done.stderr
        said = json.loads(done.stdout)
        return said["size"], round(said["figures"]["AP50"]["value"], 6)

    assert report("--size", "64") == (64, 1.0)
    assert report() == (32, 0.0)
    table = run(*words, "--size", "64", data=data).stdout
    assert table.startswith("cells@1 at 64 on judged")
    refused = run(*words, "--size", "48", data=data)
    assert refused.exit_code == 2
    assert "16, 32, 64" in refused.stderr


def test_an_import_may_be_told_the_sizes() -> None:
    assert hints({"canvas": "32x32", "sizes": "16,32,64"}) == {
        "width": 32,
        "height": 32,
        "sizes": (16, 32, 64),
    }
    with pytest.raises(BadOption, match="--sizes wants whole numbers, as in 320,416,640"):
        hints({"sizes": "16;32"})
