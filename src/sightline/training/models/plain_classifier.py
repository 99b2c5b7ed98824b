"""A classifier of dense 3x3 convolutions that learns much in few steps.

After the networks of K. Jordan, "94% on CIFAR-10 in 3.29 Seconds on a Single A100" (arXiv 2404.00498): a
first layer that is set to whiten patches and stays so, few wide convolutions, batch norm without a scale,
the maximum over the picture at the end. Where patches of 2x2 at stride 1 (as there) take too long, those of
4x4 at stride 2 leave a quarter of the pixels to the layers behind.
"""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional

from sightline.training.models.quick_convolution import QuickConv

_DIRECTIONS = 32
"""Of the directions of a patch those that vary most, at most so many; each has two channels, one per sign."""
_LEAST_VARIANCE = 5e-4
_LOGIT_SCALE = 1 / 9


class PlainClassifier(nn.Module):
    """Pixels (n, 3, h, w), normalised -> logits (n, classes).

    ``plan`` lists the layers: a number is a convolution to so many channels, ``p`` halves the picture, and
    a number with a ``p`` behind halves it between the convolution and its batch norm. Before them, patches of
    ``patch`` x ``patch`` pixels are seen every ``stride`` pixels.
    """

    def __init__(self, classes: int, plan: tuple[str, ...], *, patch: int = 4, stride: int = 2) -> None:
        super().__init__()
        inner = 2 * min(_DIRECTIONS, 3 * patch**2)
        self.stem = nn.Conv2d(3, inner, patch, stride, padding=1, bias=False)
        self.stem.weight.requires_grad_(requires_grad=False)
        layers: list[nn.Module] = []
        for word in plan:
            if word != "p":
                outer = int(word.rstrip("p"))
                layers.append(Layer(inner, outer, pool=word.endswith("p")))
                inner = outer
            else:
                layers.append(nn.MaxPool2d(2))
        self.layers = nn.Sequential(*layers)
        self.head = nn.Linear(inner, classes, bias=False)

    def forward(self, pixels: Tensor) -> Tensor:
        features: Tensor = self.layers(functional.silu(self.stem(pixels)))
        return self.head(features.amax((2, 3))) * _LOGIT_SCALE

    @torch.no_grad()
    def whiten(self, pixels: Tensor) -> None:
        """Set the first layer to the main directions of the patches of ``pixels``, all of equal variance."""
        stem = self.stem
        patches = (
            functional.unfold(pixels, stem.kernel_size, stride=stem.stride).transpose(1, 2).flatten(0, 1)
        )
        variance, directions = torch.linalg.eigh(patches.t() @ patches / len(patches))
        rows = (directions / (variance + _LEAST_VARIANCE).sqrt()).t().flip(0)[: stem.out_channels // 2]
        rows = rows.reshape(-1, *stem.weight.shape[1:])
        stem.weight.copy_(torch.cat([rows, -rows]))


class Layer(nn.Module):
    """Convolution, perhaps the maximum of 2x2, batch norm, SiLU."""

    def __init__(self, inner: int, outer: int, *, pool: bool) -> None:
        super().__init__()
        self.conv = QuickConv(inner, outer)
        self.pool = pool
        norm = nn.BatchNorm2d(outer)
        norm.weight.requires_grad_(requires_grad=False)  # the next layer's weights have a size of their own
        self.norm: nn.Module = norm

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        return functional.silu(self.norm(functional.max_pool2d(x, 2) if self.pool else x))


@torch.no_grad()
def folded(network: nn.Module) -> nn.Module:
    """A copy without batch norms, which computes the same in evaluation mode.

    Their scales go into the kernels before them, their shifts become biases: a maximum over pixels commutes
    with both, because scales are positive.
    """
    copied = copy.deepcopy(network).eval()
    for layer in (part for part in copied.modules() if isinstance(part, Layer)):
        norm, conv = layer.norm, layer.conv
        assert isinstance(norm, nn.BatchNorm2d)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()
        conv.weight.mul_(scale[:, None, None, None])
        conv.bias = nn.Parameter(norm.bias - norm.running_mean * scale)
        layer.norm = nn.Identity()
    return copied


class Served(nn.Module):
    """What is served: probabilities of the mean logits of several views of a picture.

    ``mirror``: of the picture and its mirror. ``moved``: of the picture (half of the say) and of the picture
    moved by so many pixels up and left, and down and right, edges reflected (arXiv 2404.00498, section 3.5).
    """

    def __init__(self, network: nn.Module, *, mirror: bool, moved: int = 0) -> None:
        super().__init__()
        self.network, self.mirror, self.moved = network, mirror, moved

    def forward(self, pixels: Tensor) -> Tensor:
        return self.logits(pixels).softmax(1)

    def logits(self, pixels: Tensor) -> Tensor:
        """(n, 3, h, w) -> (n, classes), before the softmax."""
        views = [pixels]
        if self.moved:
            room = 2 * self.moved
            edged = functional.pad(pixels, (self.moved,) * 4, "reflect")
            views += [edged[:, :, room:, room:], edged[:, :, :-room, :-room]]
        if self.mirror:
            views += [view.flip(3) for view in views]
        said = self.network(torch.cat(views)).unflatten(0, (len(views), -1))
        if self.moved:
            said = said.unflatten(0, (-1, 3)) * pixels.new_tensor([2.0, 1.0, 1.0])[:, None, None] / 4
            return said.sum(1).mean(0)
        return said.mean(0)
