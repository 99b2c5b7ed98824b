"""The lesson of detection: boxes and masks in pictures, learned by a grid detector."""

import copy
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.ops import batched_nms

from sightline.errors import BadOption, ConfigError
from sightline.evaluation.coco import judge
from sightline.registry.labels import COCO
from sightline.training.grid_loss import Grid, Truth, label_loss, matches, teacher_loss
from sightline.training.lesson import ask
from sightline.training.mask_loss import mask_loss, neighbours
from sightline.training.models.nano_detector import (
    BINS,
    Answer,
    NanoDetector,
    boxes,
    cells,
    distances,
)
from sightline.training.models.ncnn_start import load_nanodet_plus
from sightline.training.norm import unfold
from sightline.training.pictures import (
    Example,
    Sample,
    base_scale,
    labels_of,
    plain,
    read_source,
    vary,
)
from sightline.training.recipe_detect import DetectRecipe, Source
from sightline.training.teacher_marks import marked
from sightline.types import Int64

LOWEST_SCORE = 0.01
_MEASURED = 24
"""Batches on which norms are measured before training."""
_SILENT = -30.0
"""The logit of a score that is none."""
_BEFORE_ALL = 1 << 30
"""The epoch whose pictures are only measured."""


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """``pixels`` (n, 3, h, w) float32 RGB 0..255, channels last in memory, and what is marked."""

    pixels: Tensor
    truths: list[Truth]


class DetectLesson:
    """See ``Lesson``. The teacher is the starting network itself: staying close to it forgets nothing.

    It is only asked at sizes up to ``network.teacher_size``: beyond those it saw in its own training it finds
    large objects badly.
    """

    def __init__(self, recipe: DetectRecipe) -> None:
        self.recipe = recipe
        self.part = slice(None)
        self.labels = labels_of(recipe)
        self.size = recipe.input.width
        self.sizes = recipe.augment.sizes or (self.size,)
        self.stretch = recipe.input.resize == "stretch"
        self.grids = {size: Grid(*cells(size, size)) for size in {*self.sizes, self.size}}
        self.model: nn.Module = build(recipe, self.labels)
        self.teacher = copy.deepcopy(self.model).eval().requires_grad_(requires_grad=False)
        self.pool = [
            example for source in recipe.data.train for example in self._read(source) * source.repeat
        ]
        if not self.pool:
            raise BadOption(
                f"The recipe {recipe.name} finds no pictures to train on.",
                next_step="Look at only_url, except_url and skip_missing of data.train.",
            )
        if recipe.optimiser.processes > 1 and len(self.pool) < recipe.optimiser.batch:
            raise BadOption(
                f"The recipe {recipe.name} finds {len(self.pool)} pictures: too few to fill one batch.",
                next_step="Lower optimiser.batch, or train with one process.",
            )
        self.watched = [
            example for source in recipe.data.watch for example in read_source(recipe, source, self.labels)
        ]
        self.steps = max(1, len(self.pool) // recipe.optimiser.batch)
        if recipe.network.norm != "none":
            within = self.model.masks if recipe.network.norm == "masks" else None
            unfold(self.model, _look, islice(self.batches(_BEFORE_ALL), _MEASURED), within)
            self.model.to(memory_format=torch.channels_last)

    def batches(self, epoch: int) -> Iterator[Batch]:
        """Every picture once but those that fill no batch, ordered and varied by (seed, epoch).

        One batch is made ahead.
        """
        size = self.recipe.optimiser.batch
        order = np.random.default_rng([self.recipe.seed, epoch]).permutation(len(self.pool))
        parts = [order[i * size : (i + 1) * size] for i in range(self.steps)]
        with ThreadPoolExecutor(1, thread_name_prefix="pictures") as ahead:
            coming = ahead.submit(self._batch, epoch, 0, parts[0])
            for step in range(self.steps):
                ready = coming.result()
                if step + 1 < self.steps:
                    coming = ahead.submit(self._batch, epoch, step + 1, parts[step + 1])
                yield ready

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Towards the marks, and towards the teacher."""
        weights, size = self.recipe.loss, batch.pixels.shape[-1]
        grid, seen = self.grids[size], NanoDetector.normalised(batch.pixels)
        answer: Answer = ask(self.model, seen, self.recipe.optimiser)
        found, xyxy = matches(answer, batch.truths, grid)
        parts: dict[str, Tensor] = {}
        if answer.logits.requires_grad:  # else only the masks learn
            taught = self._taught(seen, batch.truths)
            scores = None if taught is None else taught.logits.sigmoid()
            parts = label_loss(answer, batch.truths, grid, found, xyxy, scores)
            parts = {name: value * weights.labels for name, value in parts.items()}
            if taught is not None:
                told = teacher_loss(answer, taught, batch.truths)
                parts |= {name: value * weights.teacher for name, value in told.items()}
        if answer.prototypes is not None and weights.masks:
            alike = neighbours(batch.pixels)
            parts |= {k: v * weights.masks for k, v in mask_loss(answer, batch.truths, found, alike).items()}
        return parts

    @torch.no_grad()
    def _taught(self, seen: Tensor, truths: Sequence[Truth]) -> Answer | None:
        """What the teacher says, if it is asked about canvases of this size; zeros where nobody listens."""
        if not self.recipe.loss.teacher or seen.shape[-1] > self.recipe.network.teacher_size:
            return None
        heard = torch.tensor([truth.teacher or not truth.complete for truth in truths])
        if heard.all():
            answer: Answer = self.teacher(seen)
            return answer
        silent = len(truths), len(self.grids[seen.shape[-1]].strides)
        logits = torch.full((*silent, len(self.labels)), _SILENT)
        spread = torch.zeros(*silent, 4, BINS)
        if heard.any():
            said: Answer = self.teacher(seen[heard].contiguous(memory_format=torch.channels_last))
            logits[heard], spread[heard] = said.logits, said.spread
        return Answer(logits, spread)

    def judge(self, model: nn.Module) -> dict[str, float]:
        """COCO average precision on the watched pictures, by the reference implementation."""
        if not self.watched:
            return {}
        assert isinstance(model, NanoDetector)
        model.eval()
        found = [
            entry
            for image, example in enumerate(self.watched, 1)
            for entry in self.detect(model, example, image)
        ]
        figures = judge(as_coco(self.watched, len(self.labels)), found).figures
        # Of labels that nobody marked on the watched pictures there is no figure.
        return {name: round(figures[name].value, 4) for name in ("AP", "AP50", "AR100") if name in figures}

    @torch.no_grad()
    def detect(self, model: NanoDetector, example: Example, image: int) -> list[dict[str, Any]]:
        """What is found in an example, as it is served, in COCO's result form."""
        size, grid = self.size, self.grids[self.size]
        answer = model(model.normalised(stack([plain(example, size, stretch=self.stretch)]).pixels))
        score = answer.logits[0].sigmoid()
        cell, label = (score > LOWEST_SCORE).nonzero(as_tuple=True)
        best = score[cell, label]
        across, down = base_scale(example, size, stretch=self.stretch)
        found = boxes(distances(answer.spread), grid.points, grid.strides)[0]
        xyxy = found[cell] / torch.tensor([across, down] * 2)
        kept = batched_nms(xyxy, best, label, 0.65)[:100]
        return [
            {
                "image_id": image,
                "category_id": int(label[i]),
                "score": float(best[i]),
                "bbox": _xywh(xyxy[i].tolist()),
            }
            for i in kept.tolist()
        ]

    def _read(self, source: Source) -> list[Example]:
        examples = read_source(self.recipe, source, self.labels)
        if source.marks == "people":
            return examples
        assert isinstance(self.teacher, NanoDetector)
        return marked(self.teacher, examples, Path(self.recipe.data.cache))

    def _batch(self, epoch: int, step: int, index: Int64) -> Batch:
        augment = self.recipe.augment
        if epoch >= self.recipe.optimiser.epochs - augment.plain_epochs:
            augment = augment.model_copy(update={"mosaic": 0.0})
        size = int(np.random.default_rng([self.recipe.seed, epoch, step]).choice(self.sizes))
        return stack(
            [
                vary(
                    self.pool,
                    int(index[place]),
                    size,
                    augment,
                    np.random.default_rng([self.recipe.seed, epoch, step, place + 1]),
                    stretch=self.stretch,
                )
                for place in range(len(index))[self.part]
            ]
        )


def _look(model: nn.Module, batch: Batch) -> object:
    return model(NanoDetector.normalised(batch.pixels))


def build(recipe: DetectRecipe, labels: Sequence[str]) -> NanoDetector:
    """The network of a recipe with its starting weights."""
    torch.manual_seed(recipe.seed)
    model = NanoDetector(len(labels), recipe.network.prototypes, float(recipe.network.width))
    if recipe.network.start:
        missing = [label for label in labels if label not in COCO]
        if missing:
            raise ConfigError(
                f"The start {recipe.network.start} does not know the label {missing[0]!r}.",
                next_step="Use labels of COCO, or leave network.start out.",
            )
        known = [COCO.index(label) for label in labels]
        load_nanodet_plus(model, recipe.path(recipe.network.start), known)
        model.fresh = ("masks.",)
    return model.to(memory_format=torch.channels_last)


def stack(samples: Sequence[Sample]) -> Batch:
    """Samples of one size -> a batch."""
    pixels = torch.from_numpy(np.stack([sample.pixels for sample in samples]))
    truths = [
        Truth(
            torch.from_numpy(s.xyxy),
            torch.from_numpy(s.label),
            torch.from_numpy(s.crowd),
            s.complete,
            torch.from_numpy(s.score),
            torch.from_numpy(s.masks).float() / 255,
            torch.from_numpy(s.masked),
            s.teacher,
        )
        for s in samples
    ]
    return Batch(pixels.permute(0, 3, 1, 2).float().contiguous(memory_format=torch.channels_last), truths)


def as_coco(examples: Sequence[Example], classes: int) -> dict[str, Any]:
    """Examples as a COCO data set; image ids count from 1, category ids are label positions."""
    marks: list[dict[str, Any]] = []
    for image, example in enumerate(examples, 1):
        rows = [
            (xyxy, label, 0)
            for xyxy, label in zip(example.xyxy.tolist(), example.label.tolist(), strict=True)
        ]
        rows += [
            (xyxy, label, 1)
            for xyxy, label in zip(example.crowd.tolist(), example.crowd_label.tolist(), strict=True)
        ]
        for xyxy, label, crowd in rows:
            box = _xywh(xyxy)
            marks.append(
                {
                    "id": len(marks) + 1,
                    "image_id": image,
                    "category_id": label,
                    "bbox": box,
                    "area": box[2] * box[3],
                    "iscrowd": crowd,
                }
            )
    images = [{"id": image} for image in range(1, len(examples) + 1)]
    return {"images": images, "annotations": marks, "categories": [{"id": label} for label in range(classes)]}


def _xywh(xyxy: list[float]) -> list[float]:
    x1, y1, x2, y2 = xyxy
    return [x1, y1, x2 - x1, y2 - y1]
