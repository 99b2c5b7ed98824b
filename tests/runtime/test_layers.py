"""What int8 may touch, how ranges are found, and that equal channels change nothing that a graph says."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from tests.runtime.graphs import colour_noise, manifest, save

from sightline.runtime.choose import Choice, open_engine
from sightline.runtime.engine import Plan
from sightline.runtime.equalise import equalise
from sightline.runtime.layers import blocks, layers_of
from sightline.runtime.qdq import fuse
from sightline.runtime.ranges import BINS, Seen, least_error, nearly_all, observe, widest


def uneven(path: Path) -> Path:
    """Two convolutions with a leaky ReLU between, a narrow one, and a decoding tail with a mean over bins.

    The channels behind the first one are a thousand times apart.
    """
    chance = np.random.default_rng(3)
    sizes = np.array([1000.0, 10.0, 1.0, 0.1], np.float32)[:, None, None, None]
    weights = {
        "one": chance.normal(size=(4, 3, 1, 1)).astype(np.float32) * sizes,
        "one_bias": chance.normal(size=4).astype(np.float32) * sizes.ravel(),
        "each": np.ones((4, 1, 3, 3), np.float32) / 9,
        "two": chance.normal(size=(8, 4, 1, 1)).astype(np.float32) / sizes.transpose(1, 0, 2, 3),
        "shape": np.array([0, 8], np.int64),
        "bins": np.arange(8, dtype=np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["pixels", "one", "one_bias"], ["a"], "first"),
        helper.make_node("LeakyRelu", ["a"], ["b"], "leaky", alpha=0.1),
        helper.make_node("Conv", ["b", "each"], ["c"], "narrow", group=4, pads=[1, 1, 1, 1]),
        helper.make_node("Conv", ["c", "two"], ["d"], "second"),
        helper.make_node("GlobalAveragePool", ["d"], ["e"], "pool"),
        helper.make_node("Reshape", ["e", "shape"], ["f"], "reshape"),
        helper.make_node("Softmax", ["f"], ["g"], "softmax", axis=1),
        helper.make_node("MatMul", ["g", "bins"], ["logits"], "mean_bin"),
    ]
    return save(path, nodes, weights, ["n", 3, 8, 8], ("logits", ["n"]))


def test_the_tail_that_decodes_is_no_layer(tmp_path: Path) -> None:
    layers = layers_of(onnx.load(uneven(tmp_path / "m.onnx")))
    assert layers.all == ("first", "narrow", "second")
    assert (layers.first, layers.last, layers.narrow) == (("first",), ("second",), ("narrow",))
    assert layers.tail == ("pool", "reshape", "softmax", "mean_bin")


def test_blocks_are_neighbours_and_together_everything() -> None:
    assert list(blocks(("a", "b", "c", "d", "e"), 2)) == [("a", "b", "c"), ("d", "e")]
    assert list(blocks(("a",), 12)) == [("a",)]


def test_equal_channels_change_nothing_that_the_graph_says(tmp_path: Path) -> None:
    source = uneven(tmp_path / "m.onnx")
    model = onnx.load(fuse(source, tmp_path).path)
    assert equalise(model, tmp_path / "scratch.onnx", colour_noise()) == 2
    onnx.save(model, tmp_path / "equal.onnx")
    before, after = (
        open_engine(path, manifest(), Choice(Plan(), "")).run(colour_noise(1)[0])["logits"]
        for path in (source, tmp_path / "equal.onnx")
    )
    assert after == pytest.approx(before, rel=1e-4)
    weight = next(item for item in model.graph.initializer if item.name == "one")
    rows = np.abs(numpy_helper.to_array(weight)).max(axis=(1, 2, 3))
    assert rows.max() / rows.min() < 20


def test_shared_weights_are_left_alone(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Conv", ["pixels", "weight"], ["a"]),
        helper.make_node("Conv", ["a", "weight"], ["b"]),
        helper.make_node("GlobalAveragePool", ["b"], ["logits"]),
    ]
    weight = {"weight": np.eye(3, dtype=np.float32).reshape(3, 3, 1, 1)}
    path = save(tmp_path / "m.onnx", nodes, weight, ["n", 3, 8, 8], ("logits", ["n", 3, 1, 1]))
    assert equalise(onnx.load(path), tmp_path / "scratch.onnx", colour_noise()) == 0


def test_observing_sees_every_tensor_and_the_slope_behind(tmp_path: Path) -> None:
    model = onnx.shape_inference.infer_shapes(onnx.load(fuse(uneven(tmp_path / "m.onnx"), tmp_path).path))
    seen = observe(model, tmp_path / "scratch.onnx", colour_noise(4))
    assert seen["pixels"].high == pytest.approx(max(float(each.max()) for each in colour_noise(4)))
    assert seen["pixels"].counts.sum() == 4 * 3 * 8 * 8
    assert seen["a"].slope == pytest.approx(0.1)
    assert seen["b"].slope == 1


def test_rare_large_values_are_cut() -> None:
    counts = np.zeros(BINS)
    counts[: BINS // 20] = 1e5
    counts[-1] = 1.0
    seen = Seen(0.0, 100.0, counts)
    assert widest(seen) == (0.0, 100.0)
    assert least_error(seen)[1] == pytest.approx(10)
    assert nearly_all(seen)[1] < 6


def test_what_a_leaky_relu_takes_away_counts_little() -> None:
    counts = np.ones(BINS)
    plain, leaky = Seen(-1.0, 1.0, counts), Seen(-1.0, 1.0, counts, slope=0.001)
    assert least_error(plain) == (-1.0, 1.0)
    assert least_error(leaky)[0] > -0.5
    assert least_error(leaky)[1] == 1.0
