"""The layers of a graph, and which of its nodes int8 must not touch.

A *layer* is a node that multiplies by weights. Behind the last layers comes the *tail*: it decodes (sigmoid,
softmax, boxes from distances) and puts scores, boxes and masks into one tensor. A single scale for all of
these leaves nothing of the scores, so the tail always stays in float.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

HEAVY = ("Conv", "ConvTranspose", "Gemm", "MatMul")
_PLANES = ("Conv", "ConvTranspose")
_MATRIX_AXES = 2


@dataclass(frozen=True, slots=True)
class Layers:
    """Names of nodes, in the order of the graph."""

    all: tuple[str, ...]
    first: tuple[str, ...]
    """Layers that no other layer feeds."""
    last: tuple[str, ...]
    """Layers that feed no other layer."""
    narrow: tuple[str, ...]
    """Convolutions of one channel each: little work, and few products to average out the rounding."""
    tail: tuple[str, ...]
    """Everything that is no layer and feeds none."""


def layers_of(model: Any) -> Layers:
    """Sort the nodes of a model whose nodes have names."""
    nodes = list(model.graph.node)
    weights = {item.name: tuple(item.dims) for item in model.graph.initializer}
    layers = {node.name for node in nodes if _is_layer(node, weights)}
    fed = _reached(nodes, layers)
    feeding = _reached([*reversed(nodes)], layers, backwards=True)
    names = [node.name for node in nodes if node.name in layers]
    return Layers(
        all=tuple(names),
        first=tuple(name for name in names if name not in fed),
        last=tuple(name for name in names if name not in feeding),
        narrow=tuple(node.name for node in nodes if node.name in layers and groups(node) > 1),
        tail=tuple(node.name for node in nodes if node.name not in layers | feeding),
    )


def groups(node: Any) -> int:
    """Into how many groups a convolution cuts its channels."""
    return next((item.i for item in node.attribute if item.name == "group"), 1)


def readers(model: Any) -> dict[str, list[Any]]:
    """Tensor -> the nodes that read its values; a node that reads only its shape does not count."""
    found: dict[str, list[Any]] = {}
    for node in model.graph.node:
        for name in node.input:
            if node.op_type != "Shape":
                found.setdefault(name, []).append(node)
    return found


def blocks(names: tuple[str, ...], count: int) -> Iterator[tuple[str, ...]]:
    """At most ``count`` blocks of neighbours that together are all names."""
    step = max(1, math.ceil(len(names) / count))
    for start in range(0, len(names), step):
        yield names[start : start + step]


def _is_layer(node: Any, weights: dict[str, tuple[int, ...]]) -> bool:
    """A product with a vector of constants, as the mean of a distribution over bins, is no layer."""
    if node.op_type not in HEAVY:
        return False
    sizes = [weights[name] for name in node.input[:2] if name in weights]
    return node.op_type in _PLANES or any(sum(side > 1 for side in dims) >= _MATRIX_AXES for dims in sizes)


def _reached(nodes: list[Any], layers: set[str], *, backwards: bool = False) -> set[str]:
    """Nodes that a layer feeds, at any distance; backwards, nodes that feed a layer."""
    values: set[str] = set()
    found: set[str] = set()
    for node in nodes:
        comes, goes = (node.output, node.input) if backwards else (node.input, node.output)
        inside = not values.isdisjoint(comes)
        if inside:
            found.add(node.name)
        if inside or node.name in layers:
            values.update(name for name in goes if name)
    return found
