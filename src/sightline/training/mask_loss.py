"""What the mask branch is asked for: the marked masks, or, where there are boxes only, masks that fit them.

With masks: cross-entropy inside the box, as in YOLACT (Bolya et al., arXiv 1904.02689, section 3.3), and the
Dice overlap. With boxes only: the mask's shadow on both axes must be the box's, and neighbours of like colour
should be on one side (Tian et al., "BoxInst", arXiv 2012.02310).
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from sightline.training.grid_loss import Match, Truth
from sightline.training.models.nano_detector import Answer

MOST = 48
"""Matched cells per picture that are asked for a mask."""
CELL = 4
"""Canvas pixels per cell of the prototypes."""
SURE = 0.5
"""A teacher's marks below this score are not asked for a mask."""
BOXED = 0.2
"""Weight of what boxes alone say: at first a filled box pleases both of its parts."""
SIMILAR = 0.3
"""Neighbours of at least this likeness should agree."""
_TINY = 1e-5


def mask_loss(
    answer: Answer, truths: Sequence[Truth], found: Sequence[Match], likeness: Tensor | None
) -> dict[str, Tensor]:
    """Loss of a batch's masks; ``likeness`` (n, 2, h, w) from ``neighbours``, for objects with boxes only."""
    assert answer.coefficients is not None
    assert answer.prototypes is not None
    zero = answer.prototypes.sum() * 0  # a batch without objects still has a gradient
    sums = {"mask": zero, "mask_dice": zero, "mask_box": zero, "mask_alike": zero}
    counts = dict.fromkeys(sums, 0)
    for picture, (truth, pairs) in enumerate(zip(truths, found, strict=True)):
        if truth.masks is None or truth.masked is None or not len(pairs.cell):
            continue
        best = pairs.iou.argsort(descending=True, stable=True)
        best = best[truth.score[pairs.target[best]] >= SURE][:MOST]
        if not len(best):
            continue
        target = pairs.target[best]
        bank = answer.prototypes[picture]
        logits = torch.einsum("mk,khw->mhw", answer.coefficients[picture, pairs.cell[best]], bank)
        window = inside(truth.xyxy[target], bank.shape[1], bank.shape[2])
        known = truth.masked[target]
        if known.any():
            part = _known(logits[known], truth.masks[target[known]], window[known])
            _add(sums, counts, part, int(known.sum()))
        if likeness is not None and not known.all():
            part = _boxed(logits[~known], window[~known], likeness[picture])
            _add(sums, counts, part, int((~known).sum()))
    return {name: value / max(1, counts[name]) for name, value in sums.items()}


def inside(xyxy: Tensor, height: int, width: int) -> Tensor:
    """(m, 4) in canvas pixels -> (m, height, width) bool: cells of the prototypes that the boxes touch."""
    box = xyxy[:, :, None] / CELL
    x, y = torch.arange(width), torch.arange(height)
    across = (x + 1 > box[:, 0]) & (x < box[:, 2])
    down = (y + 1 > box[:, 1]) & (y < box[:, 3])
    return down[:, :, None] & across[:, None, :]


def neighbours(pixels: Tensor) -> Tensor:
    """Likeness (n, 2, h, w) of each cell with the one two to the right and two below; ``pixels`` in 0..255.

    ``exp(-distance / 2)`` of their colours, each divided by 10.
    """
    small = functional.avg_pool2d(pixels, CELL) / 10
    right = functional.pad(small[..., 2:] - small[..., :-2], (0, 2), value=99.0)
    below = functional.pad(small[..., 2:, :] - small[..., :-2, :], (0, 0, 0, 2), value=99.0)
    return torch.stack([torch.exp(-gap.square().sum(1).sqrt() / 2) for gap in (right, below)], 1)


def _add(sums: dict[str, Tensor], counts: dict[str, int], part: dict[str, Tensor], count: int) -> None:
    for name, value in part.items():
        sums[name] = sums[name] + value.sum()
        counts[name] += count


def _known(logits: Tensor, wanted: Tensor, window: Tensor) -> dict[str, Tensor]:
    area = window.sum((1, 2)).clamp(min=1)
    gap = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    return {
        "mask": (gap * window).sum((1, 2)) / area,
        "mask_dice": _dice(logits.sigmoid() * window, wanted * window, (1, 2)),
    }


def _boxed(logits: Tensor, window: Tensor, likeness: Tensor) -> dict[str, Tensor]:
    chance = logits.sigmoid()
    shadow = _dice(chance.amax(1), window.any(1).float(), 1) + _dice(chance.amax(2), window.any(2).float(), 1)
    agree = torch.zeros(len(logits))
    weight = torch.zeros(len(logits))
    for axis, (dy, dx) in enumerate(((0, 2), (2, 0))):
        other = torch.roll(chance, (-dy, -dx), (1, 2))
        alike = ((likeness[axis] > SIMILAR) & window).float()
        same = (chance * other + (1 - chance) * (1 - other)).clamp(min=_TINY)
        agree = agree - (same.log() * alike).sum((1, 2))
        weight = weight + alike.sum((1, 2))
    return {"mask_box": BOXED * shadow, "mask_alike": BOXED * agree / weight.clamp(min=1)}


def _dice(one: Tensor, other: Tensor, axes: int | tuple[int, ...]) -> Tensor:
    """1 minus twice the overlap over the sum of squares (Milletari et al., arXiv 1606.04797)."""
    shared = (one * other).sum(axes)
    return 1 - 2 * shared / (one.square().sum(axes) + other.square().sum(axes) + _TINY)
