"""Tiny graphs, made node by node: small enough to know their outputs by heart."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from sightline.manifest import Head, InputContract, Manifest

LABELS = ("red", "green", "blue")
SIDE = 8


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
