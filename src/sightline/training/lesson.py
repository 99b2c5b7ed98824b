"""What the room needs to know about a task, and nothing more: how to teach it, how to hand it over."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, is_dataclass, replace
from typing import Any, Generic, Protocol, TypeVar, cast

import torch
from torch import Tensor, nn

from sightline.manifest import Head, Task
from sightline.runtime.features import this_machine
from sightline.training.recipe_form import Optimiser, Recipe
from sightline.training.sharing import Share

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


class Divided(Lesson, Protocol):
    """A lesson whose batches several processes can share."""

    part: slice
    """Which pictures of each batch are this process's."""


def parted(lesson: Lesson, share: Share) -> Lesson:
    """The lesson, of whose batches this process has its share from now on."""
    if share.count > 1:
        cast("Divided", lesson).part = slice(share.place, None, share.count)
    return lesson


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


def multiplied(options: Optimiser) -> str:
    """In which numbers a network that learns is multiplied on this machine."""
    return options.precision if this_machine().bf16 else "float32"


def ask(network: nn.Module, pixels: Tensor, options: Optimiser) -> Any:
    """What a network that learns says of a batch, in float32: a tensor, a named tuple or a dataclass of them.

    Inside, products are those of bfloat16 where the recipe says so and the processor multiplies it:
    elsewhere float32 is quicker. A loss needs all digits.
    """
    half = multiplied(options) == "bfloat16"
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        said = network(pixels)
    return _whole(said) if half else said


def _whole(said: Any) -> Any:
    if is_dataclass(said) and not isinstance(said, type):
        parts = ((name, getattr(said, name)) for name in said.__dataclass_fields__)
        return replace(said, **{name: _whole(part) for name, part in parts})
    if isinstance(said, tuple):
        return type(said)(*map(_whole, said))
    return said.float() if isinstance(said, Tensor) else said
