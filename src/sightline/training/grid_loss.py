"""What a grid detector is asked for: to match the marked objects, and to stay close to its teacher.

Matching follows SimOTA (Ge et al., "YOLOX", arXiv 2107.08430, section 2.1; "OTA", arXiv 2103.14259):
every marked object takes the k cells that suit it best, k being about the sum of the overlaps that the best
ten already have. Scores learn the overlap itself, and distances are distributions (Li et al., "Generalized
Focal Loss", arXiv 2006.04388). The teacher's part is plain distillation (Hinton et al., arXiv 1503.02531) on
scores and distances, weighted by how sure the teacher is.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional
from torchvision.ops import box_iou

from sightline.training.models.nano_detector import BINS, Answer, boxes, distances

CENTRE_RADIUS = 2.5
CANDIDATES = 10
BOX_WEIGHT = 2.0
SPREAD_WEIGHT = 0.25
TEACHER_SPREAD_WEIGHT = 1.0
_TINY = 1e-7


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """The cells of one canvas size: ``points`` (c, 2) in canvas pixels, ``strides`` (c,) in pixels."""

    points: Tensor
    strides: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """What is marked in one picture, canvas pixels.

    ``score`` (t,) is 1 for people's marks and the teacher's score for what the teacher marked.
    ``masks`` (t, h / 4, w / 4) in 0..1, true only where ``masked`` (t,).
    """

    xyxy: Tensor
    label: Tensor
    crowd: Tensor
    complete: bool
    score: Tensor = field(default_factory=lambda: torch.zeros(0))
    masks: Tensor | None = None
    masked: Tensor | None = None
    teacher: bool = True
    """Whether the teacher has a say in this picture."""


@dataclass(frozen=True, slots=True, eq=False)
class Match:
    """``cell`` (m,) takes on the marked object ``target`` (m,), which it overlaps by ``iou`` (m,)."""

    cell: Tensor
    target: Tensor
    iou: Tensor


@torch.no_grad()
def match(logits: Tensor, xyxy: Tensor, truth: Truth, grid: Grid) -> Match:
    """Which cells answer for which marked objects, for one picture: ``logits`` (c, k), ``xyxy`` (c, 4)."""
    count = len(truth.label)
    if count == 0:
        none = torch.zeros(0, dtype=torch.long)
        return Match(none, none, torch.zeros(0))
    inside, near = _candidates(truth.xyxy, grid)
    cell = (inside | near).any(0).nonzero()[:, 0]
    both = (inside & near)[:, cell]
    iou = box_iou(truth.xyxy, xyxy[cell])
    own = logits[cell][:, truth.label].T
    wanted = iou.detach()
    kind = functional.binary_cross_entropy_with_logits(own, wanted, reduction="none")
    cost = kind * (wanted - own.sigmoid()).square() - 3.0 * iou.clamp(min=1e-8).log() + 1e5 * ~both
    chosen = torch.zeros_like(cost, dtype=torch.bool)
    most = iou.topk(min(CANDIDATES, iou.shape[1]), 1).values.sum(1).int().clamp(min=1)
    for row in range(count):
        best = cost[row].topk(int(most[row]), largest=False).indices
        chosen[row, best] = True
    # A cell that several objects want goes to the cheapest one.
    cheapest = torch.zeros_like(chosen).scatter_(0, cost.argmin(0, keepdim=True), value=True)
    chosen &= cheapest | (chosen.sum(0) < 2)
    target, column = chosen.nonzero(as_tuple=True)
    return Match(cell[column], target, iou[target, column])


def _candidates(xyxy: Tensor, grid: Grid) -> tuple[Tensor, Tensor]:
    """(t, c) bool: the cell's point lies in the box, from where distances reach; it lies near the middle."""
    point = grid.points[None]
    inside = ((point >= xyxy[:, None, :2]) & (point < xyxy[:, None, 2:])).all(2)
    middle = (xyxy[:, None, :2] + xyxy[:, None, 2:]) / 2
    near = ((point - middle).abs() < CENTRE_RADIUS * grid.strides[None, :, None]).all(2)
    return inside, near


def matches(answer: Answer, truths: Sequence[Truth], grid: Grid) -> tuple[list[Match], Tensor]:
    """The matches of each picture of a batch, and all boxes (n, c, 4)."""
    xyxy = boxes(distances(answer.spread), grid.points, grid.strides)
    found = [match(answer.logits[i], xyxy[i], truth, grid) for i, truth in enumerate(truths)]
    return found, xyxy


def label_loss(
    answer: Answer,
    truths: Sequence[Truth],
    grid: Grid,
    found: Sequence[Match],
    xyxy: Tensor,
    taught: Tensor | None,
) -> dict[str, Tensor]:
    """Loss against the marks; ``taught`` (n, c, k) the teacher's scores, where there is a teacher."""
    target = torch.zeros_like(answer.logits)
    known = torch.ones(answer.logits.shape[:2])
    place, spread, total = answer.logits.new_zeros(()), answer.logits.new_zeros(()), 0.0
    for picture, (truth, pairs) in enumerate(zip(truths, found, strict=True)):
        _without_marks(target[picture], known[picture], truth, grid, taught, picture)
        quality = _quality(pairs, truth)
        target[picture, pairs.cell] = 0.0
        target[picture, pairs.cell, truth.label[pairs.target]] = quality
        known[picture, pairs.cell] = 1.0
        wanted = truth.xyxy[pairs.target]
        place = place + ((1 - paired_giou(xyxy[picture, pairs.cell], wanted)) * quality).sum()
        reach = _reach(wanted, pairs.cell, grid)
        spread = spread + (_spread_loss(answer.spread[picture, pairs.cell], reach) * quality).sum()
        total += float(quality.sum())
    kind = _focal(answer.logits, target) * known[..., None]
    scale = 1 / max(total, 1.0)
    return {
        "label": kind.sum() * scale,
        "box": BOX_WEIGHT * place * scale,
        "spread": SPREAD_WEIGHT * spread * scale,
    }


def _quality(pairs: Match, truth: Truth) -> Tensor:
    """What a matched cell should score: its overlap; for the teacher's marks its share of their score.

    The teacher's score already says how well a box is expected to fit.
    """
    best = torch.zeros(len(truth.label)).scatter_reduce(0, pairs.target, pairs.iou, "amax")
    score = truth.score[pairs.target]
    relative = pairs.iou / best[pairs.target].clamp(min=_TINY)
    return torch.where(score < 1, score * relative, pairs.iou)


def _without_marks(
    target: Tensor, known: Tensor, truth: Truth, grid: Grid, taught: Tensor | None, picture: int
) -> None:
    """Cells where "nothing is there" is not known: in crowds, and for labels that nobody marked."""
    if len(truth.crowd):
        inside, _ = _candidates(truth.crowd, grid)
        known[inside.any(0)] = 0.0
    if not truth.complete and taught is not None:
        target.copy_(taught[picture])


def _focal(logits: Tensor, target: Tensor) -> Tensor:
    """Quality focal loss: cross-entropy, weighted by the square of the error."""
    error = (target - logits.detach().sigmoid()).square()
    return error * functional.binary_cross_entropy_with_logits(logits, target, reduction="none")


def _reach(xyxy: Tensor, cell: Tensor, grid: Grid) -> Tensor:
    """Distances (m, 4) in strides that the boxes need from those cells' points, within what bins can say."""
    point, stride = grid.points[cell], grid.strides[cell, None]
    reach = torch.cat([point - xyxy[:, :2], xyxy[:, 2:] - point], 1) / stride
    return reach.clamp(0, BINS - 1 - 1e-3)


def _spread_loss(spread: Tensor, reach: Tensor) -> Tensor:
    """Distribution focal loss, (m, 4, BINS) against (m, 4) -> (m,): both neighbours of the distance."""
    low = reach.floor().long()
    share = reach - low
    log = spread.log_softmax(-1)
    left = log.gather(-1, low[..., None])[..., 0]
    right = log.gather(-1, low[..., None] + 1)[..., 0]
    return -(left * (1 - share) + right * share).mean(-1)


def teacher_loss(answer: Answer, taught: Answer, truths: Sequence[Truth]) -> dict[str, Tensor]:
    """Distance to the teacher's answer, where it has a say: zero when both say the same."""
    score = taught.logits.sigmoid()
    heard = torch.tensor([float(truth.teacher) for truth in truths])[:, None]
    sure = score.amax(2) * heard
    scale = 1 / sure.sum().clamp(min=1.0)
    kind = functional.binary_cross_entropy_with_logits(answer.logits, score, reduction="none")
    least = functional.binary_cross_entropy_with_logits(taught.logits, score, reduction="none")
    wanted = taught.spread.softmax(-1)
    gap = functional.kl_div(answer.spread.log_softmax(-1), wanted, reduction="none").sum(-1).mean(-1)
    return {
        "taught_label": ((kind - least).sum(2) * heard).sum() * scale,
        "taught_spread": TEACHER_SPREAD_WEIGHT * (gap * sure).sum() * scale,
    }


def paired_giou(one: Tensor, other: Tensor) -> Tensor:
    """Generalised overlap of boxes in pairs (Rezatofighi et al., arXiv 1902.09630): two (m, 4) -> (m,)."""
    low, high = torch.maximum(one[:, :2], other[:, :2]), torch.minimum(one[:, 2:], other[:, 2:])
    shared = (high - low).clamp(min=0).prod(1)
    union = _area(one) + _area(other) - shared
    hull = (torch.maximum(one[:, 2:], other[:, 2:]) - torch.minimum(one[:, :2], other[:, :2])).clamp(min=0)
    around = hull.prod(1).clamp(min=_TINY)
    return shared / union.clamp(min=_TINY) - (around - union) / around


def _area(xyxy: Tensor) -> Tensor:
    return (xyxy[:, 2:] - xyxy[:, :2]).clamp(min=0).prod(1)
