"""What the training loop needs to know about a task, and nothing more."""

from collections.abc import Iterator
from typing import Any, Protocol

from torch import Tensor, nn


class Lesson(Protocol):
    """One task's side of training: its network, its pictures, its loss, its judge.

    ``batches(epoch)`` must depend on the recipe's seed and the epoch only: then a run that was
    interrupted goes on exactly as it would have gone.
    """

    model: nn.Module
    steps: int
    """Batches in an epoch."""

    def batches(self, epoch: int) -> Iterator[Any]:
        """The batches of an epoch."""

    def loss(self, batch: Any) -> dict[str, Tensor]:
        """Parts of the loss by name; the loop minimises their sum."""

    def judge(self, model: nn.Module) -> dict[str, float]:
        """How good ``model`` is on the pictures that are only watched; may be empty."""
