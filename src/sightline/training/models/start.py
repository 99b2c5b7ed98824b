"""Starting weights of other people's permissive models, turned into our networks.

YOLOX-Nano (Megvii, Apache-2.0) as published in ONNX, opset 11, batch norm folded, input BGR 0..255.
The file is read with the protobuf library only: nothing in it is executed.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from sightline.errors import ModelRefused
from sightline.training.models.grid_detector import CellHead, GridDetector, Partial


def load_yolox_nano(model: GridDetector, path: Path) -> None:
    """Fill ``model`` from the published graph; both then compute the same.

    Convolutions are matched in the order in which they are executed and every shape must agree.

    Raises:
        ModelRefused: The file holds another network.
    """
    found = list(_convolutions(path))
    wanted = list(_in_order(model))
    if len(found) != len(wanted):
        raise ModelRefused(
            f"{path.name} has {len(found)} convolutions, YOLOX-Nano has {len(wanted)}: it is another network."
        )
    found[0] = (_stem(found[0][0]), found[0][1])
    with torch.no_grad():
        for place, ((weight, bias), conv) in enumerate(zip(found, wanted, strict=True)):
            if conv.weight.shape != weight.shape or conv.bias is None:
                raise ModelRefused(
                    f"Convolution {place} of {path.name} has the shape {tuple(weight.shape)}, "
                    f"wanted {tuple(conv.weight.shape)}: it is another network."
                )
            conv.weight.copy_(weight)
            conv.bias.copy_(bias)


def _convolutions(path: Path) -> Iterator[tuple[Tensor, Tensor]]:
    graph = onnx.load(str(path), load_external_data=False).graph
    values = {item.name: item for item in graph.initializer}
    for node in graph.node:
        if node.op_type == "Conv":
            weight, bias = (np.array(numpy_helper.to_array(values[name])) for name in node.input[1:3])
            yield torch.from_numpy(weight), torch.from_numpy(bias)


def _stem(weight: Tensor) -> Tensor:
    """Space-to-depth with BGR input and a 3x3 kernel (o, 12, 3, 3) -> one 6x6 kernel (o, 3, 6, 6) on RGB.

    The twelve channels are the pixels (row, column) = (0,0), (1,0), (0,1), (1,1) of a square, BGR each.
    """
    if weight.shape[1:] != (12, 3, 3):
        raise ModelRefused(
            f"The first convolution has the shape {tuple(weight.shape)}, wanted (16, 12, 3, 3)."
        )
    square = weight.reshape(-1, 2, 2, 3, 3, 3).flip(3)  # o, column, row, colour, ky, kx
    return square.permute(0, 3, 4, 2, 5, 1).reshape(-1, 3, 6, 6).contiguous()


def _in_order(model: GridDetector) -> Iterator[nn.Conv2d]:
    """Our convolutions in the order in which the published graph runs its own."""
    body, pyramid = model.backbone, model.pyramid
    for part in (*body.children(), *pyramid.children()):
        yield from _through(part)
    for head in model.heads:
        assert isinstance(head, CellHead)
        yield from _through(head)


def _through(part: nn.Module) -> Iterator[nn.Conv2d]:
    if isinstance(part, Partial):
        ordered = [part.through, part.past, part.steps, part.join]
        for item in ordered:
            yield from _through(item)
    elif isinstance(part, nn.Conv2d):
        yield part
    else:
        for child in part.children():
            yield from _through(child)
