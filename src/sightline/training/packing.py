"""A smaller file for the same numbers: large tensors of an ONNX file kept in 16 or 8 bits.

A network is rounded first (``rounded``), and judged rounded; its file is then packed without any loss
(``pack``). Engines turn the numbers back when they load the graph: nothing is computed in fewer bits.
"""

import copy
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

Bits: TypeAlias = Literal[8, 16]
Float32: TypeAlias = NDArray[np.float32]

_LARGE = 1024
"""Numbers in a tensor from which on its size matters."""
_MOST = 127
"""Largest whole number of 8 bits; -128 is not used, so that signs are alike."""
_DIGITS = 2**12
"""Of a scale: with the 7 bits of a whole number they fit into the 24 of float32."""
_KERNEL = 4
"""Dimensions of what is rounded to 8 bits: kernels, each of whose rows makes one channel."""


@torch.no_grad()
def rounded(network: nn.Module, bits: Bits = 16) -> nn.Module:
    """A copy whose large tensors are numbers of float16; with 8 bits kernels are whole numbers times a scale.

    All weights stay float32 tensors. Each row of a kernel (one channel of its output) has a scale of its own,
    by which its largest number becomes 127; the scale has so few digits that products are exact.
    """
    copied = copy.deepcopy(network)
    for weights in copied.parameters():
        if weights.numel() >= _LARGE:
            coarse = bits < 16 and weights.ndim == _KERNEL
            weights.copy_(_in_steps(weights) if coarse else weights.half().float())
    return copied


def pack(path: Path) -> None:
    """Store each large tensor in 8 bits with scales, or as float16, where that holds it exactly."""
    model = onnx.load(str(path))
    graph = model.graph
    nodes: list[onnx.NodeProto] = []
    scales: list[onnx.TensorProto] = []
    for item in graph.initializer:
        values = numpy_helper.to_array(item)
        if values.dtype != np.float32 or values.size < _LARGE:
            continue
        name = item.name
        if (steps := _steps_of(values)) is not None:
            item.CopyFrom(numpy_helper.from_array(steps[0], f"{name}.steps"))
            scales.append(numpy_helper.from_array(steps[1], f"{name}.scale"))
            nodes.append(_cast(f"{name}.steps", f"{name}.whole"))
            nodes.append(helper.make_node("Mul", [f"{name}.whole", f"{name}.scale"], [name]))
        elif (half := _half_of(values)) is not None:
            item.CopyFrom(numpy_helper.from_array(half, f"{name}.half"))
            nodes.append(_cast(f"{name}.half", name))
    if nodes:
        nodes += graph.node
        del graph.node[:]
        graph.node.extend(nodes)
        graph.initializer.extend(scales)
        onnx.checker.check_model(model)
        path.write_bytes(model.SerializeToString(deterministic=True))


def _in_steps(weights: Tensor) -> Tensor:
    rows = weights.flatten(1)
    digits, power = torch.frexp(rows.abs().amax(1, keepdim=True) / _MOST)
    scale = torch.ldexp((digits * _DIGITS).round() / _DIGITS, power)
    scale[scale == 0] = 1  # a row of nothing
    return ((rows / scale).round().clamp(-_MOST, _MOST) * scale).view_as(weights)


def _steps_of(values: Float32) -> tuple[NDArray[np.int8], Float32] | None:
    """Whole numbers and a scale for each row, whose products are exactly ``values``; None: there are none."""
    if values.ndim != _KERNEL:
        return None
    rows = values.reshape(len(values), -1)
    scale = np.abs(rows).max(1, keepdims=True) / np.float32(_MOST)
    scale[scale == 0] = 1
    with np.errstate(all="ignore"):  # what is no number has no steps
        steps = np.round(rows / scale)
        exact = np.array_equal(steps * scale, rows) and np.abs(steps).max() <= _MOST
    if not exact:
        return None
    return steps.reshape(values.shape).astype(np.int8), scale.reshape(-1, 1, 1, 1)


def _half_of(values: Float32) -> NDArray[np.float16] | None:
    with np.errstate(over="ignore"):
        half = values.astype(np.float16)
    return half if np.array_equal(half.astype(np.float32), values) else None


def _cast(source: str, target: str) -> Any:
    return helper.make_node("Cast", [source], [target], to=TensorProto.FLOAT)
