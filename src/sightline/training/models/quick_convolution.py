"""3x3 convolutions with fewer multiplications, for training on a processor.

Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks" (arXiv 1509.09308): tiles of 4x4 outputs
come from tiles of 6x6 inputs with 36 instead of 144 multiplications per pair of channels, F(4x4, 3x3). The
transforms cost memory traffic instead, so it pays with many channels: measured on 4 cores with AVX2, forward
and backward together take 0.4 to 0.7 of the direct convolution's time from 128 channels on, and longer
than it below; in bfloat16 0.5 to 0.7 from 64 on (one core with AVX512-BF16). The results differ from the
direct one's by about 1e-5 of the largest value; in bfloat16 by 3 % of their length, where the direct one's
do by 0.3 %.
"""

from typing import Any

import torch
from torch import Tensor, nn

_INPUT = torch.tensor(
    [
        [4, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ],
    dtype=torch.float32,
)
_KERNEL = torch.tensor([[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]]).float() / 24
_OUTPUT = torch.tensor(
    [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]], dtype=torch.float32
)
# Both directions at once: a 6x6 tile is a column of 36 numbers, and all tiles together are one matrix.
_FROM_INPUT = torch.kron(_INPUT, _INPUT)
_FROM_KERNEL = torch.kron(_KERNEL, _KERNEL)
_TO_OUTPUT = torch.kron(_OUTPUT, _OUTPUT)
_KERNEL_SIDE, _TILE, _SEEN = 3, 4, 6
_LEAST = {torch.bfloat16: 64}
"""Channels from which on it pays, where that is not 128."""
_PIXELS = 8192
"""Output pixels that are worked on at once, so that the tiles of the transforms stay in the cache."""


class QuickConv(nn.Conv2d):
    """A 3x3 convolution with padding 1 that is quicker in training; in evaluation it is the plain one."""

    def __init__(self, inner: int, outer: int) -> None:
        super().__init__(inner, outer, _KERNEL_SIDE, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) -> (n, k, h, w); where autocast is on, in its dtype."""
        height, width = x.shape[2:]
        if torch.is_autocast_enabled("cpu"):
            x = x.to(torch.get_autocast_dtype("cpu"))
        few = self.in_channels < _LEAST.get(x.dtype, 128)
        if few or not self.training or height % _TILE or width % _TILE:
            return super().forward(x)
        parts = x.split(max(1, _PIXELS // (height * width)))
        with torch.autocast("cpu", enabled=False):  # kernels are turned into tiles in float32
            return torch.cat([_Tiled.apply(part, self.weight) for part in parts])


class _Tiled(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        n, c, height, width = x.shape
        outer, down, across = len(weight), height // _TILE, width // _TILE
        padded = x.new_zeros(n, height + 2, width + 2, c)
        padded[:, 1:-1, 1:-1] = x.permute(0, 2, 3, 1)
        picture, row, column, _ = padded.stride()
        tiles = padded.as_strided(
            (_SEEN, _SEEN, n, down, across, c), (row, column, picture, _TILE * row, _TILE * column, 1)
        )
        seen = (_FROM_INPUT.to(x.dtype) @ tiles.reshape(_SEEN**2, -1)).view(_SEEN**2, -1, c)
        kernel = _FROM_KERNEL @ weight.permute(2, 3, 1, 0).reshape(_KERNEL_SIDE**2, -1)
        kernel = kernel.view(-1, c, outer).to(x.dtype)
        out = _TO_OUTPUT.to(x.dtype) @ torch.bmm(seen, kernel).view(_SEEN**2, -1)
        out = out.view(_TILE, _TILE, n, down, across, outer)
        ctx.save_for_backward(seen, kernel)
        ctx.sizes = (n, c, down, across, outer)
        return out.permute(2, 3, 0, 4, 1, 5).reshape(n, height, width, outer).permute(0, 3, 1, 2)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        seen, kernel = ctx.saved_tensors
        n, c, down, across, outer = ctx.sizes
        tiles = grad.permute(0, 2, 3, 1).reshape(n, down, _TILE, across, _TILE, outer)
        columns = tiles.permute(2, 4, 0, 1, 3, 5).reshape(_TILE**2, -1)
        told = (_TO_OUTPUT.t().to(grad.dtype) @ columns).view(_SEEN**2, -1, outer)
        weight = _FROM_KERNEL.t() @ torch.bmm(seen.transpose(1, 2), told).view(_SEEN**2, -1).float()
        weight = weight.view(_KERNEL_SIDE, _KERNEL_SIDE, c, outer).permute(3, 2, 0, 1)
        inner = _FROM_INPUT.t().to(grad.dtype) @ torch.bmm(told, kernel.transpose(1, 2)).view(_SEEN**2, -1)
        return _overlay(inner.view(_SEEN, _SEEN, n, down, across, c)), weight


def _overlay(tiles: Tensor) -> Tensor:
    """Add up 6x6 tiles that lie 4 apart, and cut off the padding: (6, 6, n, d, a, c) -> (n, c, 4d, 4a)."""
    _, _, n, down, across, c = tiles.shape
    whole = tiles.new_zeros(n, down + 1, _TILE, across + 1, _TILE, c)
    out, rest = whole.permute(2, 4, 0, 1, 3, 5), _SEEN - _TILE
    out[:, :, :, :-1, :-1] = tiles[:_TILE, :_TILE]
    out[:rest, :, :, 1:, :-1] += tiles[_TILE:, :_TILE]
    out[:, :rest, :, :-1, 1:] += tiles[:_TILE, _TILE:]
    out[:rest, :rest, :, 1:, 1:] += tiles[_TILE:, _TILE:]
    flat = whole.view(n, _TILE * (down + 1), _TILE * (across + 1), c)
    return flat[:, 1 : _TILE * down + 1, 1 : _TILE * across + 1].permute(0, 3, 1, 2)
