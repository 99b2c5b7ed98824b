"""The lesson of classification: one class a picture, learned by a network of plain convolutions."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from sightline.training.lesson import ask
from sightline.training.models.plain_classifier import PlainClassifier, Served
from sightline.training.packs import Shelf, labels_of, read_packs
from sightline.training.recipe_classify import ClassifyRecipe
from sightline.types import Int64

_WHITENED = 5000
"""Pictures whose patches set the first layer."""
_JUDGED = 100
"""Pictures that are judged at once."""
_FLIP_DRAW, _ORDER_DRAW, _MOVE_DRAW = 0, 1, 2
"""What a generator is for; part of its seed."""


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """``pixels`` (n, 3, h, w) float32, normalised, channels last in memory; ``label`` (n,) int64."""

    pixels: Tensor
    label: Tensor


class ClassifyLesson:
    """See ``Lesson``. All pictures lie in memory as bytes; a batch is cut out and varied at once."""

    def __init__(self, recipe: ClassifyRecipe) -> None:
        self.recipe = recipe
        self.labels = labels_of(recipe)
        data = recipe.data
        self.shelf = read_packs(recipe, data.train, self.labels)
        self.watched = read_packs(recipe, data.watch, self.labels) if data.watch else None
        self.steps = max(1, len(self.shelf.label) // recipe.optimiser.batch)
        self.side, room = recipe.input.width, recipe.augment.shift
        self.edged = torch.from_numpy(_edged(self.shelf, room))
        self.label = torch.from_numpy(self.shelf.label)
        draw = np.random.default_rng([recipe.seed, _FLIP_DRAW])
        self.mirrored = draw.random(len(self.label)) < 0.5
        self.model: nn.Module = self._start()

    def batches(self, epoch: int) -> Iterator[Batch]:
        """Every picture once but those that fill no batch, ordered and varied by (seed, epoch)."""
        size, count = self.recipe.optimiser.batch, len(self.label)
        order = np.random.default_rng([self.recipe.seed, _ORDER_DRAW, epoch]).permutation(count)
        for step in range(self.steps):
            yield self._batch(epoch, step, order[step * size : (step + 1) * size])

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Cross entropy; a share of the truth goes to all classes alike."""
        logits = ask(self.model, batch.pixels, self.recipe.optimiser)
        smoothing = self.recipe.loss.smoothing
        return {"label": functional.cross_entropy(logits, batch.label, label_smoothing=smoothing)}

    def judge(self, model: nn.Module) -> dict[str, float]:
        """Share of the watched pictures whose first answer is right, as served."""
        if self.watched is None:
            return {}
        answering = served(self.recipe, model.eval())
        right = 0
        pixels, label = torch.from_numpy(self.watched.pixels), torch.from_numpy(self.watched.label)
        for part, truth in zip(pixels.split(_JUDGED), label.split(_JUDGED), strict=True):
            with torch.no_grad():
                logits = answering.logits(normalised(self.recipe, part))
            right += int((logits.argmax(1) == truth).sum())
        return {"top1": round(right / len(label), 4)}

    def _start(self) -> PlainClassifier:
        model = build(self.recipe, self.labels)
        middle = self.recipe.augment.shift
        inner = self.edged[:_WHITENED, middle : middle + self.side, middle : middle + self.side]
        model.whiten(normalised(self.recipe, inner))
        return model

    def _batch(self, epoch: int, step: int, index: Int64) -> Batch:
        """A window of each picture, mirrored in every other epoch (arXiv 2404.00498, section 3.6)."""
        augment, n = self.recipe.augment, len(index)
        draw = np.random.default_rng([self.recipe.seed, _MOVE_DRAW, epoch, step])
        corner = draw.integers(0, 2 * augment.shift + 1, (2, n, 1))
        rows, columns = corner + np.arange(self.side)
        if augment.flip:
            turned = (self.mirrored[index] ^ bool(epoch % 2))[:, None]
            columns = np.where(turned, columns[:, ::-1], columns)
        place = torch.from_numpy(index)[:, None, None]
        cut = self.edged[place, torch.from_numpy(rows)[:, :, None], torch.from_numpy(columns)[:, None]]
        pixels = cut.float()
        if augment.colour:
            factor, offset = torch.from_numpy(draw.uniform(-1, 1, (2, n, 1, 1, 1)).astype(np.float32))
            pixels = pixels * (1 + augment.colour * factor) + 127.5 * augment.colour * offset
        if augment.hidden and epoch >= augment.hidden_after:
            pixels = _hide(pixels, augment.hidden, torch.tensor(self.recipe.input.mean), draw)
        return Batch(normalised(self.recipe, pixels), self.label[torch.from_numpy(index)])


def build(recipe: ClassifyRecipe, labels: tuple[str, ...]) -> PlainClassifier:
    """The network of a recipe with random weights."""
    torch.manual_seed(recipe.seed)
    form = recipe.network
    model = PlainClassifier(len(labels), form.plan, patch=form.patch, stride=form.stride)
    return model.to(memory_format=torch.channels_last)


def served(recipe: ClassifyRecipe, network: nn.Module) -> Served:
    """The network as it answers."""
    return Served(network, mirror=recipe.network.mirror, moved=recipe.network.moved)


def normalised(recipe: ClassifyRecipe, pixels: Tensor) -> Tensor:
    """(n, h, w, 3) of 0..255 -> (n, 3, h, w) float32 as the input contract says, channels last in memory."""
    contract = recipe.input
    planes = (pixels.float() * contract.scale - torch.tensor(contract.mean)) / torch.tensor(contract.std)
    return planes.permute(0, 3, 1, 2)


def _hide(pixels: Tensor, side: int, colour: Tensor, draw: np.random.Generator) -> Tensor:
    """Paint a square of ``side`` pixels over each picture, anywhere inside (arXiv 1708.04552)."""
    n, height, width, _ = pixels.shape
    corner = torch.from_numpy(draw.integers(0, (height - side + 1, width - side + 1), (n, 2)))
    down = torch.arange(height) - corner[:, :1]
    across = torch.arange(width) - corner[:, 1:]
    rows, columns = ((place >= 0) & (place < side) for place in (down, across))
    return torch.where((rows[:, :, None] & columns[:, None])[..., None], colour, pixels)


def _edged(shelf: Shelf, room: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Every picture with ``room`` more pixels on each side, reflected."""
    return np.pad(shelf.pixels, ((0, 0), (room, room), (room, room), (0, 0)), "reflect")
