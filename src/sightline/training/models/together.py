"""Several networks as one: what they say is averaged."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn


class Together(nn.Module):
    """Networks of one form -> the mean of their outputs, of the shape of one of them."""

    def __init__(self, networks: Iterable[nn.Module]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([network(x) for network in self.networks]).mean(0)
