"""Batch norm for networks that came with it folded away: put back for training, folded again to be served.

Published weights carry batch norm (Ioffe and Szegedy, arXiv 1502.03167) inside their convolutions. Such a
network computes the same but learns badly: the sizes of its channels differ by orders of magnitude and no
step suits all of them. ``unfold`` measures what each convolution gives on real pictures and splits it into a
convolution of unit size and a norm that restores its answer, so that nothing changes but what a step does.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

_TINY = 1e-6


class Normable(nn.Module):
    """A module with one convolution ``conv`` and, while it is trained, the ``norm`` behind it."""

    conv: nn.Conv2d
    norm: nn.BatchNorm2d | None


class _Moments:
    """Mean and variance over everything but channels, gathered batch by batch."""

    def __init__(self) -> None:
        self.count = 0
        self.sum = torch.zeros(1, dtype=torch.float64)
        self.squares = torch.zeros(1, dtype=torch.float64)

    def add(self, _module: nn.Module, _seen: Any, made: Tensor) -> None:
        made = made.double()
        self.count += made.numel() // made.shape[1]
        self.sum = self.sum + made.sum((0, 2, 3))
        self.squares = self.squares + made.square().sum((0, 2, 3))

    def read(self) -> tuple[Tensor, Tensor]:
        mean = self.sum / self.count
        return mean.float(), (self.squares / self.count - mean.square()).float().clamp(min=_TINY)


@torch.no_grad()
def unfold(
    model: nn.Module,
    look: Callable[[nn.Module, Any], object],
    batches: Iterable[Any],
    within: nn.Module | None = None,
) -> None:
    """Give every ``Normable`` of ``model`` a norm; what it computes in evaluation mode stays the same.

    Args:
        model: Folded; is changed.
        look: Runs the model on a batch.
        batches: Real pictures, varied as in training: a few hundred are enough.
        within: Only this part of the model is given norms; None: all of it.
    """
    parts = list(normables(model if within is None else within))
    found = {id(part): _Moments() for part in parts}
    hooks = [part.conv.register_forward_hook(found[id(part)].add) for part in parts]
    model.eval()
    for batch in batches:
        look(model, batch)
    for hook in hooks:
        hook.remove()
    for part in parts:
        _split(part, *found[id(part)].read())


def normables(model: nn.Module) -> Iterator[Normable]:
    """All parts of a network that can have a norm."""
    yield from (part for part in model.modules() if isinstance(part, Normable))


def _split(part: Normable, mean: Tensor, variance: Tensor) -> None:
    """Each channel's weights become 1 / sqrt(inputs) in root mean square; the norm takes what they were."""
    conv = part.conv
    assert conv.bias is not None
    size = conv.weight.flatten(1).square().mean(1).sqrt().clamp(min=_TINY)
    factor = conv.weight[0].numel() ** -0.5 / size
    norm = nn.BatchNorm2d(len(factor))
    norm.running_mean, norm.running_var = (mean - conv.bias) * factor, variance * factor.square()
    norm.weight.copy_((norm.running_var + norm.eps).sqrt() / factor)
    norm.bias.copy_(mean)
    conv.weight.mul_(factor[:, None, None, None])
    conv.bias = None
    part.norm = norm


@torch.no_grad()
def fold(model: nn.Module) -> nn.Module:
    """Take the norms of ``model`` into their convolutions; in evaluation mode it computes the same.

    A network without norms stays as it is.
    """
    for part in normables(model):
        if part.norm is None:
            continue
        norm = part.norm
        factor = norm.weight / (norm.running_var + norm.eps).sqrt()
        part.conv.weight.mul_(factor[:, None, None, None])
        part.conv.bias = nn.Parameter(norm.bias - norm.running_mean * factor)
        part.norm = None
    return model
