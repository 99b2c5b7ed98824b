"""The dry run itself, in this process; the importer's tests run it in its child."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from sightline.errors import ModelRefused
from sightline.manifest import Head, InputContract, Manifest
from sightline.serving.trial import trial


def _graph(path: Path, nodes: list[Any], shape: list[Any], *, batch: int | str = "n") -> Path:
    """Nodes from ``p`` (the pooled picture, batch x 3 x 1 x 1) to ``y``."""
    pool = helper.make_node("GlobalAveragePool", ["x"], ["p"])
    graph = helper.make_graph(
        [pool, *nodes],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 3, 32, 32])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(np.array([1, -1], np.int64), "one_row")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def _manifest(
    head: str = "logits", *, scale: float = 1 / 255, size: int = 32, labels: str = "abc"
) -> Manifest:
    contract = InputContract(width=size, height=size, resize="stretch", scale=scale)
    return Manifest(name="m", task="classify", labels=tuple(labels), input=contract, head=Head(kind=head))


FLAT = [helper.make_node("Flatten", ["p"], ["y"])]


def test_a_sound_model_is_reported(tmp_path: Path) -> None:
    report = trial(_graph(tmp_path / "m.onnx", FLAT, ["n", 3]), _manifest())
    assert report.outputs == ("y 1x3 float32",)
    assert report.batches
    assert report.engine.startswith("ONNX Runtime")
    assert not trial(_graph(tmp_path / "m.onnx", FLAT, [1, 3], batch=1), _manifest()).batches


@pytest.mark.parametrize(
    ("nodes", "manifest", "reason"),
    [
        (FLAT, _manifest(size=16), "does not take the size, layout or type"),
        (FLAT, _manifest(labels="ab"), "cannot read its outputs"),
        (FLAT, _manifest("softmax", scale=1.0), "no softmax inside"),
        (FLAT, _manifest("magic"), "no head 'magic'"),
        ([helper.make_node("Log", ["p"], ["l"]), helper.make_node("Sub", ["l", "l"], ["z"]),
          helper.make_node("Div", ["z", "z"], ["d"]), helper.make_node("Flatten", ["d"], ["y"])],
         _manifest(), "no numbers"),
        ([helper.make_node("Reshape", ["p", "one_row"], ["y"])], _manifest(), "several pictures at once"),
        ([helper.make_node("Gather", ["p", "one_row"], ["y"])], _manifest(), "could not run"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(
    tmp_path: Path, nodes: list[Any], manifest: Manifest, reason: str
) -> None:
    with pytest.raises(ModelRefused, match=reason) as caught:
        trial(_graph(tmp_path / "m.onnx", nodes, ["n", "k"]), manifest)
    assert caught.value.next_step


def test_a_file_that_no_engine_opens_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"\x08\x08")
    with pytest.raises(ModelRefused, match="could not open"):
        trial(tmp_path / "m.onnx", _manifest())


@pytest.mark.parametrize("name", ["yolox_nano_416", "bodypix_mnv1_050_stride16"])
def test_detectors_and_segmenters_are_read_too(shared: Path, name: str) -> None:
    detect = name.startswith("yolox")
    contract = InputContract(width=416, height=416, color="BGR") if detect else InputContract(
        width=257, height=257, layout="NHWC", scale=1 / 127.5, mean=(1, 1, 1)
    )  # fmt: skip
    manifest = Manifest(
        name="m",
        task="detect" if detect else "segment",
        labels=tuple(f"class {number}" for number in range(80)) if detect else ("person",),
        input=contract,
        head=Head(kind="yolox" if detect else "bodypix"),
    )
    assert trial(shared / "weights" / f"{name}.onnx", manifest).run_ms > 0
