from pathlib import Path

import numpy as np
import pytest
from onnx import helper
from tests.runtime.graphs import SIDE, colour_classifier, manifest, save

from sightline.errors import BadOption, ModelFailed, ModelRefused
from sightline.runtime.choose import Choice, open_engine
from sightline.runtime.engine import Plan
from sightline.runtime.quantize import PICTURES_MIN, quantize


def pictures(count: int = 16) -> list[np.ndarray]:
    """Noise that leans to one colour each."""
    chance = np.random.default_rng(1)
    made = []
    for index in range(count):
        tensor = chance.uniform(0, 0.4, (1, 3, SIDE, SIDE)).astype(np.float32)
        tensor[:, index % 3] += 0.5
        made.append(tensor)
    return made


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_the_int8_graph_says_the_same_in_both_engines(tmp_path: Path, engine: str) -> None:
    source = colour_classifier(tmp_path / "m.onnx")
    made = quantize(source, tmp_path / "int8.onnx", pictures(), manifest())
    assert made.chosen.alike == 1
    assert made.chosen.distance < 0.05
    plan = Plan(engine=engine)  # type: ignore[arg-type]
    runner = open_engine(tmp_path / "int8.onnx", manifest(), Choice(plan, ""))
    assert runner.info.precision == "int8"
    assert [int(runner.run(tensor)["logits"].argmax()) for tensor in pictures(6)] == [0, 1, 2, 0, 1, 2]


def test_too_few_pictures_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadOption, match=f"at least {PICTURES_MIN} pictures, got 3"):
        quantize(colour_classifier(tmp_path / "m.onnx"), tmp_path / "x.onnx", pictures(3), manifest())


def test_an_int8_graph_is_not_quantised_again(tmp_path: Path) -> None:
    quantize(colour_classifier(tmp_path / "m.onnx"), tmp_path / "int8.onnx", pictures(), manifest())
    with pytest.raises(ModelRefused, match="quantised already"):
        quantize(tmp_path / "int8.onnx", tmp_path / "again.onnx", pictures(), manifest())


def test_a_graph_that_int8_ruins_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    """Colours that differ by a thousandth of a large offset are lost in 256 steps."""
    weight = (np.full((3, 3), 100.0) + 0.1 * np.eye(3)).astype(np.float32).reshape(3, 3, 1, 1)
    nodes = [
        helper.make_node("Conv", ["pixels", "weight"], ["far"]),
        helper.make_node("GlobalAveragePool", ["far"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["flat"]),
        helper.make_node("Mul", ["flat", "gain"], ["logits"]),
    ]
    weights = {"weight": weight, "gain": np.array([[5000.0]], np.float32)}
    source = save(tmp_path / "m.onnx", nodes, weights, ["n", 3, SIDE, SIDE], ("logits", ["n", 3]))
    with pytest.raises(ModelFailed, match="differ too much"):
        quantize(source, tmp_path / "int8.onnx", pictures(), manifest())
    assert [path.name for path in tmp_path.iterdir()] == ["m.onnx"]


def test_progress_is_told(tmp_path: Path) -> None:
    told: list[str] = []
    quantize(
        colour_classifier(tmp_path / "m.onnx"), tmp_path / "int8.onnx", pictures(), manifest(), told.append
    )
    assert told[0] == "Quantising everything"
