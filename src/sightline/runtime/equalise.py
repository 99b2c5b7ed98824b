"""Give the channels between two convolutions equal ranges, without changing what the graph computes.

A tensor has one scale in int8, so a channel that is a hundred times smaller than its neighbour keeps two or
three of 256 steps. Between two convolutions with nothing but a (leaky) ReLU, a channel can be made larger in
the first one's weights and smaller in the second one's (Nagel et al., "Data-Free Quantization Through Weight
Equalization and Bias Correction", 2019). How much is decided by what the channels hold on calibration
pictures, balanced with the weights behind (Xiao et al., "SmoothQuant", 2023).
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from onnx import numpy_helper

from sightline.runtime.engine import Tensor
from sightline.runtime.layers import groups, readers
from sightline.runtime.ranges import input_name, open_for_all
from sightline.types import Float32

_KEEPS_FACTORS = ("Relu", "LeakyRelu")
_FLOOR = 1e-3
_INPUTS_WITH_BIAS = 3
_PICTURES = 8


@dataclass(frozen=True, slots=True)
class _Pair:
    first: Any
    between: str
    """The tensor that only the second convolution reads."""
    second: Any


def equalise(model: Any, scratch: Path, tensors: Sequence[Tensor]) -> int:
    """Change the weights of a model in place; returns how many pairs of convolutions there were.

    Args:
        model: An ONNX model with batch normalisation folded in.
        scratch: A file that may be overwritten.
        tensors: Calibration inputs; a few of them are run.
    """
    weights = {item.name: item for item in model.graph.initializer}
    shared = Counter(name for node in model.graph.node for name in node.input)
    pairs = [pair for pair in _pairs(model) if _can(pair, weights, shared)]
    if not pairs:
        return 0
    names = [pair.between for pair in pairs]
    session, name = open_for_all(model, scratch, names), input_name(model)
    tops: dict[str, list[Float32]] = {}
    for tensor in tensors[:_PICTURES]:
        for key, value in zip(names, session.run(names, {name: tensor}), strict=True):
            tops.setdefault(key, []).append(np.abs(value).max(axis=(0, 2, 3)))
    for pair in pairs:
        _balance(pair, weights, np.mean(tops[pair.between], axis=0))
    return len(pairs)


def _pairs(model: Any) -> Iterator[_Pair]:
    given, read = {item.name for item in model.graph.output}, readers(model)
    for node in model.graph.node:
        between = node.output[0]
        while node.op_type == "Conv" and between not in given and len(found := read.get(between, [])) == 1:
            if found[0].op_type == "Conv" and found[0].input[0] == between:
                yield _Pair(node, between, found[0])
            if found[0].op_type not in _KEEPS_FACTORS:
                break
            between = found[0].output[0]


def _can(pair: _Pair, weights: dict[str, Any], shared: Counter[str]) -> bool:
    """Both have constants that nobody else reads, and the second one's channels are mixed or each alone."""
    names = [*pair.first.input[1:], pair.second.input[1]]
    if not all(name in weights and shared[name] == 1 for name in names):
        return False
    apart = groups(pair.second)
    return apart == 1 or tuple(weights[pair.second.input[1]].dims[:2]) == (apart, 1)


def _balance(pair: _Pair, weights: dict[str, Any], top: Float32) -> None:
    """Divide the first one's channels by a factor each and multiply the second one's inputs by it."""
    after = numpy_helper.to_array(weights[pair.second.input[1]])
    alone = groups(pair.second) > 1
    factor = np.maximum(top, _FLOOR * max(float(top.max()), _FLOOR))
    if alone:  # its weights have a scale for each channel, so the factors cost nothing
        factor = factor / factor.max()
    else:
        width = np.abs(after).max(axis=(0, 2, 3))
        factor = np.sqrt(factor / np.maximum(width, _FLOOR * max(float(width.max()), _FLOOR)))
        factor = factor / np.exp(np.mean(np.log(factor)))
    factor = factor.astype(np.float32)[:, None, None, None]
    before = numpy_helper.to_array(weights[pair.first.input[1]])
    _set(weights[pair.first.input[1]], before / factor)
    if len(pair.first.input) == _INPUTS_WITH_BIAS:
        bias = weights[pair.first.input[2]]
        _set(bias, numpy_helper.to_array(bias) / factor.ravel())
    _set(weights[pair.second.input[1]], after * (factor if alone else factor.transpose(1, 0, 2, 3)))


def _set(tensor: Any, value: Float32) -> None:
    tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(value, np.float32), tensor.name))
