from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper
from tests.runtime.graphs import SIDE, colour_classifier, colour_noise, manifest, save, shuffled_channels

from sightline.errors import BadOption, ModelFailed, ModelRefused
from sightline.registry import Registry
from sightline.runtime.choose import Choice, open_engine
from sightline.runtime.engine import EngineName, Plan
from sightline.runtime.layers import HEAVY
from sightline.runtime.parity import canvas, difference, distance, samples, slack, tolerance
from sightline.runtime.qdq import Way, calibrate, fuse, write
from sightline.runtime.quantize import PICTURES_MIN, quantize
from sightline.settings import Settings


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_the_int8_graph_says_the_same_in_both_engines(tmp_path: Path, engine: str) -> None:
    source = colour_classifier(tmp_path / "m.onnx")
    made = quantize(source, tmp_path / "int8.onnx", colour_noise(), manifest())
    assert made.chosen.alike == 1
    assert made.chosen.distance < 0.05
    plan = Plan(engine=engine)  # type: ignore[arg-type]
    runner = open_engine(tmp_path / "int8.onnx", manifest(), Choice(plan, ""))
    assert runner.info.precision == "int8"
    assert [int(runner.run(tensor)["logits"].argmax()) for tensor in colour_noise(6)] == [0, 1, 2, 0, 1, 2]


def test_openvino_keeps_the_bias_of_an_int8_convolution_whose_size_is_read(tmp_path: Path) -> None:
    """It dropped it, and the everyday network in int8 found next to nothing."""
    chance = np.random.default_rng(5)
    seen = [chance.uniform(-1, 1, (1, 8, 16, 24)).astype(np.float32) for _ in range(PICTURES_MIN)]
    source = shuffled_channels(tmp_path / "m.onnx")
    path = write(next(calibrate(fuse(source, tmp_path), seen)), tmp_path / "int8.onnx", Way("all", HEAVY))
    asked = chance.uniform(-1, 1, (2, 8, 24, 16)).astype(np.float32)
    names: tuple[EngineName, ...] = ("onnxruntime", "openvino")
    plans = [(source, Plan()), *((path, Plan(engine=name)) for name in names)]
    true, told, other = (open_engine(where, manifest(), Choice(plan, "")).run(asked) for where, plan in plans)
    assert distance(true, told) < 0.02
    assert distance(told, other) < 0.001


def test_a_bundled_int8_file_says_the_same_in_every_engine_that_may_run_it() -> None:
    """The file itself: the largest graph that OpenVINO computed wrongly."""
    varied = [each for each in Registry(Settings()).list() if each.manifest.variants]
    assert varied
    for bundle in varied:
        about, (variant,) = bundle.manifest, bundle.manifest.variants
        plans = [Plan(engine=name, precision="int8") for name in variant.engines]
        first, *others = [open_engine(bundle.model_path, about, Choice(plan, "")) for plan in plans]
        for tensor in samples(about.input):
            told, size = first.run(tensor), canvas(tensor, about.input)
            for other in others:
                apart = difference(told, other.run(tensor), about, size, slack("int8"))
                assert apart <= tolerance("int8"), bundle.reference


def test_too_few_pictures_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadOption, match=f"at least {PICTURES_MIN} pictures, got 3"):
        quantize(colour_classifier(tmp_path / "m.onnx"), tmp_path / "x.onnx", colour_noise(3), manifest())


def test_an_int8_graph_is_not_quantised_again(tmp_path: Path) -> None:
    quantize(colour_classifier(tmp_path / "m.onnx"), tmp_path / "int8.onnx", colour_noise(), manifest())
    with pytest.raises(ModelRefused, match="quantised already"):
        quantize(tmp_path / "int8.onnx", tmp_path / "again.onnx", colour_noise(), manifest())


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
        quantize(source, tmp_path / "int8.onnx", colour_noise(), manifest())
    assert [path.name for path in tmp_path.iterdir()] == ["m.onnx"]


def test_progress_is_told(tmp_path: Path) -> None:
    told: list[str] = []
    quantize(
        colour_classifier(tmp_path / "m.onnx"),
        tmp_path / "int8.onnx",
        colour_noise(),
        manifest(),
        told.append,
    )
    assert told == ["Calibrating", "Quantising everything"]


def test_labelled_pictures_decide_when_there_are_some(tmp_path: Path) -> None:
    """The first way that loses little is taken; the others are not even tried."""
    losses = iter([0.7, 0.4, 0.1])
    source = three_layers(tmp_path / "m.onnx")
    made = quantize(
        source, tmp_path / "int8.onnx", colour_noise(), manifest(), judge=lambda _path: next(losses)
    )
    assert [(item.loses, item.good) for item in made.attempts] == [(0.7, False), (0.4, True)]
    assert made.chosen.title == "everything but the first and the last"
    layers = [node for node in onnx.load(tmp_path / "int8.onnx").graph.node if node.op_type == "Conv"]
    assert [node.input[1].endswith("_DequantizeLinear_Output") for node in layers] == [False, True, False]


def test_a_way_that_loses_too_much_is_refused_however_alike_it_is(tmp_path: Path) -> None:
    source = colour_classifier(tmp_path / "m.onnx")
    with pytest.raises(ModelFailed, match=r"100% alike, 0\.60 points lost"):
        quantize(source, tmp_path / "int8.onnx", colour_noise(), manifest(), judge=lambda _path: 0.6)
    assert not (tmp_path / "int8.onnx").exists()


def three_layers(path: Path) -> Path:
    """`colour_classifier` in three steps."""
    eye = np.eye(3, dtype=np.float32).reshape(3, 3, 1, 1)
    nodes = [
        helper.make_node("Conv", ["pixels", "one"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Conv", ["b", "two"], ["c"]),
        helper.make_node("Relu", ["c"], ["d"]),
        helper.make_node("Conv", ["d", "three"], ["e"]),
        helper.make_node("GlobalAveragePool", ["e"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["logits"]),
    ]
    weights = {"one": eye, "two": 2 * eye, "three": 4 * eye}
    return save(path, nodes, weights, ["n", 3, SIDE, SIDE], ("logits", ["n", 3]))
