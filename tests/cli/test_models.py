import json
from pathlib import Path

import pytest
from tests.cli.conftest import Run

from sightline.cli.models.importing import hints
from sightline.errors import BadOption

pytestmark = pytest.mark.shared


def test_import_show_promote_remove(run: Run, shared: Path, tmp_path: Path) -> None:
    weights = shared / "weights" / "yolox_nano_416.onnx"
    done = run("models", "import", weights, "--name", "boxes")
    assert done.exit_code == 0, done.stderr
    assert "Imported boxes@1: detect, 80 labels" in done.stdout
    assert "input.color" in done.stdout

    labels = tmp_path / "labels.txt"
    labels.write_text("\n".join(f"thing {number}" for number in range(80)))
    words = ["--name", "boxes", "--version", "2", "--labels", labels, "--licence", "Apache-2.0", "--json"]
    answer = json.loads(run("models", "import", weights, *words).stdout)
    assert (answer["name"], answer["version"]) == ("boxes", "2")
    assert {proposal["field"] for proposal in answer["proposals"]} >= {"input.width", "head"}

    listed = json.loads(run("models", "list", "--json").stdout)["models"]
    (boxes,) = [row for row in listed if row["name"] == "boxes"]
    assert (boxes["version"], boxes["licence"], boxes["label_count"]) == ("2", "Apache-2.0", 80)
    every = run("models", "list", "--all-versions").stdout
    assert "boxes@1" in every
    assert "boxes@2" in every

    shown = run("models", "show", "boxes")
    assert "thing 0, thing 1" in shown.stdout
    assert "60 more" in shown.stdout
    assert run("models", "show", "boxes", "--labels").stdout.splitlines()[-1] == "thing 79"
    assert run("models", "show", "boxes@1", "--labels").stdout.splitlines()[0] == "person"
    assert json.loads(run("models", "show", "boxes", "--json").stdout)["versions"] == ["2", "1"]
    assert run("models", "show", "boxes", "--card").stdout.strip()

    assert "boxes@1 answers now" in run("models", "promote", "boxes@1").stdout
    refused = run("models", "promote", "boxes")
    assert refused.exit_code == 2
    assert "boxes@2" in refused.stderr

    assert run("models", "remove", "boxes@2", input="n\n").exit_code == 1
    assert run("models", "remove", "boxes@2", input="y\n").stdout == "Removed boxes@2.\n"
    assert run("models", "remove", "boxes", "--yes").stdout == "Removed boxes@1.\n"
    assert run("models", "show", "boxes").exit_code == 3


def test_what_cannot_be_served_is_refused_with_its_reason(run: Run, shared: Path, tmp_path: Path) -> None:
    done = run("models", "import", shared / "weights" / "bodypix_mnv1_050_stride8.onnx")
    assert done.exit_code == 3
    assert "dilation" in done.stderr
    (tmp_path / "model.pkl").write_bytes(b"\x80\x04.")
    refused = run("models", "import", tmp_path / "model.pkl")
    assert refused.exit_code == 3
    assert "Next: " in refused.stderr


def test_hints() -> None:
    given = {"canvas": "416x320", "mean": "1,2,3", "name": None, "model_version": "2"}
    assert hints(given) == {"width": 416, "height": 320, "mean": (1.0, 2.0, 3.0), "version": "2"}


@pytest.mark.parametrize("given", [{"canvas": "416"}, {"canvas": "axb"}, {"std": "1,2"}], ids=str)
def test_wrong_hints(given: dict[str, str]) -> None:
    with pytest.raises(BadOption):
        hints(given)


def test_the_catalogue(run: Run) -> None:
    rows = json.loads(run("models", "list", "--available", "--json").stdout)["models"]
    assert {"mobilenetv2-12", "resnet50-v1-12", "maskrcnn-12", "yolox-s"} <= {row["name"] for row in rows}
    assert "Apache-2.0" in run("models", "list", "--available").stdout
    unknown = run("models", "pull", "nix")
    assert unknown.exit_code == 3
    assert "yolox-s" in unknown.stderr


def test_bench_remembers_its_choice(run: Run, own_yolox: Path) -> None:
    words = ["--engine", "onnxruntime", "--batch-max", "1"]
    done = run("models", "bench", "yolox-nano", *words, data=own_yolox)
    assert done.exit_code == 0, done.stderr
    assert "*  onnxruntime fp32" in done.stdout
    answer = json.loads(run("models", "bench", "yolox-nano", *words, "--json", data=own_yolox).stdout)
    assert answer["models"][0]["measurements"][0]["images_per_s"] > 1
    assert list((own_yolox / "cache" / "engines").glob("*.json"))


def test_quantize_wants_enough_pictures(run: Run, own_yolox: Path, samples: Path) -> None:
    done = run("models", "quantize", "yolox-nano", samples / "cat.jpg", "gone.jpg", data=own_yolox)
    assert done.exit_code == 2
    assert "at least 8 pictures, got 1" in done.stderr
    assert "gone.jpg" in done.stderr
    same = run("models", "quantize", "yolox-nano", samples, "--name", "yolox-nano", data=own_yolox)
    assert "a name of its own" in same.stderr


def test_quantize_makes_a_model_of_its_own(run: Run, shared: Path, photos: Path, samples: Path) -> None:
    weights = shared / "weights"
    labels = ["--labels", weights / "imagenet_labels_1001.txt"]
    run("models", "import", weights / "mobilenet_v2_1.0_224_dequantised.onnx", "--name", "mobile", *labels)
    done = run("models", "quantize", "mobile", photos, "--most", "12")
    assert done.exit_code == 0, done.stderr
    assert "Imported mobile-int8@1" in done.stdout
    listed = json.loads(run("models", "list", "--json").stdout)["models"]
    size = {row["name"]: row["bytes"] for row in listed}
    assert size["mobile-int8"] < 0.4 * size["mobile"]
    assert "mobile@1" in run("models", "show", "mobile-int8", "--card").stdout
    assert "coffee" in run("predict", samples / "coffee.jpg", "--model", "mobile-int8").stdout
    taken = run("models", "quantize", "mobile", photos, "--name", "everyday")
    assert "ships with Sightline" in taken.stderr
