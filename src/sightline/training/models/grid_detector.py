"""A small one-stage detector in the plan of YOLOX-Nano, batch norm folded away.

Ge et al., "YOLOX: Exceeding YOLO Series in 2021" (arXiv 2107.08430): a cross-stage-partial
backbone with depthwise convolutions, a feature pyramid that goes up and down once, and a
decoupled head that answers once per cell of strides 8, 16 and 32. This is our own writing of it,
with two exact simplifications that make the graph plainer for every engine:

* the space-to-depth stem followed by a 3x3 convolution is one 6x6 convolution of stride 2;
* the three parallel poolings (5, 9, 13) are three 5x5 poolings in a row.

The input is RGB, 0..255, (n, 3, h, w) with h and w multiples of 32: scaling is folded into the
first convolution. There is no batch norm: the starting weights come folded, and a network that
is only adapted does not need it.
"""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

STRIDES = (8, 16, 32)
RARE_LOGIT = -4.6
"""A score of 0.01."""


class ConvSiLU(nn.Module):
    """Convolution with "same" padding for odd kernels, then SiLU."""

    def __init__(self, inner: int, outer: int, size: int = 1, stride: int = 1, *, groups: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inner, outer, size, stride, (size - 1) // 2, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        return functional.silu(self.conv(x))


class Separable(nn.Module):
    """Depthwise 3x3, then pointwise 1x1."""

    def __init__(self, inner: int, outer: int, stride: int = 1) -> None:
        super().__init__()
        self.depth = ConvSiLU(inner, inner, 3, stride, groups=inner)
        self.point = ConvSiLU(inner, outer)

    def forward(self, x: Tensor) -> Tensor:
        return cast("Tensor", self.point(self.depth(x)))


class Residual(nn.Module):
    """Squeeze, look around, and add to what came in (or not)."""

    def __init__(self, width: int, *, add: bool) -> None:
        super().__init__()
        self.squeeze = ConvSiLU(width, width)
        self.look = Separable(width, width)
        self.add = add

    def forward(self, x: Tensor) -> Tensor:
        y = self.look(self.squeeze(x))
        return cast("Tensor", x + y if self.add else y)


class Partial(nn.Module):
    """Cross-stage partial block: half of the channels pass through the residual steps, half pass by."""

    def __init__(self, inner: int, outer: int, steps: int, *, add: bool = True) -> None:
        super().__init__()
        half = outer // 2
        self.through = ConvSiLU(inner, half)
        self.past = ConvSiLU(inner, half)
        self.steps = nn.Sequential(*(Residual(half, add=add) for _ in range(steps)))
        self.join = ConvSiLU(outer, outer)

    def forward(self, x: Tensor) -> Tensor:
        past = self.past(x)
        return cast("Tensor", self.join(torch.cat([self.steps(self.through(x)), past], 1)))


class PyramidPool(nn.Module):
    """Spatial pyramid pooling: what lies within 2, 4 and 6 cells."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.squeeze = ConvSiLU(width, width // 2)
        self.join = ConvSiLU(width * 2, width)

    def forward(self, x: Tensor) -> Tensor:
        seen = [self.squeeze(x)]
        for _ in range(3):
            seen.append(functional.max_pool2d(seen[-1], 5, 1, 2))
        return cast("Tensor", self.join(torch.cat(seen, 1)))


class Backbone(nn.Module):
    """Features of strides 8, 16 and 32 with ``4w, 8w, 16w`` channels."""

    def __init__(self, w: int) -> None:
        super().__init__()
        self.stem = ConvSiLU(3, w, 6, 2)
        self.down4, self.look4 = Separable(w, 2 * w, 2), Partial(2 * w, 2 * w, 1)
        self.down8, self.look8 = Separable(2 * w, 4 * w, 2), Partial(4 * w, 4 * w, 3)
        self.down16, self.look16 = Separable(4 * w, 8 * w, 2), Partial(8 * w, 8 * w, 3)
        self.down32, self.pool32 = Separable(8 * w, 16 * w, 2), PyramidPool(16 * w)
        self.look32 = Partial(16 * w, 16 * w, 1, add=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = self.look4(self.down4(self.stem(x)))
        fine = self.look8(self.down8(x))
        middle = self.look16(self.down16(fine))
        coarse = self.look32(self.pool32(self.down32(middle)))
        return fine, middle, coarse


class Pyramid(nn.Module):
    """Path aggregation: meaning flows from coarse to fine, then detail flows back."""

    def __init__(self, w: int) -> None:
        super().__init__()
        self.squeeze32, self.up16 = ConvSiLU(16 * w, 8 * w), Partial(16 * w, 8 * w, 1, add=False)
        self.squeeze16, self.up8 = ConvSiLU(8 * w, 4 * w), Partial(8 * w, 4 * w, 1, add=False)
        self.down16, self.back16 = Separable(4 * w, 4 * w, 2), Partial(8 * w, 8 * w, 1, add=False)
        self.down32, self.back32 = Separable(8 * w, 8 * w, 2), Partial(16 * w, 16 * w, 1, add=False)

    def forward(self, features: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        fine, middle, coarse = features
        top = self.squeeze32(coarse)
        mid = self.squeeze16(self.up16(torch.cat([_double(top), middle], 1)))
        out8 = self.up8(torch.cat([_double(mid), fine], 1))
        out16 = self.back16(torch.cat([self.down16(out8), mid], 1))
        out32 = self.back32(torch.cat([self.down32(out16), top], 1))
        return out8, out16, out32


class CellHead(nn.Module):
    """One answer per cell: 4 box numbers, 1 objectness logit, then one logit per class."""

    def __init__(self, inner: int, width: int, classes: int) -> None:
        super().__init__()
        self.squeeze = ConvSiLU(inner, width)
        self.kind = nn.Sequential(Separable(width, width), Separable(width, width))
        self.label = nn.Conv2d(width, classes, 1)
        self.place = nn.Sequential(Separable(width, width), Separable(width, width))
        self.box = nn.Conv2d(width, 4, 1)
        self.thing = nn.Conv2d(width, 1, 1)
        # Nearly all cells are empty: begin by saying so (Lin et al., arXiv 1708.02002, section 4.1).
        for scores in (self.label, self.thing):
            nn.init.constant_(cast("Tensor", scores.bias), RARE_LOGIT)

    def forward(self, x: Tensor) -> Tensor:
        x = self.squeeze(x)
        kind = self.label(self.kind(x))
        place = self.place(x)
        return torch.cat([self.box(place), self.thing(place), kind], 1)


class GridDetector(nn.Module):
    """The whole network.

    ``forward`` gives (n, cells, 5 + classes): box numbers (dx, dy, log w, log h) in cells, then
    **logits**. Cells run row by row through strides 8, 16, 32. ``probabilities`` is what is exported:
    the same with sigmoids, which the head ``yolox`` reads.
    """

    def __init__(self, classes: int = 80, width: int = 16) -> None:
        super().__init__()
        self.classes = classes
        self.backbone = Backbone(width)
        self.pyramid = Pyramid(width)
        self.heads = nn.ModuleList(CellHead(width * k, 4 * width, classes) for k in (4, 8, 16))

    def forward(self, x: Tensor) -> Tensor:
        features = self.pyramid(self.backbone(x))
        flat = [head(f).flatten(2) for head, f in zip(self.heads, features, strict=True)]
        return torch.cat(flat, 2).transpose(1, 2)

    def probabilities(self, x: Tensor) -> Tensor:
        raw = self(x)
        return torch.cat([raw[..., :4], raw[..., 4:].sigmoid()], 2)


def cells(height: int, width: int) -> tuple[Tensor, Tensor]:
    """Top left corners (cells, 2) in units of cells, and strides (cells,), in the order of the output."""
    corners, strides = [], []
    for stride in STRIDES:
        rows, columns = height // stride, width // stride
        y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
        corners.append(torch.stack([x, y], 2).reshape(-1, 2).float())
        strides.append(torch.full((rows * columns,), float(stride)))
    return torch.cat(corners), torch.cat(strides)


def boxes(raw: Tensor, corners: Tensor, strides: Tensor) -> Tensor:
    """Box numbers (n, cells, >=4) -> xyxy (n, cells, 4) in canvas pixels."""
    centre = (raw[..., :2] + corners) * strides[:, None]
    half = raw[..., 2:4].clamp(max=8).exp() * strides[:, None] / 2
    return torch.cat([centre - half, centre + half], -1)


def _double(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2.0, mode="nearest")
