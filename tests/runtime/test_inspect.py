"""Threat T11: files that were made to hurt whoever reads them. The importer's tests run them in a child."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from sightline.errors import ModelRefused
from sightline.runtime.facts import Port
from sightline.runtime.inspect import DEPTH_MAX, NODES_MAX, inspect_file


def _model() -> Any:
    """A sound little classifier: 1x3x32x32 -> 10 probabilities."""
    weight = numpy_helper.from_array(np.ones((10, 3, 1, 1), np.float32), "w")
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"]),
        helper.make_node("GlobalAveragePool", ["c"], ["p"]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("Softmax", ["f"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 32, 32])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 10])],
        [weight],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {"names": "a,b"})
    return model


def _save(model: Any, path: Path) -> Path:
    path.write_bytes(model.SerializeToString())
    return path


def test_a_sound_file_is_described(tmp_path: Path) -> None:
    facts = inspect_file(_save(_model(), tmp_path / "m.onnx"))
    assert facts.inputs == (Port("x", "float32", ("n", 3, 32, 32)),)
    assert facts.outputs == (Port("y", "float32", ("n", 10)),)
    assert (facts.opset, facts.nodes, facts.parameters, facts.ends) == (17, 4, 30, ("Softmax",))
    assert facts.metadata == (("names", "a,b"),)
    assert not facts.quantised
    assert facts.output("y") == facts.outputs[0]
    assert facts.output("z") is None


def test_ports_speak_of_shapes() -> None:
    port = Port("x", "float32", ("n", 3, 7))
    assert (port.rank, port.fixed(1), port.fixed(-1), port.fixed(0), port.fixed(9)) == (3, 3, 7, None, None)
    assert str(port) == "x nx3x7 float32"
    assert (Port("x", "float32", None).rank, str(Port("x", "int8", None))) == (-1, "x ? int8")


@pytest.mark.parametrize(
    ("name", "inputs"),
    [("ultraface_rfb_320.onnx", 1), ("bodypix_mnv1_050_stride16.onnx", 1), ("yolox_nano_416.onnx", 1)],
)
def test_weights_listed_as_inputs_are_not_inputs(shared: Path, name: str, inputs: int) -> None:
    assert len(inspect_file(shared / "weights" / name).inputs) == inputs


def _external(location: str, key: str = "location") -> Callable[[Any], None]:
    def change(model: Any) -> None:
        tensor = model.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        entry = tensor.external_data.add()
        entry.key, entry.value = key, location

    return change


def _claim(*dims: int) -> Callable[[Any], None]:
    def change(model: Any) -> None:
        del model.graph.initializer[0].dims[:]
        model.graph.initializer[0].dims.extend(dims)

    return change


def _input(*dims: int) -> Callable[[Any], None]:
    def change(model: Any) -> None:
        shape = model.graph.input[0].type.tensor_type.shape
        del shape.dim[:]
        for size in dims:
            shape.dim.add().dim_value = size

    return change


def _nest(model: Any) -> None:
    inner = helper.make_graph([helper.make_node("Identity", ["x"], ["z"])], "d", [], [])
    for _ in range(DEPTH_MAX + 2):
        node = helper.make_node("If", ["x"], ["z"], then_branch=inner, else_branch=inner)
        inner = helper.make_graph([node], "d", [], [])
    model.graph.node.append(helper.make_node("If", ["x"], ["q"], then_branch=inner, else_branch=inner))


def _crowd(model: Any) -> None:
    node = model.graph.node[0].SerializeToString()
    for _ in range(NODES_MAX):
        model.graph.node.add().ParseFromString(node)


def _crowd_tensors(model: Any) -> None:
    for _ in range(50_001):
        model.graph.initializer.add().name = "t"


def _constant_outside(model: Any) -> None:
    tensor = TensorProto(name="c", data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    model.graph.node.append(helper.make_node("Constant", [], ["k"], value=tensor))


def _sparse(model: Any) -> None:
    sparse = model.graph.sparse_initializer.add()
    sparse.values.name = "s"
    sparse.values.dims.append(1 << 40)


def _function(model: Any) -> None:
    function = helper.make_function(
        "mine", "f", ["a"], ["b"], [helper.make_node("Boom", ["a"], ["b"], domain="evil")], []
    )
    model.functions.append(function)


def _default(*attributes: onnx.AttributeProto) -> Callable[[Any], None]:
    """A function whose attributes have these defaults: nothing of them stands in a node."""

    def change(model: Any) -> None:
        nodes = [helper.make_node("Relu", ["a"], ["b"])]
        function = helper.make_function("mine", "f", ["a"], ["b"], nodes, [helper.make_opsetid("", 17)])
        function.attribute_proto.extend(attributes)
        model.functions.append(function)

    return change


def _outside(name: str) -> TensorProto:
    return TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)


def _graph_with(*nodes: Any, weights: Any = ()) -> onnx.GraphProto:
    return helper.make_graph(list(nodes), "inner", [], [], list(weights))


def _set(**fields: Any) -> Callable[[Any], None]:
    def change(model: Any) -> None:
        for name, value in fields.items():
            setattr(model, name, value)

    return change


def _op(op_type: str, domain: str) -> Callable[[Any], None]:
    def change(model: Any) -> None:
        model.opset_import.append(helper.make_opsetid(domain, 1))
        model.graph.node[3].op_type, model.graph.node[3].domain = op_type, domain

    return change


HOSTILE: dict[str, tuple[Callable[[Any], None], str]] = {
    "a path out of the folder": (_external("../../../etc/passwd"), "another file"),
    "an absolute path": (_external("/etc/passwd"), "another file"),
    "a file beside it": (_external("weights.bin"), "another file"),
    "an attribute key": (_external("x", "__class__"), "another file"),
    "a method key": (_external("x", "save_external_data"), "another file"),
    "a constant outside": (_constant_outside, "another file"),
    "2^40 values": (_claim(1 << 40), "values"),
    "2^40 values in two axes": (_claim(1 << 20, 1 << 20), "values"),
    "2^62 values": (_claim(1 << 31, 1 << 31, 4), "values"),
    "a negative size": (_claim(-1), "axes"),
    "many axes": (_claim(*[1] * 40), "axes"),
    "another size than its bytes": (_claim(9, 3, 1, 1), "damaged"),
    "a sparse giant": (_sparse, "values"),
    "an input of 2^40": (_input(1, 3, 1 << 20, 1 << 20), "values"),
    "an input of 2^62": (_input(1, 3, 1 << 62, 1), "values"),
    "too many operators": (_crowd, "operators"),
    "too many tensors": (_crowd_tensors, "tensors"),
    "deep nesting": (_nest, "nests deeper"),
    "a custom operator": (_op("Boom", "evil.ops"), "custom operator"),
    "a python operator": (_op("PyOp", "ai.onnx.contrib"), "custom operator"),
    "a custom operator in a function": (_function, "custom operator"),
    "a default outside": (_default(helper.make_attribute("t", _outside("t"))), "another file"),
    "defaults outside": (_default(helper.make_attribute("t", [_outside("t")])), "another file"),
    "a default graph with a weight outside": (
        _default(helper.make_attribute("g", _graph_with(weights=[_outside("w")]))),
        "another file",
    ),
    "a default graph with a custom operator": (
        _default(helper.make_attribute("g", _graph_with(helper.make_node("Boom", [], [], domain="evil")))),
        "custom operator",
    ),
    "a default of 2^40 values": (
        _default(
            helper.make_attribute("t", TensorProto(name="t", data_type=TensorProto.FLOAT, dims=[1 << 40]))
        ),
        "values",
    ),
    "an unknown operator": (_op("Boom", ""), "breaks the rules"),
    "no graph": (lambda model: model.ClearField("graph"), "no graph"),
    "no operators": (lambda model: model.graph.ClearField("node"), "no graph"),
    "no outputs": (lambda model: model.graph.ClearField("output"), "no graph"),
    "no inputs": (lambda model: model.graph.ClearField("input"), "inputs"),
    "no operator set": (lambda model: model.ClearField("opset_import"), "damaged"),
    "an absurd version": (_set(ir_version=1 << 40), "damaged"),
    "a missing weight": (lambda model: model.graph.ClearField("initializer"), "breaks the rules"),
    "the same name twice": (lambda model: model.graph.node.append(model.graph.node[0]), "breaks the rules"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused_with_a_reason(tmp_path: Path, name: str) -> None:
    change, reason = HOSTILE[name]
    model = _model()
    change(model)
    path = _save(model, tmp_path / "m.onnx")
    began_s = time.monotonic()
    with pytest.raises(ModelRefused, match=reason):
        inspect_file(path)
    assert time.monotonic() - began_s < 60


@pytest.mark.parametrize("data", [b"", b"\x00", b"hello", b"\xff" * 100, b"\x08\x08", bytes(1000)])
def test_what_is_no_protobuf_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(data)
    with pytest.raises(ModelRefused):
        inspect_file(path)


def test_messages_nested_a_thousand_deep_are_refused(tmp_path: Path) -> None:
    """GraphProto.node -> NodeProto.attribute -> AttributeProto.g -> …, built by hand: libraries refuse to."""
    inner = b""
    for _ in range(1000):
        for key in (0x32, 0x2A, 0x0A):  # attribute.g, node.attribute, graph.node
            inner = bytes([key]) + _varint(len(inner)) + inner
    path = tmp_path / "m.onnx"
    path.write_bytes(b"\x08\x08\x3a" + _varint(len(inner)) + inner)
    with pytest.raises(ModelRefused):
        inspect_file(path)


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def test_external_data_is_never_opened(tmp_path: Path) -> None:
    """A pipe that nobody writes to would block whoever opens it."""
    os.mkfifo(tmp_path / "weights.bin")
    model = _model()
    _external("weights.bin")(model)
    path = _save(model, tmp_path / "m.onnx")
    with pytest.raises(ModelRefused, match="another file"):
        inspect_file(path)


def test_names_of_strangers_are_made_printable(tmp_path: Path) -> None:
    model = _model()
    model.graph.input[0].name = "x\x1b[31m"
    model.graph.node[0].input[0] = "x\x1b[31m"
    facts = inspect_file(_save(model, tmp_path / "m.onnx"))
    assert facts.inputs[0].name == "x?[31m"


def test_local_functions_and_the_engines_own_operators_pass(tmp_path: Path) -> None:
    model = _model()
    nodes = [helper.make_node("Relu", ["a"], ["b"])]
    model.functions.append(
        helper.make_function("mine", "f", ["a"], ["b"], nodes, [helper.make_opsetid("", 17)])
    )
    model.opset_import.extend([helper.make_opsetid("mine", 1), helper.make_opsetid("com.microsoft", 1)])
    model.graph.node[2].input[0] = "q2"
    model.graph.node.insert(2, helper.make_node("f", ["p"], ["q1"], domain="mine"))
    model.graph.node.insert(3, helper.make_node("Gelu", ["q1"], ["q2"], domain="com.microsoft"))
    facts = inspect_file(_save(model, tmp_path / "m.onnx"))
    assert {"Gelu", "Relu"} <= set(facts.operators)
    assert onnx.__version__
