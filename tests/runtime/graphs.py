"""Tiny graphs, made node by node: small enough to know their outputs by heart."""

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from sightline.manifest import Head, InputContract, Manifest, Variant
from sightline.registry import INT8_FILE, file_sha256
from sightline.runtime.quantize import quantize

LABELS = ("red", "green", "blue")
SIDE = 8
SIZES = (16, 32, 64)


def colour_classifier(path: Path, *, batch: int | str = "n", sharpness: float = 4.0) -> Path:
    """Mean of each channel -> one logit each: says which colour a picture is. Input (n, 3, 8, 8)."""
    weight = np.eye(3, dtype=np.float32).reshape(3, 3, 1, 1) * np.float32(sharpness)
    nodes = [
        helper.make_node("Conv", ["pixels", "weight"], ["sharp"]),
        helper.make_node("Relu", ["sharp"], ["positive"]),
        helper.make_node("GlobalAveragePool", ["positive"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["logits"]),
    ]
    return save(path, nodes, {"weight": weight}, [batch, 3, SIDE, SIDE], ("logits", [batch, 3]))


def falls_after_a_maximum(path: Path, activation: str, *, half: bool = False) -> Path:
    """A convolution, the maximum of 2 x 2, an activation: input (n, 3, 8, 8), output (n, 8, 4, 4).

    ``half`` computes in float16.
    """
    kind = np.float16 if half else np.float32
    weight = np.random.default_rng(1).normal(0, 0.5, (8, 3, 3, 3)).astype(kind)
    constants = {"weight": weight, "six": np.array(6, kind)}
    nodes = [
        helper.make_node("Conv", ["pixels" if not half else "few", "weight"], ["planes"], pads=[1, 1, 1, 1]),
        helper.make_node("MaxPool", ["planes"], ["most"], kernel_shape=[2, 2], strides=[2, 2]),
    ]
    last = "most"
    if activation == "Min, SiLU":
        nodes.append(helper.make_node("Min", ["most", "six"], ["least"]))
        last = "least"
    elif activation == "Concat, SiLU":
        nodes.append(helper.make_node("Concat", ["most"], ["whole"], axis=1))
        last = "whole"
    if activation.endswith("SiLU"):
        nodes.append(helper.make_node("Sigmoid", [last], ["gate"]))
        nodes.append(helper.make_node("Mul", [last, "gate"], ["active"]))
    else:
        nodes.append(helper.make_node(activation, [last], ["active"]))
    if half:
        nodes.insert(0, helper.make_node("Cast", ["pixels"], ["few"], to=TensorProto.FLOAT16))
        nodes[-1].output[0] = "half"
        nodes.append(helper.make_node("Cast", ["half"], ["active"], to=TensorProto.FLOAT))
    return save(path, nodes, constants, ["n", 3, SIDE, SIDE], ("active", ["n", 8, 4, 4]))


def sums_over_the_batch(path: Path) -> Path:
    """Says that it takes batches, but mixes their pictures: input (n, 3, 8, 8), output (n, 3)."""
    nodes = [
        helper.make_node("GlobalAveragePool", ["pixels"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["flat"]),
        helper.make_node("ReduceMean", ["flat"], ["all"], axes=[0], keepdims=1),
        helper.make_node("Add", ["flat", "all"], ["logits"]),
    ]
    return save(path, nodes, {}, ["n", 3, SIDE, SIDE], ("logits", ["n", 3]))


def breaks_when_run(path: Path) -> Path:
    """Loads, and fails on every picture: a reshape that cannot be."""
    nodes = [helper.make_node("Reshape", ["pixels", "shape"], ["logits"])]
    shape = {"shape": np.array([7, -1], np.int64)}
    return save(path, nodes, shape, ["n", 3, SIDE, SIDE], ("logits", ["a", "b"]))


def slow(path: Path, steps: int = 400) -> Path:
    """Multiplies ``steps`` times, for seconds in all: input (n, 3, 256, 256), output (n, 3) logits."""
    nodes, last = [], "pixels"
    for step in range(steps):
        nodes += [
            helper.make_node("MatMul", [last, "weight"], [f"product{step}"]),
            helper.make_node("Relu", [f"product{step}"], [f"positive{step}"]),
        ]
        last = f"positive{step}"
    nodes.append(helper.make_node("ReduceMean", [last], ["logits"], axes=[2, 3], keepdims=0))
    weight = {"weight": np.eye(256, dtype=np.float32)}
    return save(path, nodes, weight, ["n", 3, 256, 256], ("logits", ["n", 3]))


def colour_cells(path: Path, *, side: int | str = "side") -> Path:
    """A YOLOX detector of coloured cells that runs at any multiple of 8: input (n, 3, side, side).

    Each cell of 8 x 8 pixels is one row (n, cells, 5 + 3): a box that is the cell, certain to hold
    something, and the mean of each channel as the score of its colour. At a larger size the cells are
    smaller parts of the picture.
    """
    weight = np.zeros((8, 3, 1, 1), np.float32)
    weight[5:, :, 0, 0] = np.eye(3)
    bias = np.array([0.5, 0.5, 0, 0, 1, 0, 0, 0], np.float32)
    nodes = [
        helper.make_node("AveragePool", ["pixels"], ["cells"], kernel_shape=[8, 8], strides=[8, 8]),
        helper.make_node("Conv", ["cells", "weight", "bias"], ["planes"]),
        helper.make_node("Reshape", ["planes", "shape"], ["columns"]),
        helper.make_node("Transpose", ["columns"], ["rows"], perm=[0, 2, 1]),
    ]
    weights: dict[str, np.ndarray[Any, Any]] = {"weight": weight, "bias": bias}
    weights["shape"] = np.array([0, 8, -1], np.int64)
    return save(path, nodes, weights, ["n", 3, side, side], ("rows", ["n", "cells", 8]))


def shuffled_channels(path: Path) -> Path:
    """Input (n, 8, h, w), a convolution of half the size whose channels are shuffled in two groups.

    The view of the shuffle reads height and width off the convolution, as `torch.export` writes it.
    """
    chance = np.random.default_rng(3)
    weights: dict[str, np.ndarray[Any, Any]] = {
        "weight": chance.normal(0, 0.4, (8, 8, 1, 1)).astype(np.float32),
        "bias": chance.normal(0, 2, 8).astype(np.float32),
        "groups": np.array([2, 4], np.int64),
        "channels": np.array([8], np.int64),
        "zero": np.array([0], np.int64),
        "one": np.array([1], np.int64),
        "two": np.array([2], np.int64),
        "four": np.array([4], np.int64),
    }
    nodes = [
        helper.make_node("Conv", ["pixels", "weight", "bias"], ["planes"], strides=[2, 2]),
        helper.make_node("LeakyRelu", ["planes"], ["bent"], alpha=0.1),
        helper.make_node("Shape", ["pixels"], ["outer"]),
        helper.make_node("Slice", ["outer", "zero", "one"], ["count"]),
        helper.make_node("Shape", ["planes"], ["inner"]),
        helper.make_node("Slice", ["inner", "two", "four"], ["size"]),
        helper.make_node("Concat", ["count", "groups", "size"], ["apart"], axis=0),
        helper.make_node("Reshape", ["bent", "apart"], ["cards"]),
        helper.make_node("Transpose", ["cards"], ["mixed"], perm=[0, 2, 1, 3, 4]),
        helper.make_node("Concat", ["count", "channels", "size"], ["together"], axis=0),
        helper.make_node("Reshape", ["mixed", "together"], ["shuffled"]),
    ]
    return save(path, nodes, weights, ["n", 8, "h", "w"], ("shuffled", ["n", 8, "a", "b"]))


def save(
    path: Path,
    nodes: Sequence[onnx.NodeProto],
    weights: dict[str, np.ndarray[Any, Any]],
    shape: Sequence[int | str],
    output: tuple[str, Sequence[int | str]],
) -> Path:
    """Write a checked graph of one input ``pixels`` and one output."""
    graph = helper.make_graph(
        list(nodes),
        "tiny",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, list(shape))],
        [helper.make_tensor_value_info(output[0], TensorProto.FLOAT, list(output[1]))],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


def weights(path: Path) -> dict[str, np.ndarray[Any, Any]]:
    """The constants in a graph, by name."""
    return {one.name: numpy_helper.to_array(one) for one in onnx.load(path).graph.initializer}


def manifest(**changes: Any) -> Manifest:
    """The contract of these classifiers: pixels in 0..1, three colours."""
    contract = InputContract(width=SIDE, height=SIDE, resize="stretch", scale=1 / 255)
    fields: dict[str, Any] = {
        "name": "colour",
        "task": "classify",
        "labels": LABELS,
        "input": contract,
        "head": Head(kind="logits"),
    }
    return Manifest(**(fields | changes))


def colour_bundle(folder: Path, *, sharpness: float = 4.0, **changes: Any) -> Path:
    """A bundle of `colour_classifier` in ``folder``, which is made."""
    folder.mkdir(parents=True)
    data = colour_classifier(folder / "model.onnx", sharpness=sharpness).read_bytes()
    about: dict[str, Any] = {
        "version": "1",
        "sha256": hashlib.sha256(data).hexdigest(),
        "bytes": len(data),
        "licence": "CC0-1.0",
    }
    (folder / "model.json").write_text(manifest(**(about | changes)).model_dump_json())
    return folder


def sized_manifest(
    *, sizes: tuple[int, ...] = SIZES, half_looks: tuple[int, ...] = (), side: int = 32, **changes: Any
) -> Manifest:
    """The contract of `colour_cells`: usually 32 x 32, or what is asked of ``sizes``."""
    contract = InputContract(width=side, height=side, sizes=sizes, half_looks=half_looks, scale=1 / 255)
    head = Head(kind="yolox", options={"strides": [8]})
    fields = {"name": "cells", "task": "detect", "input": contract, "head": head}
    return manifest(**(fields | {"thresholds": {"min_score": 0.6}} | changes))


def sized_bundle(folder: Path, *, side: int | str = "side", **changes: Any) -> Path:
    """A bundle of `colour_cells` in ``folder``, which is made."""
    folder.mkdir(parents=True)
    data = colour_cells(folder / "model.onnx", side=side).read_bytes()
    about: dict[str, Any] = {
        "sha256": hashlib.sha256(data).hexdigest(),
        "bytes": len(data),
        "licence": "CC0-1.0",
    }
    (folder / "model.json").write_text(sized_manifest(**(about | changes)).model_dump_json())
    return folder


def colour_noise(count: int = 16) -> list[np.ndarray[Any, Any]]:
    """Inputs of `colour_classifier`: noise that leans to one colour each."""
    chance = np.random.default_rng(1)
    made = []
    for index in range(count):
        tensor = chance.uniform(0, 0.4, (1, 3, SIDE, SIDE)).astype(np.float32)
        tensor[:, index % 3] += 0.5
        made.append(tensor)
    return made


def varied_bundle(folder: Path, **changes: Any) -> Path:
    """A bundle of `colour_classifier` with a real int8 file; ``changes`` are fields of its `Variant`."""
    folder.mkdir(parents=True)
    model, int8 = colour_classifier(folder / "model.onnx"), folder / INT8_FILE
    quantize(model, int8, colour_noise(), manifest())
    fields: dict[str, Any] = {"sha256": file_sha256(int8), "bytes": int8.stat().st_size, "loses": 0.1}
    about = manifest(
        sha256=file_sha256(model), bytes=model.stat().st_size, variants=(Variant(**(fields | changes)),)
    )
    (folder / "model.json").write_text(about.model_dump_json())
    return folder


def red_square(side: int = 128) -> bytes:
    """A PNG of a red square in the middle half of a black picture: cells at 16 are too coarse to see it."""
    pixels = np.zeros((side, side, 3), np.uint8)
    pixels[side // 4 : -side // 4, side // 4 : -side // 4, 0] = 255
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


FOUND = {16: 0, 32: 4, 64: 16}
"""How many red cells `colour_cells` sees in `red_square` at each size."""
