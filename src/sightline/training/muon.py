"""An optimiser for networks of dense convolutions: orthogonal steps.

Muon (K. Jordan et al., 2024; analysed by Bernstein and Newhouse, arXiv 2409.20325, and Liu et al., arXiv
2502.16982): the momentum of a weight matrix is replaced by the nearest matrix with orthogonal rows, so that
a step moves every direction alike. The kernels of a convolution are rows of one matrix. All other tensors
take plain steps with Nesterov momentum.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from sightline.training.recipe_form import Optimiser

_QUINTIC = (3.4445, -4.7750, 2.0315)
"""x -> ax + bx^3 + cx^5 brings every singular value in 0..1 near 1 in few rounds (K. Jordan, 2024)."""
_ROUNDS = 3


class Muon(torch.optim.Optimizer):
    """Groups with ``orthogonal`` hold kernels of convolutions, all others anything else.

    Kernels keep a length of one per row: behind a batch norm their size says nothing, and so the rate is the
    share by which a step turns them.
    """

    def __init__(self, groups: list[dict[str, Any]], *, momentum: float, plain_momentum: float) -> None:
        super().__init__(groups, {"momentum": momentum, "plain_momentum": plain_momentum})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:
        """Take one step; ``closure`` is there for the base class and must be None."""
        assert closure is None
        for group in self.param_groups:
            keep = group["momentum"] if group["orthogonal"] else group["plain_momentum"]
            for weights in group["params"]:
                if weights.grad is None:
                    continue
                state = self.state[weights]
                if not state:
                    state["momentum"] = torch.zeros_like(weights)
                momentum = state["momentum"].mul_(keep).add_(weights.grad)
                step = weights.grad + keep * momentum
                if group["orthogonal"]:
                    weights.mul_(len(weights) ** 0.5 / weights.norm())
                    step = orthogonal(step.reshape(len(step), -1)).view(step.shape)
                weights.add_(step, alpha=-group["lr"])


def orthogonal(matrix: Tensor) -> Tensor:
    """Roughly the nearest matrix whose rows (or columns, where fewer) are orthogonal and of length one."""
    first, second, third = _QUINTIC
    x = matrix / (matrix.norm() + 1e-7)
    turned = x.shape[0] > x.shape[1]
    x = x.t() if turned else x
    for _ in range(_ROUNDS):
        square = x @ x.t()
        x = first * x + (second * square + third * (square @ square)) @ x
    return x.t() if turned else x


def muon_of(model: nn.Module, options: Optimiser) -> Muon:
    """The optimiser of a recipe; ``scale`` is what the loop multiplies the rate by."""
    moving = [weights for weights in model.parameters() if weights.requires_grad]
    plain = {
        1: options.plain_rate or options.rate,
        2: options.matrix_rate or options.plain_rate or options.rate,
    }
    groups = [
        {
            "params": [weights],
            "lr": options.rate,
            "orthogonal": weights.ndim == 4,
            "scale": 1.0 if weights.ndim == 4 else plain[weights.ndim] / options.rate,
        }
        for weights in moving
    ]
    return Muon(groups, momentum=options.momentum, plain_momentum=options.plain_momentum)
