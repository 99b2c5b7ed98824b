"""Reading an ONNX file without running it: what it is, and whether it may be tried at all.

`inspect_file` parses bytes of strangers with protobuf and onnx, so it belongs in a child process
with bounded memory and time (`sightline.serving.importer` does that). External data is never opened:
the library would follow paths out of the file (CVE-2022-25882, CVE-2024-27318, CVE-2026-27489,
CVE-2026-34446) and set attributes by name (CVE-2026-34445). Nothing here runs an operator.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from sightline.errors import ModelRefused
from sightline.runtime.facts import Dim, Facts, Port, count

NODES_MAX = 50_000
TENSORS_MAX = 50_000
DEPTH_MAX = 6
PORTS_MAX = 64
SIDE_MAX = 1 << 20
ELEMENTS_MAX = 1 << 28
NAME_MAX = 512
METADATA_MAX = 200_000
DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml", "com.microsoft"})
"""Operators that ONNX Runtime has inside; every other domain would need a library of strangers."""

_SEE_THROUGH = frozenset(
    {"Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Cast", "QuantizeLinear",
     "DequantizeLinear", "Concat"}
)  # fmt: skip
_TYPES = onnx.TensorProto
_BITS = {
    _TYPES.FLOAT: 32, _TYPES.UINT8: 8, _TYPES.INT8: 8, _TYPES.UINT16: 16, _TYPES.INT16: 16, _TYPES.INT32: 32,
    _TYPES.INT64: 64, _TYPES.BOOL: 8, _TYPES.FLOAT16: 16, _TYPES.DOUBLE: 64, _TYPES.UINT32: 32,
    _TYPES.UINT64: 64, _TYPES.BFLOAT16: 16, _TYPES.COMPLEX64: 64, _TYPES.COMPLEX128: 128, _TYPES.UINT4: 4,
    _TYPES.INT4: 4,
}  # fmt: skip


def inspect_file(path: Path) -> Facts:
    """Parse a file and check its structure against the caps above.

    Raises:
        ModelRefused: It is no ONNX model, is damaged, leaves the limits, points to other files, or
            needs operators that no engine here has.
    """
    model = _parse(path)
    graph = model.graph
    _check_header(model)
    nodes, tensors, parameters, operators = _Walk().model(model)
    weights = {tensor.name for tensor in graph.initializer}
    inputs = tuple(_port(value) for value in graph.input if value.name not in weights)
    outputs = tuple(_port(value) for value in graph.output)
    _check_ports(inputs, outputs)
    _check_rules(model)
    return Facts(
        bytes=path.stat().st_size,
        ir=model.ir_version,
        opset=max((item.version for item in model.opset_import if item.domain in {"", "ai.onnx"}), default=0),
        producer=_clean(f"{model.producer_name} {model.producer_version}".strip()),
        inputs=inputs,
        outputs=outputs,
        ends=_ends(graph),
        nodes=nodes,
        tensors=tensors,
        parameters=parameters,
        operators=tuple(sorted(operators)),
        quantised=any("Quantize" in name or "QLinear" in name for name in operators),
        metadata=tuple(
            (_clean(item.key), item.value[:METADATA_MAX]) for item in list(model.metadata_props)[:32]
        ),
    )


def _parse(path: Path) -> Any:
    model = onnx.ModelProto()
    try:
        model.ParseFromString(path.read_bytes())
    except (DecodeError, RuntimeError, ValueError) as error:
        raise ModelRefused(
            "The file is not a whole ONNX model: it is cut, damaged or something else.",
            next_step="Copy or export it again and compare its SHA-256 with the publisher's.",
        ) from error
    return model


def _check_header(model: Any) -> None:
    if not model.HasField("graph") or not model.graph.node or not model.graph.output:
        raise ModelRefused(
            "The file parses, but holds no graph with operators and outputs: it is cut or not a model.",
            next_step="Copy or export it again and compare its SHA-256 with the publisher's.",
        )
    if not 0 < model.ir_version < 100 or not model.opset_import:
        raise ModelRefused(
            f"The file states IR version {model.ir_version} and {len(model.opset_import)} operator sets: "
            "it is damaged or no model.",
        )


class _Walk:
    """One pass over every node and tensor, subgraphs and functions too, with counts kept under the caps."""

    def __init__(self) -> None:
        self.nodes = self.tensors = self.parameters = 0
        self.operators: set[str] = set()
        self.local: set[tuple[str, str]] = set()

    def model(self, model: Any) -> tuple[int, int, int, set[str]]:
        self.local = {(function.domain, function.name) for function in model.functions}
        self.graph(model.graph, 0)
        for function in model.functions:
            for attribute in function.attribute_proto:  # defaults, which may hold tensors and graphs too
                self.attribute(attribute, 1)
            for node in function.node:
                self.node(node, 1)
        return self.nodes, self.tensors, self.parameters, self.operators

    def graph(self, graph: Any, depth: int) -> None:
        if depth > DEPTH_MAX:
            raise ModelRefused(f"The graph nests deeper than {DEPTH_MAX} levels.")
        for tensor in graph.initializer:
            self.parameters += self.tensor(tensor)
        for sparse in graph.sparse_initializer:
            self.tensor(sparse.values)
            self.tensor(sparse.indices)
        for node in graph.node:
            self.node(node, depth)

    def node(self, node: Any, depth: int) -> None:
        self.nodes += 1
        if self.nodes > NODES_MAX:
            raise ModelRefused(f"A model may have {NODES_MAX} operators, this one has more.")
        if node.domain not in DOMAINS and (node.domain, node.op_type) not in self.local:
            raise ModelRefused(
                f"It needs the custom operator {_clean(node.op_type)} of the domain {_clean(node.domain)!r}; "
                "Sightline loads no operator libraries.",
                next_step="Export the model with standard ONNX operators only.",
            )
        self.operators.add(_clean(node.op_type))
        for attribute in node.attribute:
            self.attribute(attribute, depth)

    def attribute(self, attribute: Any, depth: int) -> None:
        for tensor in _tensors(attribute):
            self.tensor(tensor)
        for graph in _graphs(attribute):
            self.graph(graph, depth + 1)

    def tensor(self, tensor: Any) -> int:
        self.tensors += 1
        if self.tensors > TENSORS_MAX:
            raise ModelRefused(f"A model may have {TENSORS_MAX} tensors, this one has more.")
        if tensor.data_location == _TYPES.EXTERNAL or tensor.external_data:
            raise ModelRefused(
                f"The tensor {_clean(tensor.name)!r} keeps its values in another file; "
                "Sightline reads no file that a model points to.",
                next_step="Save it as one file: `onnx.save_model(model, path, save_as_external_data=False)`.",
            )
        return _check_tensor(tensor)


def _check_tensor(tensor: Any) -> int:
    shape = tuple(tensor.dims)
    if len(shape) > 16 or any(size < 0 for size in shape) or count(shape) > ELEMENTS_MAX:
        raise ModelRefused(
            f"The tensor {_clean(tensor.name)!r} claims {len(shape)} axes and {_approx(shape)} values; "
            f"at most {ELEMENTS_MAX} are allowed.",
            next_step="The file is damaged or hostile; get an intact copy.",
        )
    bits = _BITS.get(tensor.data_type)
    if bits and tensor.HasField("raw_data"):
        wanted = math.ceil(count(shape) * bits / 8)
        if len(tensor.raw_data) != wanted:
            raise ModelRefused(
                f"The tensor {_clean(tensor.name)!r} should hold {wanted} bytes, "
                f"but holds {len(tensor.raw_data)}: the file is damaged.",
                next_step="Copy or export it again and compare its SHA-256 with the publisher's.",
            )
    return count(shape)


def _approx(shape: tuple[int, ...]) -> str:
    return f"{float(min(abs(count(shape)), 10**300)):.3g}"


def _tensors(attribute: Any) -> Iterator[Any]:
    if attribute.HasField("t"):
        yield attribute.t
    yield from attribute.tensors
    for sparse in (
        *((attribute.sparse_tensor,) if attribute.HasField("sparse_tensor") else ()),
        *attribute.sparse_tensors,
    ):
        yield sparse.values
        yield sparse.indices


def _graphs(attribute: Any) -> Iterator[Any]:
    if attribute.HasField("g"):
        yield attribute.g
    yield from attribute.graphs


def _port(value: Any) -> Port:
    kind = value.type.tensor_type
    try:
        dtype = str(onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type))
    except (KeyError, TypeError, ValueError):
        dtype = "unknown"
    if not kind.HasField("shape"):
        return Port(_clean(value.name), dtype, None)
    return Port(_clean(value.name), dtype, tuple(_dim(item) for item in kind.shape.dim))


def _dim(item: Any) -> Dim:
    # Exporters write a free size as a name, as -1 or as 0.
    if item.HasField("dim_value") and item.dim_value > 0:
        return int(item.dim_value)
    return _clean(item.dim_param) if item.dim_param else ""


def _check_ports(inputs: tuple[Port, ...], outputs: tuple[Port, ...]) -> None:
    if not 1 <= len(inputs) <= PORTS_MAX or len(outputs) > PORTS_MAX:
        raise ModelRefused(
            f"It has {len(inputs)} inputs and {len(outputs)} outputs; 1 to {PORTS_MAX} are allowed."
        )
    for port in (*inputs, *outputs):
        sizes = [size for size in port.shape or () if isinstance(size, int)]
        if len(sizes) > 8 or any(size > SIDE_MAX for size in sizes) or count(tuple(sizes)) > ELEMENTS_MAX:
            raise ModelRefused(
                f"{port.name!r} claims {_approx(tuple(sizes))} values; at most {ELEMENTS_MAX} are allowed.",
                next_step="The file is damaged or hostile; get an intact copy.",
            )


def _check_rules(model: Any) -> None:
    try:
        onnx.checker.check_model(model, full_check=False)
    except (onnx.checker.ValidationError, RuntimeError, ValueError) as error:
        raise ModelRefused(
            f"It breaks the rules of ONNX: {_clean(str(error).splitlines()[0])[:300]}.",
            next_step="The file is damaged or was exported wrongly; export it again.",
        ) from error


def _ends(graph: Any) -> tuple[str, ...]:
    makers = {name: node for node in graph.node for name in node.output}
    ends = []
    for value in graph.output:
        node = makers.get(value.name)
        for _ in range(16):
            if node is None or node.op_type not in _SEE_THROUGH or not node.input:
                break
            node = makers.get(node.input[0])
        ends.append("" if node is None else _clean(node.op_type))
    return tuple(ends)


def _clean(text: str) -> str:
    """Names come from strangers and end up on terminals: printable, and short."""
    return "".join(char if char.isprintable() else "?" for char in text[:NAME_MAX])
