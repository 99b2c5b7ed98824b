"""Reports: the road is asked, the answers are judged, the words are right."""

import json
import weakref
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sightline.errors import BadOption
from sightline.evaluation import Report, Rules, evaluate
from sightline.evaluation.classes import accuracy, confusion, rows
from sightline.serving.road import Road
from sightline.settings import load_settings
from sightline.types import Ask, Classification, Detections, Mask, ModelRef, Prediction, Result, Segments

MODEL = ModelRef("double", "1", "sha256:" + "0" * 64)


class RoadDouble:
    """Answers from a function of the picture's name; records what it was asked."""

    def __init__(self, task: str, labels: tuple[str, ...], answer: Callable[[str], Prediction]) -> None:
        self.task, self.labels, self.answer = task, labels, answer
        self.asked: list[tuple[str | None, Ask | None]] = []

    def predict(
        self,
        data: bytes,
        *,
        source: str = "",
        model: str | None = None,
        ask: Ask | None = None,
        deadline_s: float | None = None,
    ) -> Result:
        assert data
        self.asked.append((model, ask))
        prediction = self.answer(source)
        return Result("x", source, MODEL, self.task, 40, 40, self.labels, prediction, engine="double fp32")  # type: ignore[arg-type]


@pytest.fixture
def boxes(tmp_path: Path) -> Path:
    """Six pictures with one dog each, and one cat in the first."""
    images: list[dict[str, object]] = []
    marks: list[dict[str, object]] = []
    for number in range(1, 7):
        Image.new("RGB", (40, 40)).save(tmp_path / f"{number}.png")
        images.append({"id": number, "file_name": f"{number}.png", "width": 40, "height": 40})
        for category in (1, 2) if number == 1 else (1,):
            box = [5.0, 5.0, 20.0, 10.0 + 5 * category]
            mark = {
                "bbox": box,
                "area": box[2] * box[3],
                "segmentation": [[5, 5, 25, 5, 25, 5 + box[3], 5, 5 + box[3]]],
            }
            marks.append(mark | {"id": len(marks) + 1, "image_id": number, "category_id": category})
    categories = [{"id": 1, "name": "dog"}, {"id": 2, "name": "cat"}, {"id": 3, "name": "unicorn"}]
    path = tmp_path / "set.json"
    path.write_text(json.dumps({"images": images, "annotations": marks, "categories": categories}))
    return path


def dog(_name: str) -> Detections:
    return Detections(np.array([[5, 5, 25, 20]], np.float32), np.array([0.9], np.float32), np.array([2]))


def test_boxes_are_judged_by_label_names(boxes: Path) -> None:
    road = RoadDouble("detect", ("zebra", "cat", "dog"), dog)
    done: list[tuple[int, int]] = []
    report = evaluate(
        road, "m@1", boxes, rules=Rules(rounds=10, callers=2), progress=lambda *x: done.append(x)
    )
    assert {row.label: row.figures["AP"] for row in report.classes} == {"dog": pytest.approx(1), "cat": 0.0}
    assert {row.label: row.count for row in report.classes} == {"dog": 6, "cat": 1}
    assert report.figures["AP"].value == pytest.approx(0.5)
    assert road.asked[0] == ("m@1", Ask(min_score=0.01, max_results=300))
    assert done == [(i, 6) for i in range(1, 7)]
    assert report.protocol["rounds"] == 10


def test_a_report_is_plain_values_and_a_table(boxes: Path) -> None:
    report = evaluate(RoadDouble("detect", ("cat", "x", "dog"), dog), None, boxes, rules=Rules(rounds=10))
    again = json.loads(json.dumps(report.to_json()))
    assert again["figures"]["AP50"]["value"] == pytest.approx(0.5)
    assert again["model"]["name"] == "double"
    table = report.table()
    assert "double@1 on set, 6 pictures, double fp32" in table
    assert "| dog | 6 | 100.0 | 100.0 |" in table


def test_segments_are_judged_twice(boxes: Path) -> None:
    def segment(name: str) -> Segments:
        return Segments(dog(name), (Mask(np.ones((15, 20), bool), 5, 5),))

    report = evaluate(RoadDouble("segment", ("x", "y", "dog"), segment), None, boxes, rules=Rules(rounds=0))
    assert report.figures["AP"].value == report.figures["mask_AP"].value == pytest.approx(1.0)
    assert report.classes[0].figures["mask_AP"] == pytest.approx(1.0)


def test_the_masks_of_a_large_set_are_never_held_together(boxes: Path) -> None:
    drawn: list[weakref.ref[object]] = []
    alive: list[int] = []

    def segment(name: str) -> Segments:
        bits = np.ones((15, 20), bool)
        drawn.append(weakref.ref(bits))
        return Segments(dog(name), (Mask(bits, 5, 5),))

    evaluate(
        RoadDouble("segment", ("x", "y", "dog"), segment),
        None,
        boxes,
        rules=Rules(rounds=0, callers=1),
        progress=lambda *_: alive.append(sum(ref() is not None for ref in drawn)),
    )
    assert len(drawn) == 6
    assert max(alive) <= 2


def test_a_set_of_boxes_only_judges_no_masks(boxes: Path) -> None:
    table = json.loads(boxes.read_text())
    del table["annotations"][0]["segmentation"]
    boxes.write_text(json.dumps(table))

    def segment(name: str) -> Segments:
        return Segments(dog(name), (Mask(np.ones((15, 20), bool), 5, 5),))

    report = evaluate(RoadDouble("segment", ("x", "y", "dog"), segment), None, boxes, rules=Rules(rounds=0))
    assert "AP" in report.figures
    assert "mask_AP" not in report.figures


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    for name in ("cat", "dog"):
        (tmp_path / "set" / name).mkdir(parents=True)
        for i in range(4):
            Image.new("RGB", (4, 4)).save(tmp_path / "set" / name / f"{i}.png")
    return tmp_path / "set"


def test_classes_are_judged_by_label_names(folders: Path) -> None:
    def answer(name: str) -> Classification:
        order = [2, 0] if name.startswith("dog") or name == "cat/0.png" else [0, 2]
        return Classification(np.array(order), np.array([0.8, 0.2], np.float32))

    report = evaluate(
        RoadDouble("classify", ("cat", "cow", "dog"), answer), None, folders, rules=Rules(rounds=50)
    )
    assert report.figures["top1"].value == pytest.approx(7 / 8)
    assert report.figures["top5"].value == 1.0
    assert report.confusion == ((3, 1, 0), (0, 4, 0))
    assert [row.figures["recall"] for row in report.classes] == [0.75, 1.0]
    assert report.figures["top1"].low is not None


def test_a_pack_is_judged_and_its_table_says_what_is_taken_for_what(tmp_path: Path) -> None:
    np.savez(tmp_path / "pack.npz", x=np.zeros((5, 4, 4, 3), np.uint8), y=np.array([0, 0, 1, 1, 1]))
    (tmp_path / "classes.json").write_text('["cat", "dog"]')

    def answer(name: str) -> Classification:
        return Classification(np.array([0 if name == "pack[2]" else 1]), np.array([0.9], np.float32))

    road = RoadDouble("classify", ("cat", "dog"), answer)
    report = evaluate(road, None, tmp_path / "pack.npz", rules=Rules(rounds=0))
    assert report.figures["top1"].value == pytest.approx(2 / 5)
    assert report.table().splitlines()[-4:] == [
        r"| truth \ answer | cat | dog | other |",
        "|---|---|---|---|",
        "| cat | 0 | 2 | 0 |",
        "| dog | 1 | 2 | 0 |",
    ]


def test_a_matrix_of_many_classes_is_no_table(folders: Path) -> None:
    for number in range(19):
        (folders / f"empty {number}").mkdir()
    cat = Classification(np.array([0]), np.array([0.9], np.float32))
    table = evaluate(RoadDouble("classify", ("cat",), lambda _: cat), None, folders).table()
    assert "| cat | 4 |" in table
    assert "truth" not in table


@pytest.mark.parametrize("case", ["task", "labels", "class labels"])
def test_what_does_not_fit_together_is_refused(boxes: Path, folders: Path, case: str) -> None:
    none = Classification(np.zeros(0, np.int64), np.zeros(0, np.float32))
    road, path = {
        "task": (RoadDouble("detect", ("dog",), dog), folders),
        "labels": (RoadDouble("detect", ("a", "b", "c"), dog), boxes),
        "class labels": (RoadDouble("classify", ("a", "b"), lambda _: none), folders),
    }[case]
    with pytest.raises(BadOption):
        evaluate(road, None, path)


def test_confusion_counts_other_answers_apart() -> None:
    table = confusion(np.array([0, 1, 1]), np.array([0, -1, 0]), 2)
    assert table.tolist() == [[1, 0, 0], [1, 0, 1]]
    assert [row.figures["precision"] for row in rows(("a", "b"), table)] == [0.5, 0.0]


def test_accuracy_by_hand() -> None:
    truth = np.array([0, 1, 2, 3])
    ranked = [np.array(r) for r in ([0, 1], [0, 1], [5, 4, 3, 0, 1, 2], [])]
    figures = accuracy(truth, ranked, rounds=0, seed=0)
    assert (figures["top1"].value, figures["top5"].value) == (0.25, 0.5)


@pytest.mark.shared
def test_yolox_nano_through_the_served_road(shared: Path, yolox_data: Path) -> None:
    """A spread of COCO pictures: clearly above noise, and the same however many callers there are."""
    settings = load_settings(
        {"data_dir": str(yolox_data), "engine": "onnxruntime", "precision": "fp32", "threads": 1},
        environment={},
    )
    path = shared / "data" / "coco_mini" / "annotations" / "instances_val.json"
    with Road.open(settings) as road:
        reports: list[Report] = [
            evaluate(road, "yolox-nano", path, rules=Rules(first=12, rounds=0, callers=c)) for c in (1, 4)
        ]
    assert reports[0].figures == reports[1].figures
    assert reports[0].figures["AP50"].value > 0.3
    assert reports[0].engine == "onnxruntime fp32"
