"""A small one-stage detector in the plan of NanoDet-Plus-m and -m-1.5x, with masks from the same pass.

The plan is RangiLyu's NanoDet-Plus (github.com/RangiLyu/nanodet, Apache-2.0), in our own writing and with
batch norm folded away:

* a ShuffleNetV2 backbone (Ma et al., arXiv 1807.11164) with leaky ReLU, features at strides 8, 16, 32;
* a path aggregation pyramid (Liu et al., arXiv 1803.01534) of ghost blocks (Han et al., arXiv 1911.11907)
  with one more level at stride 64;
* per level a light head: class scores, and four distances as distributions over eight bins (Li et al.,
  "Generalized Focal Loss", arXiv 2006.04388).

Ours is the mask branch (after Bolya et al., "YOLACT", arXiv 1904.02689): prototypes at stride 4 of the whole
canvas, and coefficients per cell that weigh them.

The input is RGB, (n, 3, h, w) float32, normalised by ImageNet's mean and deviation; h and w are
multiples of 32.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from sightline.training.norm import Normable
from sightline.training.recipe_detect import MEAN, STD

STRIDES = (8, 16, 32, 64)
BINS = 8
RARE_LOGIT = -4.6
"""A score of 0.01."""
UNITS = (4, 8, 4)
"""Of the backbone's stages."""


@dataclass(frozen=True, slots=True)
class Widths:
    """Channels of the backbone's stages, and of pyramid and heads."""

    stages: tuple[int, int, int]
    pyramid: int


WIDTHS = {1.0: Widths((116, 232, 464), 96), 1.5: Widths((176, 352, 704), 128)}
"""Of NanoDet-Plus-m and NanoDet-Plus-m-1.5x."""


class Conv(Normable):
    """Convolution with "same" padding for odd kernels, a norm while it is trained with one, then leaky ReLU
    unless ``linear``.
    """

    def __init__(
        self,
        inner: int,
        outer: int,
        size: int = 1,
        stride: int = 1,
        *,
        depthwise: bool = False,
        linear: bool = False,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inner, outer, size, stride, (size - 1) // 2, groups=inner if depthwise else 1)
        self.norm = None
        self.linear = linear

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x) if self.norm is None else self.norm(self.conv(x))
        return x if self.linear else functional.leaky_relu(x, 0.1)


def separable(inner: int, outer: int, size: int, stride: int = 1) -> nn.Sequential:
    """Depthwise, then pointwise; both with leaky ReLU."""
    return nn.Sequential(Conv(inner, inner, size, stride, depthwise=True), Conv(inner, outer))


class ShuffleUnit(nn.Module):
    """Half of the channels pass by, half are transformed, then both are shuffled (arXiv 1807.11164)."""

    def __init__(self, inner: int, outer: int, stride: int) -> None:
        super().__init__()
        half = outer // 2
        self.past = (
            nn.Sequential(Conv(inner, inner, 3, stride, depthwise=True, linear=True), Conv(inner, half))
            if stride > 1
            else None
        )
        self.through = nn.Sequential(
            Conv(inner if stride > 1 else half, half),
            Conv(half, half, 3, stride, depthwise=True, linear=True),
            Conv(half, half),
        )

    def forward(self, x: Tensor) -> Tensor:
        if self.past is None:
            kept, taken = x.chunk(2, 1)
            return shuffle(torch.cat([kept, self.through(taken)], 1))
        return shuffle(torch.cat([self.past(x), self.through(x)], 1))


def shuffle(x: Tensor) -> Tensor:
    """Channels 0, 1, 2, 3 -> 0, 2, 1, 3: the two halves take turns."""
    n, c, h, w = x.shape
    return x.reshape(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)


class Backbone(nn.Module):
    """ShuffleNetV2: features at strides 4 (24 channels), 8, 16 and 32."""

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        self.stem = Conv(3, 24, 3, 2)
        inner, stages = 24, []
        for outer, units in zip(channels, UNITS, strict=True):
            rest = (ShuffleUnit(outer, outer, 1) for _ in range(units - 1))
            stages.append(nn.Sequential(ShuffleUnit(inner, outer, 2), *rest))
            inner = outer
        self.stages = nn.ModuleList(stages)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        early = functional.max_pool2d(self.stem(x), 3, 2, 1)
        x, levels = early, []
        for stage in self.stages:
            x = stage(x)
            levels.append(x)
        return early, levels


class Ghost(nn.Module):
    """Half of the channels by a pointwise convolution, the other half cheaply from the first."""

    def __init__(self, inner: int, outer: int, *, linear: bool = False) -> None:
        super().__init__()
        self.first = Conv(inner, outer // 2, linear=linear)
        self.cheap = Conv(outer // 2, outer // 2, 3, depthwise=True, linear=linear)

    def forward(self, x: Tensor) -> Tensor:
        first = self.first(x)
        return torch.cat([first, self.cheap(first)], 1)


class GhostBlock(nn.Module):
    """Two ghosts and a shortcut."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.ghosts = nn.Sequential(Ghost(2 * width, width), Ghost(width, width, linear=True))
        self.shortcut = nn.Sequential(
            Conv(2 * width, 2 * width, 5, depthwise=True, linear=True), Conv(2 * width, width, linear=True)
        )

    def forward(self, x: Tensor) -> Tensor:
        return cast("Tensor", self.ghosts(x) + self.shortcut(x))


class Pyramid(nn.Module):
    """Meaning flows from coarse to fine, then detail flows back; one more level is added at the end."""

    def __init__(self, channels: Sequence[int], width: int) -> None:
        super().__init__()
        self.squeeze = nn.ModuleList(Conv(inner, width) for inner in channels)
        self.up16, self.up8 = GhostBlock(width), GhostBlock(width)
        self.down16, self.back16 = separable(width, width, 5, 2), GhostBlock(width)
        self.down32, self.back32 = separable(width, width, 5, 2), GhostBlock(width)
        self.more_in, self.more_out = separable(width, width, 5, 2), separable(width, width, 5, 2)

    def forward(self, levels: list[Tensor]) -> list[Tensor]:
        fine, middle, coarse = (squeeze(level) for squeeze, level in zip(self.squeeze, levels, strict=True))
        middle = self.up16(torch.cat([double(coarse), middle], 1))
        out8 = self.up8(torch.cat([double(middle), fine], 1))
        out16 = self.back16(torch.cat([self.down16(out8), middle], 1))
        out32 = self.back32(torch.cat([self.down32(out16), coarse], 1))
        return [out8, out16, out32, self.more_in(coarse) + self.more_out(out32)]


class CellHead(nn.Module):
    """One answer per cell: class logits, then four times ``BINS`` distance logits; and what it saw."""

    def __init__(self, classes: int, width: int) -> None:
        super().__init__()
        self.look = nn.Sequential(separable(width, width, 5), separable(width, width, 5))
        self.answer = nn.Conv2d(width, classes + 4 * BINS, 1)

    def forward(self, x: Tensor) -> Tensor:
        return cast("Tensor", self.answer(self.look(x)))


class MaskBranch(nn.Module):
    """``prototypes`` (n, k, h / 4, w / 4) from the finest features, and coefficients per cell."""

    def __init__(self, count: int, width: int, inner: int = 64) -> None:
        super().__init__()
        self.deep = nn.Sequential(separable(width, inner, 5), separable(inner, inner, 5))
        self.fine = Conv(24, inner, linear=True)
        self.join = nn.Sequential(separable(inner, inner, 5), separable(inner, inner, 5))
        self.bank = nn.Conv2d(inner, count, 1)
        self.looks = nn.ModuleList(separable(width, width, 5) for _ in STRIDES)
        self.weigh = nn.ModuleList(nn.Conv2d(width, count, 1) for _ in STRIDES)

    def forward(self, early: Tensor, levels: list[Tensor]) -> tuple[Tensor, Tensor]:
        deep = self.deep(levels[0])
        joined = self.join(functional.leaky_relu(double(deep) + self.fine(early), 0.1))
        cells = [
            weigh(look(x)).flatten(2) for look, weigh, x in zip(self.looks, self.weigh, levels, strict=True)
        ]
        return self.bank(joined), torch.cat(cells, 2).transpose(1, 2)


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What the network says about a batch: logits (n, cells, classes), spread (n, cells, 4, BINS) logits.

    With masks: coefficients (n, cells, k) and prototypes (n, k, h / 4, w / 4).
    """

    logits: Tensor
    spread: Tensor
    coefficients: Tensor | None = None
    prototypes: Tensor | None = None


class NanoDetector(nn.Module):
    """The whole network; ``prototypes`` 0 leaves the mask branch out, ``width`` is one of ``WIDTHS``."""

    def __init__(self, classes: int = 80, prototypes: int = 0, width: float = 1.0) -> None:
        super().__init__()
        self.classes = classes
        widths = WIDTHS[width]
        self.backbone = Backbone(widths.stages)
        self.pyramid = Pyramid(widths.stages, widths.pyramid)
        self.heads = nn.ModuleList(CellHead(classes, widths.pyramid) for _ in STRIDES)
        self.masks = MaskBranch(prototypes, widths.pyramid) if prototypes else None
        for part in self.modules():
            if isinstance(part, nn.Conv2d):  # so that a signal keeps its size without batch norm
                nn.init.kaiming_normal_(part.weight, 0.1)
                nn.init.zeros_(cast("Tensor", part.bias))
        for head in self.heads:
            # Nearly all cells are empty: begin by saying so (Lin et al., arXiv 1708.02002, section 4.1).
            nn.init.constant_(cast("Tensor", head.answer.bias)[:classes], RARE_LOGIT)
        self.fresh: tuple[str, ...] = ()
        """Beginnings of the names of weights that did not come with the start."""

    def forward(self, x: Tensor) -> Answer:
        early, levels = self.backbone(x)
        levels = self.pyramid(levels)
        flat = torch.cat([head(f).flatten(2) for head, f in zip(self.heads, levels, strict=True)], 2)
        logits, spread = flat.transpose(1, 2).split([self.classes, 4 * BINS], 2)
        spread = spread.unflatten(2, (4, BINS))
        if self.masks is None:
            return Answer(logits, spread)
        bank, weights = self.masks(early, levels)
        return Answer(logits, spread, weights, bank)

    @staticmethod
    def normalised(pixels: Tensor) -> Tensor:
        """(n, 3, h, w) RGB 0..255 -> what ``forward`` takes."""
        mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (MEAN, STD))
        return ((pixels - mean) / std).contiguous(memory_format=torch.channels_last)

    def convolutions(self) -> Iterator[nn.Conv2d]:
        """Those of the plan, without the masks', as who follows each answer back to the picture meets them:
        the first head's first, and of each only what no earlier one needed.
        """
        fine, middle, coarse = self.pyramid.squeeze
        p, heads = self.pyramid, self.heads
        ordered = (
            *(self.backbone, coarse, middle, p.up16, fine, p.up8, heads[0]),
            *(p.down16, p.back16, heads[1]),
            *(p.down32, p.back32, heads[2]),
            *(p.more_in, p.more_out, heads[3]),
        )
        for part in ordered:
            yield from (item for item in part.modules() if isinstance(item, nn.Conv2d))


def cells(height: int, width: int) -> tuple[Tensor, Tensor]:
    """Points (cells, 2) in canvas pixels (a cell's top left corner), and strides (cells,)."""
    points, strides = [], []
    for stride in STRIDES:
        rows, columns = -(-height // stride), -(-width // stride)
        y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
        points.append(torch.stack([x, y], 2).reshape(-1, 2).float() * stride)
        strides.append(torch.full((rows * columns,), float(stride)))
    return torch.cat(points), torch.cat(strides)


def distances(spread: Tensor) -> Tensor:
    """Distributions (..., 4, BINS), logits -> expected distances (..., 4) in strides."""
    return spread.softmax(-1) @ torch.arange(BINS, dtype=spread.dtype, device=spread.device)


def boxes(reach: Tensor, points: Tensor, strides: Tensor) -> Tensor:
    """Distances (n, cells, 4) in strides -> xyxy (n, cells, 4) in canvas pixels."""
    reach = reach * strides[:, None]
    return torch.cat([points - reach[..., :2], points + reach[..., 2:]], -1)


def double(x: Tensor) -> Tensor:
    """Twice as high and wide."""
    return functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
