"""torch -> ONNX, cleaned of everything but the computation, and proven equal.

The exporter writes file names and source lines of this machine into the graph; ``strip`` takes
them out, so that a bundle says nothing about where it was made and is the same bytes elsewhere.
"""

import logging
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from sightline.errors import ModelRefused
from sightline.runtime.engine import Plan
from sightline.runtime.onnx_engine import OnnxEngine

OPSET = 18
_ELSEWHERE = 1e9
"""Farther than any box."""
Arrays: TypeAlias = Sequence[np.ndarray[Any, Any]]


@dataclass(frozen=True, slots=True)
class Parity:
    """How far ONNX Runtime is from torch on the same inputs."""

    largest: float
    """Largest difference relative to the size of the value (or to 1, if that is larger)."""
    tolerance: float
    cases: int


def export_graph(
    network: nn.Module,
    example: Tensor,
    path: Path,
    *,
    names: tuple[str, Sequence[str]],
    step: int = 0,
) -> None:
    """Write ``network`` as an ONNX file with weights inside.

    Args:
        network: In evaluation mode; takes one tensor, gives a tensor or a tuple of them.
        example: (n, 3, h, w), n at least 2: the size of the batch is left free.
        path: File to write.
        names: Name of the input, names of the outputs.
        step: Leave height and width free too, in steps of this many pixels; 0: fixed.
    """
    source, targets = names
    free: dict[int, Any] = {0: torch.export.Dim("batch")}
    if step:
        free |= {2: step * torch.export.Dim("rows"), 3: step * torch.export.Dim("columns")}
    quiet = logging.getLogger("torch.onnx")
    level = quiet.level
    quiet.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the exporter warns about its own internals
            torch.onnx.export(
                network,
                (example,),
                str(path),
                input_names=[source],
                output_names=list(targets),
                opset_version=OPSET,
                dynamo=True,
                dynamic_shapes=(free,),
                external_data=False,
                verbose=False,
            )
    finally:
        quiet.setLevel(level)
    strip(path)


def strip(path: Path) -> None:
    """Take everything out of an ONNX file that is not computation, and check it."""
    model = onnx.load(str(path))
    del model.metadata_props[:]
    model.doc_string = ""
    model.producer_name, model.producer_version = "sightline", ""
    _clean(model.graph)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString(deterministic=True))


def prove(
    network: nn.Module,
    path: Path,
    cases: Sequence[Tensor],
    *,
    tolerance: float = 1e-3,
    align: Callable[[Arrays, Arrays], Arrays] | None = None,
) -> Parity:
    """Run torch and ONNX Runtime on the same inputs.

    Args:
        network: In evaluation mode.
        path: The same as a graph.
        cases: Inputs.
        tolerance: Largest difference that is allowed.
        align: Brings the second outputs into the order of the first, where the order says nothing.

    Raises:
        ModelRefused: An output differs in shape, or by more than ``tolerance``.
    """
    engine = OnnxEngine(path, Plan())
    largest = 0.0
    try:
        for case in cases:
            with torch.no_grad():
                wanted = network(case)
            wanted = (wanted,) if isinstance(wanted, Tensor) else tuple(wanted)
            expected, found = [t.numpy() for t in wanted], [*engine.run(case.numpy()).values()]
            largest = max(largest, difference(expected, align(expected, found) if align else found))
    finally:
        engine.close()
    if not largest <= tolerance:
        raise ModelRefused(
            f"The exported graph differs from the network by {largest:.2g}, allowed is {tolerance:.2g}.",
            next_step="Do not serve it; report the versions of torch and onnx.",
        )
    return Parity(largest, tolerance, len(cases))


def difference(wanted: Arrays, found: Arrays) -> float:
    """Largest difference of two sets of outputs, relative to the value where that is larger than 1."""
    worst = 0.0
    for one, other in zip(wanted, found, strict=True):
        if one.shape != other.shape:
            return float("inf")
        if one.size:
            gap = np.abs(one.astype(np.float64) - other) / np.maximum(1.0, np.abs(one))
            worst = max(worst, float(gap.max()))
    return worst


def by_object(wanted: Arrays, found: Arrays) -> Arrays:
    """The objects of ``found`` in the order of ``wanted``: each takes the nearest box of its label.

    Objects whose scores are equal but for rounding may change places; they are still the same objects.
    """
    if [array.shape for array in wanted] != [array.shape for array in found]:
        return found
    free = list(range(len(wanted[0])))
    order = []
    for box, label in zip(wanted[0], wanted[1], strict=True):
        far = [
            np.abs(found[0][row] - box).max() + (0 if found[1][row] == label else _ELSEWHERE) for row in free
        ]
        order.append(free.pop(int(np.argmin(far))))
    return [array[order] for array in found]


def _clean(graph: onnx.GraphProto) -> None:
    graph.doc_string = ""
    del graph.metadata_props[:]
    for value in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
        value.doc_string = ""
        del value.metadata_props[:]
    del graph.value_info[:]
    for node in graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
        for attribute in node.attribute:
            if attribute.HasField("g"):
                _clean(attribute.g)
