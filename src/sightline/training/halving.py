"""Half the file for the same numbers: large tensors kept as float16 in an ONNX file."""

import copy
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

_LARGE = 1024
"""Numbers in a tensor from which on its size matters."""


def halve(path: Path) -> None:
    """Store large tensors that float16 holds exactly as float16: half the file, and the same numbers.

    Engines turn them back when they load the graph; nothing is computed in float16. A network is rounded
    before, if it is to become smaller: see ``rounded``.
    """
    model = onnx.load(str(path))
    graph, casts = model.graph, []
    for item in graph.initializer:
        values = numpy_helper.to_array(item)
        if values.dtype == np.float32 and values.size >= _LARGE:
            with np.errstate(over="ignore"):
                half = values.astype(np.float16)
            if np.array_equal(half.astype(np.float32), values):
                whole = item.name
                item.CopyFrom(numpy_helper.from_array(half, f"{whole}.half"))
                casts.append(helper.make_node("Cast", [f"{whole}.half"], [whole], to=TensorProto.FLOAT))
    if casts:
        nodes = [*casts, *graph.node]
        del graph.node[:]
        graph.node.extend(nodes)
        onnx.checker.check_model(model)
        path.write_bytes(model.SerializeToString(deterministic=True))


@torch.no_grad()
def rounded(network: nn.Module) -> nn.Module:
    """A copy whose large tensors are numbers of float16 (kept as float32)."""
    copied = copy.deepcopy(network)
    for weights in copied.parameters():
        if weights.numel() >= _LARGE:
            weights.copy_(weights.half().float())
    return copied
