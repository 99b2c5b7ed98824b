"""Boxes that a teacher finds in pictures that nobody has marked, from several looks at each.

Looks at several sizes, straight and mirrored, are fused (Solovyev et al., "Weighted boxes fusion", arXiv
1910.13302): boxes of one label that overlap are averaged, weighted by score, and the score is the mean over
all looks, 0 where a look found nothing. The fused answer is better than any single look, so a network that
learns from it can become better than its teacher (Xie et al., "Noisy Student", arXiv 1911.04252).
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.ops import batched_nms, box_iou

from sightline.training.grid_loss import Grid
from sightline.training.models.nano_detector import NanoDetector, boxes, cells, distances
from sightline.training.pictures import Example
from sightline.types import Float32, Int64, UInt8

SIZES = (416, 640)
LOWEST = 0.1
"""Weaker marks are not kept."""
SAME = 0.65
"""Boxes that overlap more are one object."""
MOST = 100
BATCH = 8


@dataclass(frozen=True, slots=True, eq=False)
class Marks:
    """Boxes (n, 4) in pixels of the picture, scores (n,), labels (n,)."""

    xyxy: Tensor
    score: Tensor
    label: Tensor


def marked(model: NanoDetector, examples: Sequence[Example], cache: Path) -> list[Example]:
    """The examples with the teacher's marks instead of their own, without crowds.

    Answers are kept in ``cache``, by teacher and picture: a run that goes on does not ask again.
    """
    cache.mkdir(parents=True, exist_ok=True)
    teacher = _digest(model)
    paths = [
        cache / f"{hashlib.sha256(teacher + example.pixels.tobytes()).hexdigest()[:32]}.npz"
        for example in examples
    ]
    missing = [i for i, path in enumerate(paths) if not path.is_file()]
    for start in range(0, len(missing), BATCH):
        part = missing[start : start + BATCH]
        for i, marks in zip(part, look(model, [examples[i].pixels for i in part]), strict=True):
            _keep(paths[i], marks)
    found = []
    for example, path in zip(examples, paths, strict=True):
        with np.load(path) as kept:
            found.append(_example(example, kept["xyxy"], kept["score"], kept["label"]))
    return found


def look(model: NanoDetector, pictures: Sequence[UInt8]) -> list[Marks]:
    """What the teacher finds in pictures (h, w, 3), all looks at each fused."""
    looks = [list(_look(model, pictures, size, mirrored)) for size in SIZES for mirrored in (False, True)]
    return [fuse([one[i] for one in looks]) for i in range(len(pictures))]


def fuse(looks: Sequence[Marks]) -> Marks:
    """Weighted boxes fusion of several looks at one picture, strongest first."""
    xyxy = torch.cat([item.xyxy for item in looks])
    score = torch.cat([item.score for item in looks])
    label = torch.cat([item.label for item in looks])
    source = torch.cat([torch.full((len(item.score),), i) for i, item in enumerate(looks)])
    order = score.argsort(descending=True, stable=True)
    xyxy, score, label, source = xyxy[order], score[order], label[order], source[order]
    alike = (box_iou(xyxy, xyxy) > SAME) & (label[:, None] == label)
    free = torch.ones(len(score), dtype=torch.bool)
    rows: list[tuple[Tensor, float, int]] = []
    for first in range(len(score)):
        if not free[first]:
            continue
        group = (alike[first] & free).nonzero()[:, 0]
        free[group] = False
        weight = score[group]
        best = torch.zeros(len(looks)).scatter_reduce(0, source[group], weight, "amax")
        box = (xyxy[group] * weight[:, None]).sum(0) / weight.sum()
        rows.append((box, float(best.mean()), int(label[first])))
    rows.sort(key=lambda row: -row[1])
    kept = [row for row in rows[:MOST] if row[1] >= LOWEST]
    return Marks(
        torch.stack([row[0] for row in kept]) if kept else torch.zeros(0, 4),
        torch.tensor([row[1] for row in kept]),
        torch.tensor([row[2] for row in kept], dtype=torch.long),
    )


@torch.no_grad()
def _look(model: NanoDetector, pictures: Sequence[UInt8], size: int, mirrored: bool) -> Iterator[Marks]:  # noqa: FBT001
    """One look at each picture."""
    grid = Grid(*cells(size, size))
    canvases = torch.cat([_canvas(pixels[:, ::-1] if mirrored else pixels, size) for pixels in pictures])
    answer = model(model.normalised(canvases))
    chances = answer.logits.sigmoid()
    everywhere = boxes(distances(answer.spread), grid.points, grid.strides)
    for pixels, chance, found in zip(pictures, chances, everywhere, strict=True):
        height, width = pixels.shape[:2]
        whole = torch.tensor([width, height, width, height]).float()
        cell, label = (chance > LOWEST / 4).nonzero(as_tuple=True)
        score = chance[cell, label]
        xyxy = torch.minimum((found[cell] / size * whole).clamp(min=0), whole)
        if mirrored:
            xyxy = torch.stack([width - xyxy[:, 2], xyxy[:, 1], width - xyxy[:, 0], xyxy[:, 3]], 1)
        kept = batched_nms(xyxy, score, label, SAME)[:MOST]
        yield Marks(xyxy[kept], score[kept], label[kept])


def _canvas(pixels: UInt8, size: int) -> Tensor:
    """(h, w, 3) -> (1, 3, size, size) float32, stretched."""
    picture = Image.fromarray(np.ascontiguousarray(pixels)).resize((size, size), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.asarray(picture).copy()).permute(2, 0, 1)[None].float()


def _example(example: Example, xyxy: Float32, score: Float32, label: Int64) -> Example:
    none = np.zeros((0, 4), np.float32)
    return replace(
        example, xyxy=xyxy, label=label, score=score, masks=(), crowd=none, crowd_label=np.zeros(0, np.int64)
    )


def _digest(model: NanoDetector) -> bytes:
    summed = hashlib.sha256(repr((SIZES, LOWEST, SAME, MOST)).encode())
    for name, weights in model.state_dict().items():
        if not name.startswith("masks."):  # they have no say in boxes
            summed.update(weights.contiguous().numpy().tobytes())
    return summed.digest()


def _keep(path: Path, marks: Marks) -> None:
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        np.savez(file, xyxy=marks.xyxy.numpy(), score=marks.score.numpy(), label=marks.label.numpy())
    part.replace(path)
