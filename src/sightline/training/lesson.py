"""What the room needs to know about a task, and nothing more: how to teach it, how to hand it over."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from torch import Tensor, nn

from sightline.manifest import Head, Task
from sightline.training.recipe_form import Recipe

R = TypeVar("R", bound=Recipe)


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


@dataclass(frozen=True, slots=True)
class Subject(Generic[R]):
    """A task: its lesson, and all that the loop, the export and the card ask about it.

    Every part takes the recipe, so that a task may have several kinds of networks.
    """

    lesson: Callable[[R], Lesson]
    labels: Callable[[R], tuple[str, ...]]
    network: Callable[[R, tuple[str, ...]], nn.Module]
    """(recipe, labels) -> the network with the weights it starts from."""
    start: Callable[[R], str]
    """The weights file that it starts from; empty: random weights, which are not judged."""
    served: Callable[[R, nn.Module], nn.Module]
    """The network -> what is exported: one tensor of pixels in, ``outputs`` out."""
    outputs: Callable[[R], tuple[str, ...]]
    """Names of the outputs of the exported graph."""
    head: Callable[[R], Head]
    """Who reads them."""
    loss: Callable[[R], str]
    """What the loss is made of, as one sentence for the card."""
    task: Callable[[R], Task]
    """What the bundle is served as."""
