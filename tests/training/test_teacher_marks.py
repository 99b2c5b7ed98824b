"""The teacher's marks: fused from several looks, kept, and asked for once only."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.ops import box_iou

from sightline.training import teacher_marks
from sightline.training.models.nano_detector import NanoDetector
from sightline.training.pictures import Example
from sightline.training.teacher_marks import Marks, fuse, look, marked

pytestmark = pytest.mark.train


def marks(*rows: tuple[list[float], float, int]) -> Marks:
    return Marks(
        torch.tensor([row[0] for row in rows]) if rows else torch.zeros(0, 4),
        torch.tensor([row[1] for row in rows]),
        torch.tensor([row[2] for row in rows], dtype=torch.long),
    )


def test_fused_boxes_are_means_and_scores_count_every_look() -> None:
    one = marks(([0, 0, 10, 10], 0.9, 1), ([50, 50, 60, 60], 0.8, 2))
    other = marks(([0, 0, 10, 11], 0.3, 1), ([0, 0, 10, 10], 0.4, 3))
    found = fuse([one, other])
    assert found.label.tolist() == [1, 2, 3]
    assert found.score.tolist() == pytest.approx([0.6, 0.4, 0.2])
    assert found.xyxy[0].tolist() == pytest.approx([0, 0, 10, 10.25])


def test_two_boxes_of_one_look_do_not_count_twice() -> None:
    one = marks(([0, 0, 10, 10], 0.8, 1), ([0, 0, 10, 10.5], 0.6, 1))
    assert fuse([one, marks()]).score.tolist() == pytest.approx([0.4])


def test_weak_marks_are_dropped_and_nothing_is_a_normal_answer() -> None:
    assert len(fuse([marks(([0, 0, 9, 9], 0.15, 0)), marks()]).score) == 0
    assert fuse([marks(), marks()]).xyxy.shape == (0, 4)


@pytest.fixture
def teacher() -> NanoDetector:
    torch.manual_seed(0)
    return NanoDetector(2).eval()


def test_a_mirrored_picture_gives_mirrored_marks(
    teacher: NanoDetector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(teacher_marks, "SIZES", (64,))
    pixels = np.random.default_rng(0).integers(0, 255, (48, 64, 3)).astype(np.uint8)
    straight, turned = look(teacher, [pixels, np.ascontiguousarray(pixels[:, ::-1])])
    assert len(straight.score) > 3
    torch.testing.assert_close(straight.score[:9], turned.score[:9], atol=0.01, rtol=0)
    back = torch.stack(
        [64 - turned.xyxy[:, 2], turned.xyxy[:, 1], 64 - turned.xyxy[:, 0], turned.xyxy[:, 3]], 1
    )
    same = back[turned.label == straight.label[0]]
    assert float(box_iou(straight.xyxy[:1], same).max()) > 0.8
    astray = turned.xyxy[turned.label == straight.label[0]]  # not turned back, they lie elsewhere
    assert float(box_iou(straight.xyxy[:1], same).max()) > float(box_iou(straight.xyxy[:1], astray).max())


def test_answers_are_kept(teacher: NanoDetector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teacher_marks, "SIZES", (64,))
    none = np.zeros((0, 4), np.float32)
    draw = np.random.default_rng(1)
    examples = [
        Example(
            str(i),
            draw.integers(0, 255, (40, 56, 3)).astype(np.uint8),
            none,
            np.zeros(0, np.int64),
            none,
            np.zeros(0, np.int64),
            complete=True,
        )
        for i in range(10)
    ]
    first = marked(teacher, examples, tmp_path)
    assert len(list(tmp_path.glob("*.npz"))) == 10
    assert all(item.score is not None and (item.score >= teacher_marks.LOWEST).all() for item in first)

    def never(*_: object) -> list[Marks]:
        raise AssertionError("asked again")

    monkeypatch.setattr(teacher_marks, "look", never)
    again = marked(teacher, examples, tmp_path)
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.xyxy, other.xyxy)
    other_teacher = NanoDetector(2).eval()
    with pytest.raises(AssertionError, match="asked again"):
        marked(other_teacher, examples, tmp_path)
