"""Small real models for the web tests: ONNX graphs whose answers do not depend on the picture.

The road, the decoder and the engine are the real ones; only what the model "sees" is fixed.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tests.runtime import graphs

from sightline.registry import Registry
from sightline.settings import Settings

LABELS = ("person", "dog", "<b>cat</b>")
SCORES = (0.9, 0.6, 0.2, 0.08, 0.01)
BOXES = ((8, 8, 24, 40), (20, 4, 60, 30), (0, 0, 10, 10), (30, 30, 50, 50), (1, 1, 2, 2))
NUMBERS = (0, 1, 2, 0, 1)
SIDE = 64


def _constant(name: str, value: Any) -> onnx.NodeProto:
    return helper.make_node("Constant", [], [name], value=numpy_helper.from_array(value, name))


def detector() -> onnx.ModelProto:
    """Three outputs (boxes, labels, scores), plus zero times the mean pixel so that the input is used."""
    nodes = [
        helper.make_node("GlobalAveragePool", ["image"], ["mean"]),
        helper.make_node("ReduceSum", ["mean"], ["sum"], keepdims=0),
        _constant("zero", np.zeros((), np.float32)),
        helper.make_node("Mul", ["sum", "zero"], ["nothing"]),
        _constant("fixed_boxes", np.array(BOXES, np.float32)),
        _constant("fixed_scores", np.array(SCORES, np.float32)),
        _constant("fixed_labels", np.array(NUMBERS, np.int64)),
        helper.make_node("Add", ["fixed_boxes", "nothing"], ["boxes"]),
        helper.make_node("Add", ["fixed_scores", "nothing"], ["scores"]),
        helper.make_node("Identity", ["fixed_labels"], ["labels"]),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, SIDE, SIDE])
    outputs = [
        helper.make_tensor_value_info("boxes", TensorProto.FLOAT, [len(BOXES), 4]),
        helper.make_tensor_value_info("labels", TensorProto.INT64, [len(BOXES)]),
        helper.make_tensor_value_info("scores", TensorProto.FLOAT, [len(BOXES)]),
    ]
    graph = helper.make_graph(nodes, "tiny", [image], outputs)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def classifier(times: int = 1) -> onnx.ModelProto:
    """Logits of three classes: the mean red, green and blue; as often as said."""
    nodes = [
        helper.make_node("GlobalAveragePool", ["image"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["three"]),
        _constant("times", np.array([1, times], np.int64)),
        helper.make_node("Tile", ["three", "times"], ["scores"]),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, SIDE, SIDE])
    scores = helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 3 * times])
    graph = helper.make_graph(nodes, "colours", [image], [scores])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def install(settings: Settings, scratch: Path) -> None:
    """Put them, and `cells` of several sizes, into the settings' data folder, through the real registry."""
    registry = Registry(settings)
    for name, task, labels, head, model in (
        ("tiny", "detect", LABELS, "ssd", detector()),
        ("colours", "classify", ("red", "green", "blue"), "logits", classifier()),
    ):
        about = {"name": name, "task": task, "labels": labels, "head": {"kind": head, "options": {}}}
        if head == "ssd":
            about["head"] = {"kind": head, "options": {"box_order": "xyxy", "box_unit": "pixels"}}
        registry.add(_bundle(scratch / name, model, about))
    registry.add(graphs.sized_bundle(scratch / "cells"))


def install_zoo(settings: Settings, scratch: Path) -> None:
    """Put the classifier `zoo` of 120 labels, `animal 0` to `animal 119`, there too."""
    labels = [f"animal {number}" for number in range(120)]
    about = {"name": "zoo", "task": "classify", "labels": labels, "head": {"kind": "logits", "options": {}}}
    Registry(settings).add(_bundle(scratch / "zoo", classifier(40), about))


def _bundle(folder: Path, model: onnx.ModelProto, about: dict[str, Any]) -> Path:
    folder.mkdir(parents=True)
    data = model.SerializeToString()
    (folder / "model.onnx").write_bytes(data)
    manifest = about | {
        "input": {"width": SIDE, "height": SIDE, "scale": 1 / 255},
        "thresholds": {"min_score": 0.3},
        "sha256": hashlib.sha256(data).hexdigest(),
        "bytes": len(data),
        "licence": "CC0-1.0",
    }
    (folder / "model.json").write_text(json.dumps(manifest))
    (folder / "CARD.md").write_text(f"# {about['name']}\n\nA test's model.\n")
    return folder
