"""MobileNetV2 (Sandler et al., arXiv 1801.04381, table 2) at full width, batch norm folded.

It starts from the ImageNet classifier that Google published for its Edge TPU (Apache-2.0), turned from
8-bit numbers into an ONNX graph. That file is read with the protobuf library only: nothing in it is executed.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - its usual name

from sightline.errors import ModelRefused

CLASSES = 1001
"""Of ImageNet, after "background"."""
WIDTH = 1280
"""Numbers in the pooled features."""
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
"""Expansion, channels, blocks, stride of the first block."""


class Seen(NamedTuple):
    """What the network says: ``features`` (n, 1280) from 0 to 6, ``logits`` (n, 1001)."""

    features: Tensor
    logits: Tensor


class Same(nn.Module):
    """A convolution padded as TensorFlow does it ("SAME"), and ReLU6 after it unless ``linear``.

    With a stride of 2 and an even picture there is a row at the bottom and a column at the right, and none
    at the other two sides; ``padding=1`` would shift everything by a pixel.
    """

    def __init__(
        self,
        channels: tuple[int, int],
        kernel: int = 1,
        *,
        stride: int = 1,
        groups: int = 1,
        linear: bool = False,
    ) -> None:
        super().__init__()
        self.even = kernel // 2 if stride == 1 else 0
        self.odd = kernel - stride if stride > 1 else 0
        self.linear = linear
        self.conv = nn.Conv2d(*channels, kernel, stride, self.even, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) -> (n, c', h / stride, w / stride); h and w are multiples of the stride."""
        if self.odd:
            x = F.pad(x, (0, self.odd, 0, self.odd))
        x = self.conv(x)
        return x if self.linear else F.relu6(x)


class Inverted(nn.Module):
    """An inverted residual: widen, filter each channel, narrow; added to its input where shapes agree."""

    def __init__(self, channels: tuple[int, int], expansion: int, stride: int) -> None:
        super().__init__()
        narrow, out = channels
        wide = narrow * expansion
        self.steps = nn.Sequential(
            *([Same((narrow, wide))] if expansion > 1 else []),
            Same((wide, wide), 3, stride=stride, groups=wide),
            Same((wide, out), linear=True),
        )
        self.adds = stride == 1 and narrow == out

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) -> (n, c', h / stride, w / stride)."""
        return x + self.steps(x) if self.adds else self.steps(x)


class MobileNetV2(nn.Module):
    """The backbone and its ImageNet classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = Same((3, 32), 3, stride=2)
        blocks, narrow = [], 32
        for expansion, channels, count, stride in STAGES:
            for place in range(count):
                blocks.append(Inverted((narrow, channels), expansion, stride if place == 0 else 1))
                narrow = channels
        self.blocks = nn.Sequential(*blocks)
        self.last = Same((narrow, WIDTH))
        self.classifier = nn.Conv2d(WIDTH, CLASSES, 1)
        for part in self.modules():
            if isinstance(part, nn.Conv2d):  # as strong at the end as at the start, without a batch norm
                nn.init.kaiming_normal_(part.weight)
                assert part.bias is not None
                nn.init.zeros_(part.bias)

    def forward(self, pixels: Tensor) -> Seen:
        """(n, 3, h, w) RGB from -1 to 1, h and w multiples of 32."""
        pooled = self.last(self.blocks(self.stem(pixels))).mean((2, 3), keepdim=True)
        return Seen(pooled.flatten(1), self.classifier(pooled).flatten(1))


def load_mobilenet_v2(model: MobileNetV2, path: Path) -> None:
    """Fill ``model`` from the published graph; both then compute the same.

    Convolutions are matched in the order in which they are executed and every shape must agree.

    Raises:
        ModelRefused: The file holds another network.
    """
    found = list(_convolutions(path))
    wanted = [part for part in model.modules() if isinstance(part, nn.Conv2d)]
    if len(found) != len(wanted):
        raise ModelRefused(
            f"{path.name} has {len(found)} convolutions, MobileNetV2 {len(wanted)}: it is another network."
        )
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
