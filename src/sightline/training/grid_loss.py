"""What a grid detector is asked for: to match the marked boxes, and to stay close to its teacher.

Matching is SimOTA (Ge et al., "YOLOX", arXiv 2107.08430, section 2.1; "OTA", arXiv 2103.14259):
every marked box takes the k cells that suit it best, k being about the sum of the overlaps that the
best ten already have. The teacher's part is plain distillation (Hinton et al., arXiv 1503.02531) on
objectness, classes and boxes, weighted by how sure the teacher is that something is there.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional
from torchvision.ops import box_iou

from sightline.training.models.grid_detector import boxes

CENTRE_RADIUS = 2.5
CANDIDATES = 10
BOX_WEIGHT = 5.0
TEACHER_BOX_WEIGHT = 2.0


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """The cells of one canvas size: ``corners`` (c, 2) in cells, ``strides`` (c,) in pixels."""

    corners: Tensor
    strides: Tensor

    @property
    def centres(self) -> Tensor:
        """(c, 2), canvas pixels."""
        return (self.corners + 0.5) * self.strides[:, None]


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """What is marked in one picture, canvas pixels."""

    xyxy: Tensor
    label: Tensor
    crowd: Tensor
    complete: bool


@dataclass(frozen=True, slots=True, eq=False)
class Match:
    """``cell`` (m,) takes on the marked box ``target`` (m,), which it overlaps by ``iou`` (m,)."""

    cell: Tensor
    target: Tensor
    iou: Tensor


@torch.no_grad()
def match(raw: Tensor, xyxy: Tensor, truth: Truth, grid: Grid) -> Match:
    """Which cells answer for which marked boxes, for one picture: ``raw`` (c, 5 + k), ``xyxy`` (c, 4)."""
    count = len(truth.label)
    if count == 0:
        none = torch.zeros(0, dtype=torch.long)
        return Match(none, none, torch.zeros(0))
    inside, near = _candidates(truth.xyxy, grid)
    cell = (inside | near).any(0).nonzero()[:, 0]
    both = (inside & near)[:, cell]
    iou = box_iou(truth.xyxy, xyxy[cell])
    score = (raw[cell, 5:].sigmoid() * raw[cell, 4:5].sigmoid()).sqrt().clamp(1e-7, 1 - 1e-7)
    # Binary cross-entropy against a one-hot target, for all labels at once.
    nothing = -torch.log1p(-score).sum(1)
    own = score[:, truth.label].T
    kind = nothing[None] + torch.log1p(-own) - own.log()
    cost = kind - 3.0 * iou.clamp(min=1e-8).log() + 1e5 * ~both
    chosen = torch.zeros_like(cost, dtype=torch.bool)
    wanted = iou.topk(min(CANDIDATES, iou.shape[1]), 1).values.sum(1).int().clamp(min=1)
    for row in range(count):
        best = cost[row].topk(int(wanted[row]), largest=False).indices
        chosen[row, best] = True
    # A cell that several boxes want goes to the cheapest one.
    cheapest = torch.zeros_like(chosen).scatter_(0, cost.argmin(0, keepdim=True), value=True)
    chosen &= cheapest | (chosen.sum(0) < 2)
    target, column = chosen.nonzero(as_tuple=True)
    return Match(cell[column], target, iou[target, column])


def _candidates(xyxy: Tensor, grid: Grid) -> tuple[Tensor, Tensor]:
    """(t, c) bool: the cell's centre lies in the box; it lies near the box's centre."""
    centre = grid.centres[None]
    inside = ((centre > xyxy[:, None, :2]) & (centre < xyxy[:, None, 2:])).all(2)
    middle = (xyxy[:, None, :2] + xyxy[:, None, 2:]) / 2
    near = ((centre - middle).abs() < CENTRE_RADIUS * grid.strides[None, :, None]).all(2)
    return inside, near


def label_loss(raw: Tensor, truths: list[Truth], grid: Grid, taught: Tensor | None) -> dict[str, Tensor]:
    """Loss against the marks, per matched cell; ``raw`` (n, c, 5 + k), ``taught`` the teacher's answer."""
    xyxy = boxes(raw, grid.corners, grid.strides)
    thing_target = torch.zeros(raw.shape[:2])
    thing_weight = torch.ones(raw.shape[:2])
    place = raw.new_zeros(())
    kind = raw.new_zeros(())
    total = 0
    for picture, truth in enumerate(truths):
        found = match(raw[picture], xyxy[picture], truth, grid)
        _without_marks(
            thing_target[picture],
            thing_weight[picture],
            truth,
            grid,
            None if taught is None else taught[picture],
        )
        thing_target[picture, found.cell] = 1.0
        thing_weight[picture, found.cell] = 1.0
        total += len(found.cell)
        overlap = paired_iou(xyxy[picture, found.cell], truth.xyxy[found.target])
        place = place + (1 - overlap.square()).sum()
        wanted = functional.one_hot(truth.label[found.target], raw.shape[2] - 5) * found.iou[:, None]
        kind = kind + functional.binary_cross_entropy_with_logits(
            raw[picture, found.cell, 5:], wanted, reduction="sum"
        )
    thing = functional.binary_cross_entropy_with_logits(
        raw[..., 4], thing_target, thing_weight, reduction="sum"
    )
    scale = 1 / max(total, 1)
    return {"box": BOX_WEIGHT * place * scale, "thing": thing * scale, "label": kind * scale}


def _without_marks(target: Tensor, weight: Tensor, truth: Truth, grid: Grid, taught: Tensor | None) -> None:
    """Cells where "nothing is there" is not known: in crowds, and for labels that nobody marked."""
    if len(truth.crowd):
        inside, _ = _candidates(truth.crowd, grid)
        weight[inside.any(0)] = 0.0
    if not truth.complete and taught is not None:
        target.copy_(taught[:, 4])


def teacher_loss(raw: Tensor, taught: Tensor, grid: Grid) -> dict[str, Tensor]:
    """Distance to the teacher's answer ``taught`` (n, c, 5 + k) (box numbers, then probabilities)."""
    sure = taught[..., 4]
    scale = 1 / (sure.sum() + 1)
    thing = functional.binary_cross_entropy_with_logits(raw[..., 4], sure, reduction="sum")
    kind = functional.binary_cross_entropy_with_logits(raw[..., 5:], taught[..., 5:], reduction="none").sum(2)
    overlap = paired_iou(boxes(raw, grid.corners, grid.strides), boxes(taught, grid.corners, grid.strides))
    return {
        "taught_thing": thing * scale,
        "taught_label": (kind * sure).sum() * scale,
        "taught_box": TEACHER_BOX_WEIGHT * ((1 - overlap) * sure).sum() * scale,
    }


def paired_iou(one: Tensor, other: Tensor) -> Tensor:
    """Overlap of boxes pair by pair: (..., 4) and (..., 4) -> (...)."""
    low = torch.maximum(one[..., :2], other[..., :2])
    high = torch.minimum(one[..., 2:], other[..., 2:])
    shared = (high - low).clamp(min=0).prod(-1)
    areas = (one[..., 2:] - one[..., :2]).prod(-1) + (other[..., 2:] - other[..., :2]).prod(-1)
    return shared / (areas - shared).clamp(min=1e-6)
