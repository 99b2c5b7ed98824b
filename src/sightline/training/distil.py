"""The lesson of a backbone: say of a spoilt view what the start says of the clean one.

Self-distillation towards invariance, as in Hinton et al. (arXiv 1503.02531) for the classes and Romero et al.
(FitNets, arXiv 1412.6550) for the features. Features are compared in units of their own spread, because a
linear probe standardises them too.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - its usual name

from sightline.errors import BadOption
from sightline.training.crops import Crop, objects, read_marked, windows
from sightline.training.lesson import ask
from sightline.training.models.mobilenet_v2 import MobileNetV2, Seen, load_mobilenet_v2
from sightline.training.recipe_features import FeatureRecipe, Pieces
from sightline.training.teacher import Teacher
from sightline.training.views import clean, spoilt
from sightline.types import Int64, UInt8

_MEASURED = 256
"""Pieces from which the spread of the features is taken."""
_WATCHED = 128
_LEAST_SPREAD = 0.05
"""Features go from 0 to 6; some hardly ever leave 0, and their noise is no lesson."""
_SMALL = 32
"""Side of the watched small views, in pixels."""


@dataclass(frozen=True, slots=True, eq=False)
class Views:
    """``pixels`` (n, 3, h, w) float32 from -1 to 1, channels last in memory, and what they show."""

    pixels: Tensor
    crops: list[Crop]


class FeatureLesson:
    """See ``Lesson``. The teacher is the start; it is asked once about each piece and its mirror."""

    def __init__(self, recipe: FeatureRecipe) -> None:
        self.recipe = recipe
        self.size = recipe.input.width
        draw = np.random.default_rng(recipe.seed)
        self.pool = [crop for source in recipe.data.train for crop in pieces(recipe, source, draw)]
        if not self.pool:
            raise BadOption(
                f"The recipe {recipe.name} finds no pictures to train on.",
                next_step="Look at only_url, except_url and the pictures of data.train.",
            )
        self.watched = [crop for source in recipe.data.watch for crop in pieces(recipe, source, draw)]
        self.watched = [self.watched[i] for i in draw.permutation(len(self.watched))[:_WATCHED]]
        self.steps = max(1, min(recipe.data.views, len(self.pool)) // recipe.optimiser.batch)
        self.model: nn.Module = build(recipe)
        self.teacher = Teacher(self.model, recipe.network.teacher_size, recipe.optimiser.threads)
        self.answers: dict[Crop, tuple[Tensor, Tensor]] = {}
        measured = draw.permutation(len(self.pool))[:_MEASURED]
        features, _ = self.taught([self.pool[int(i)] for i in measured])
        self.spread = features.std(0).clamp_min(_LEAST_SPREAD)

    def batches(self, epoch: int) -> Iterator[Views]:
        """Pieces drawn and spoilt by (seed, epoch); one batch is made ahead."""
        size = self.recipe.optimiser.batch
        order = np.random.default_rng([self.recipe.seed, epoch]).permutation(len(self.pool))
        parts = [order[i * size : (i + 1) * size] for i in range(self.steps)]
        with ThreadPoolExecutor(1, thread_name_prefix="views") as ahead:
            coming = ahead.submit(self._views, epoch, 0, parts[0])
            for step in range(self.steps):
                ready = coming.result()
                if step + 1 < self.steps:
                    coming = ahead.submit(self._views, epoch, step + 1, parts[step + 1])
                yield ready

    def loss(self, batch: Views) -> dict[str, Tensor]:
        """Towards the teacher's features and its softened classes."""
        weights = self.recipe.loss
        features, logits = self.taught(batch.crops)
        seen: Seen = ask(self.model, batch.pixels, self.recipe.optimiser)
        warm = weights.temperature
        apart = F.smooth_l1_loss(seen.features / self.spread, features / self.spread)
        classes = F.kl_div(
            (seen.logits / warm).log_softmax(1),
            (logits / warm).log_softmax(1),
            reduction="batchmean",
            log_target=True,
        )
        return {"features": weights.features * apart, "logits": weights.logits * warm**2 * classes}

    @torch.no_grad()
    def judge(self, model: nn.Module) -> dict[str, float]:
        """Mean cosine to the teacher's features: from clean views, and from 32 pixels a side."""
        if not self.watched:
            return {}
        model.eval()
        wanted, _ = self.taught(self.watched)
        figures: dict[str, list[float]] = {"clean": [], "small": []}
        for crop, features in zip(self.watched, wanted, strict=True):
            picture = crop.read()
            small = picture.resize((_SMALL, _SMALL), reducing_gap=2.0)
            seen: Seen = model(tensor([clean(picture, self.size), clean(small, self.size)]))
            alike = F.cosine_similarity(seen.features, features[None]).tolist()
            for name, value in zip(figures, alike, strict=True):
                figures[name].append(value)
        return {name: round(float(np.mean(values)), 4) for name, values in figures.items()}

    def taught(self, crops: Sequence[Crop]) -> tuple[Tensor, Tensor]:
        """The teacher's (n, 1280) features and (n, 1001) logits of clean pieces, asked once about each."""
        for crop in crops:
            if crop not in self.answers:
                features, logits = self.teacher.ask(clean(crop.read(), self.recipe.network.teacher_size))
                self.answers[crop] = (torch.from_numpy(features), torch.from_numpy(logits))
        rows = [self.answers[crop] for crop in crops]
        return torch.stack([row[0] for row in rows]), torch.stack([row[1] for row in rows])

    def _views(self, epoch: int, step: int, index: Int64) -> Views:
        draw = np.random.default_rng([self.recipe.seed, epoch, step])
        crops = [self.pool[int(i)] for i in index]
        seen = [spoilt(crop.read(), self.size, self.recipe.augment, draw) for crop in crops]
        return Views(tensor(seen), crops)


def pieces(recipe: FeatureRecipe, source: Pieces, draw: np.random.Generator) -> Iterator[Crop]:
    """All that a source gives."""
    marked = read_marked(
        recipe.path(source.annotations),
        recipe.path(source.pictures),
        file_key=source.file_key,
        only_url=source.only_url,
        except_url=source.except_url,
    )
    for picture in marked[: source.first or None]:
        if source.whole:
            yield Crop(picture.path)
        yield from windows(picture, source.windows, draw)
        if source.objects:
            yield from objects(picture, margin=source.margin, smallest=source.smallest, most=source.objects)


def build(recipe: FeatureRecipe) -> MobileNetV2:
    """The network of a recipe with its starting weights."""
    torch.manual_seed(recipe.seed)
    model = MobileNetV2()
    if recipe.network.start:
        load_mobilenet_v2(model, recipe.path(recipe.network.start))
    if recipe.network.frozen:  # the earliest blocks look at the most pixels: half of the time goes into them
        for part in (model.stem, model.blocks[: recipe.network.frozen]):
            part.requires_grad_(requires_grad=False)
    return model.to(memory_format=torch.channels_last)


def tensor(pictures: Sequence[UInt8]) -> Tensor:
    """(h, w, 3) RGB pictures of one size -> what the network takes."""
    pixels = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float()
    return (pixels / 127.5 - 1).contiguous(memory_format=torch.channels_last)
