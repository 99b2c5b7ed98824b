"""The loss, on cases small enough to work out by hand."""

import pytest
import torch
from torch import Tensor

from sightline.training.grid_loss import Grid, Truth, label_loss, match, paired_iou, teacher_loss
from sightline.training.models.grid_detector import boxes, cells

pytestmark = pytest.mark.train

GRID = Grid(*cells(64, 64))
CELLS = len(GRID.strides)
EMPTY = torch.zeros(0, 4)


def raw_for(xyxy: Tensor, label: int, thing: float = 6.0) -> Tensor:
    """Raw output in which every cell answers exactly ``xyxy`` with ``label``."""
    centre = (xyxy[:2] + xyxy[2:]) / 2 / GRID.strides[:, None] - GRID.corners
    size = ((xyxy[2:] - xyxy[:2]) / GRID.strides[:, None]).log()
    kinds = torch.full((CELLS, 3), -6.0)
    kinds[:, label] = 6.0
    return torch.cat([centre, size, torch.full((CELLS, 1), thing), kinds], 1)


def truth(*boxes_: list[float], label: int = 1, crowd: Tensor = EMPTY, complete: bool = True) -> Truth:
    xyxy = torch.tensor(boxes_) if boxes_ else EMPTY
    return Truth(xyxy, torch.full((len(boxes_),), label), crowd, complete)


def test_raw_for_is_right() -> None:
    wanted = torch.tensor([8.0, 12.0, 40.0, 30.0])
    assert torch.allclose(
        boxes(raw_for(wanted, 0)[None], GRID.corners, GRID.strides)[0], wanted.expand(CELLS, 4), atol=1e-3
    )


def test_a_box_takes_cells_near_its_centre() -> None:
    box = [8.0, 8.0, 40.0, 40.0]
    raw = raw_for(torch.tensor(box), 1)
    found = match(raw, boxes(raw[None], GRID.corners, GRID.strides)[0], truth(box), GRID)
    assert len(found.cell) == 10  # ten perfect overlaps sum to ten cells
    centres = GRID.centres[found.cell]
    assert ((centres > 8) & (centres < 40)).all()
    assert found.iou.min() > 0.99


def test_a_cell_answers_for_one_box_only() -> None:
    two = truth([8.0, 8.0, 40.0, 40.0], [10.0, 10.0, 42.0, 42.0])
    raw = raw_for(torch.tensor([9.0, 9.0, 41.0, 41.0]), 1)
    found = match(raw, boxes(raw[None], GRID.corners, GRID.strides)[0], two, GRID)
    assert len(set(found.cell.tolist())) == len(found.cell)
    assert set(found.target.tolist()) == {0, 1}


def test_an_empty_picture_matches_nothing_and_asks_for_silence() -> None:
    raw = raw_for(torch.tensor([8.0, 8.0, 40.0, 40.0]), 1)
    parts = label_loss(raw[None], [truth()], GRID, None)
    assert parts["box"] == 0
    assert parts["label"] == 0
    assert parts["thing"] > CELLS  # every cell shouts


def test_the_right_answer_costs_less_than_a_wrong_one() -> None:
    box = [8.0, 8.0, 40.0, 40.0]
    right, shifted = raw_for(torch.tensor(box), 1), raw_for(torch.tensor([14.0, 8.0, 46.0, 40.0]), 1)
    other = raw_for(torch.tensor(box), 2)
    cost = {name: label_loss(r[None], [truth(box)], GRID, None) for name, r in
            {"right": right, "shifted": shifted, "other": other}.items()}  # fmt: skip
    assert cost["right"]["box"] < 0.01 < cost["shifted"]["box"]
    assert cost["right"]["label"] < 0.05 < cost["other"]["label"]


def test_cells_inside_a_crowd_are_not_told_that_nothing_is_there() -> None:
    raw = raw_for(torch.tensor([8.0, 8.0, 40.0, 40.0]), 1)
    everywhere = torch.tensor([[0.0, 0.0, 64.0, 64.0]])
    assert label_loss(raw[None], [truth(crowd=everywhere)], GRID, None)["thing"] == 0


def test_where_marks_are_incomplete_the_teacher_decides() -> None:
    raw = raw_for(torch.tensor([8.0, 8.0, 40.0, 40.0]), 1)
    taught = torch.cat([raw[:, :4], raw[:, 4:].sigmoid()], 1)[None]
    strict = label_loss(raw[None], [truth()], GRID, taught)["thing"]
    open_ = label_loss(raw[None], [truth(complete=False)], GRID, taught)["thing"]
    assert open_ < strict / 10


def test_the_teacher_is_pleased_by_its_own_answer_only() -> None:
    raw = raw_for(torch.tensor([8.0, 8.0, 40.0, 40.0]), 1)
    taught = torch.cat([raw[:, :4], raw[:, 4:].sigmoid()], 1)[None]
    wish = raw[None].clone().requires_grad_()
    sum(teacher_loss(wish, taught, GRID).values(), torch.zeros(())).backward()
    assert wish.grad is not None
    assert wish.grad[..., 4:].abs().max() < 1e-6
    moved = raw[None] + 0.5
    for name, value in teacher_loss(moved, taught, GRID).items():
        assert value > teacher_loss(raw[None], taught, GRID)[name]


def test_overlap_by_hand() -> None:
    one = torch.tensor([[0.0, 0, 2, 2], [0, 0, 1, 1]])
    other = torch.tensor([[1.0, 0, 3, 2], [2, 2, 3, 3]])
    assert paired_iou(one, other).tolist() == pytest.approx([1 / 3, 0.0])
