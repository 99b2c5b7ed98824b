"""The lesson of detection: boxes in pictures, learned by a grid detector."""

import copy
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.ops import batched_nms

from sightline.evaluation.coco import judge
from sightline.training.grid_loss import Grid, Truth, label_loss, teacher_loss
from sightline.training.models.grid_detector import GridDetector, boxes, cells
from sightline.training.models.start import load_yolox_nano
from sightline.training.pictures import Example, Sample, labels_of, plain, read_source, vary
from sightline.training.recipe_detect import DetectRecipe
from sightline.types import Int64

LOWEST_SCORE = 0.01


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """``pixels`` (n, 3, h, w) float32 RGB 0..255, channels last in memory, and what is marked."""

    pixels: Tensor
    truths: list[Truth]
    step: int = 0


class DetectLesson:
    """See ``Lesson``. The teacher is the starting network itself, asked about every other batch in a mirror.

    So its errors on one view are corrected by its answer on the other, and the network learns to
    answer both alike.
    """

    def __init__(self, recipe: DetectRecipe) -> None:
        self.recipe = recipe
        self.labels = labels_of(recipe)
        self.size = recipe.input.width
        self.grid = Grid(*cells(self.size, self.size))
        self.pool = [
            example
            for source in recipe.data.train
            for example in read_source(recipe, source, self.labels) * source.repeat
        ]
        self.watched = [
            example for source in recipe.data.watch for example in read_source(recipe, source, self.labels)
        ]
        self.steps = max(1, len(self.pool) // recipe.optimiser.batch)
        self.model: nn.Module = build(recipe, len(self.labels))
        self.teacher = copy.deepcopy(self.model).eval().requires_grad_(requires_grad=False)

    def batches(self, epoch: int) -> Iterator[Batch]:
        """Every picture once, ordered and varied by (seed, epoch); one batch is made ahead."""
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
        weights = self.recipe.loss
        taught = self._taught(batch.pixels, mirrored=batch.step % 2 == 1) if weights.teacher else None
        raw = self.model(batch.pixels)
        parts = {k: v * weights.labels for k, v in label_loss(raw, batch.truths, self.grid, taught).items()}
        if taught is not None:
            parts |= {k: v * weights.teacher for k, v in teacher_loss(raw, taught, self.grid).items()}
        return parts

    def judge(self, model: nn.Module) -> dict[str, float]:
        """COCO average precision on the watched pictures, by the reference implementation."""
        if not self.watched:
            return {}
        assert isinstance(model, GridDetector)
        model.eval()
        found = [
            entry
            for image, example in enumerate(self.watched, 1)
            for entry in detect(model, example, self.grid, self.size, image)
        ]
        figures = judge(as_coco(self.watched, len(self.labels)), found).figures
        return {name: round(figures[name].value, 4) for name in ("AP", "AP50", "AR100")}

    def _batch(self, epoch: int, step: int, index: Int64) -> Batch:
        augment = self.recipe.augment
        if epoch >= self.recipe.optimiser.epochs - augment.plain_epochs:
            augment = augment.model_copy(update={"mosaic": 0.0})
        draw = np.random.default_rng([self.recipe.seed, epoch, step])
        return stack([vary(self.pool, int(i), self.size, augment, draw) for i in index], step)

    @torch.no_grad()
    def _taught(self, pixels: Tensor, *, mirrored: bool) -> Tensor:
        assert isinstance(self.teacher, GridDetector)
        if not mirrored:
            return self.teacher.probabilities(pixels)
        turned = pixels.flip(3).contiguous(memory_format=torch.channels_last)
        return self._mirror(self.teacher.probabilities(turned))

    def _mirror(self, taught: Tensor) -> Tensor:
        """The answer about a mirrored picture as one about the picture: cells and offsets swap sides."""
        columns = self.size / self.grid.strides
        start = torch.arange(len(columns)) - self.grid.corners[:, 0].long()
        swapped = taught[:, start + (columns - 1).long() - self.grid.corners[:, 0].long()]
        # A centre dx cells to the right of its cell's left edge lies 1 - dx from it in the mirror.
        return torch.cat([1 - swapped[..., :1], swapped[..., 1:]], 2)


def build(recipe: DetectRecipe, classes: int) -> GridDetector:
    """The network of a recipe with its starting weights."""
    torch.manual_seed(recipe.seed)
    model = GridDetector(classes, recipe.network.width)
    if recipe.network.start:
        load_yolox_nano(model, recipe.path(recipe.network.start))
    return model.to(memory_format=torch.channels_last)


def stack(samples: Sequence[Sample], step: int = 0) -> Batch:
    """Samples of one size -> a batch."""
    pixels = torch.from_numpy(np.stack([sample.pixels for sample in samples]))
    truths = [
        Truth(torch.from_numpy(s.xyxy), torch.from_numpy(s.label), torch.from_numpy(s.crowd), s.complete)
        for s in samples
    ]
    return Batch(
        pixels.permute(0, 3, 1, 2).float().contiguous(memory_format=torch.channels_last), truths, step
    )


@torch.no_grad()
def detect(model: GridDetector, example: Example, grid: Grid, size: int, image: int) -> list[dict[str, Any]]:
    """What is found in an example, as it is served, in COCO's result form."""
    answer = model.probabilities(stack([plain(example, size)]).pixels)[0]
    score = answer[:, 5:] * answer[:, 4:5]
    cell, label = (score > LOWEST_SCORE).nonzero(as_tuple=True)
    best = score[cell, label]
    scale = size / max(example.pixels.shape[:2])
    xyxy = boxes(answer[None], grid.corners, grid.strides)[0][cell] / scale
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
