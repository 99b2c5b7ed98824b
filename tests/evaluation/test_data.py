"""Data sets: what is opened, what is refused."""

import json
import re
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sightline.errors import BadOption, NotFound
from sightline.evaluation.data import BoxSet, ClassSet, open_dataset


def jpeg(shade: int) -> bytes:
    file = BytesIO()
    Image.new("RGB", (8, 8), (shade,) * 3).save(file, "JPEG")
    return file.getvalue()


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    folder = tmp_path / "annotations"
    folder.mkdir()
    (tmp_path / "images" / "val").mkdir(parents=True)
    for number in range(10):
        (tmp_path / "images" / "val" / f"{number}.jpg").write_bytes(jpeg(number))
    images = [{"id": 100 - i, "file_name": f"{i}.jpg", "width": 8, "height": 8} for i in range(10)]
    marks = [
        {"id": i, "image_id": 100 - i, "category_id": 1, "bbox": [0, 0, 4, 4], "area": 16} for i in range(10)
    ]
    path = folder / "things_val.json"
    path.write_text(
        json.dumps({"images": images, "annotations": marks, "categories": [{"id": 1, "name": "a"}]})
    )
    return path


def test_coco_finds_its_pictures_and_completes_its_marks(coco: Path) -> None:
    opened = open_dataset(coco)
    assert isinstance(opened, BoxSet)
    assert [p.truth for p in opened.pictures] == list(range(91, 101))
    assert opened.pictures[0].read() == jpeg(9)
    assert all(mark["iscrowd"] == 0 for mark in opened.dataset["annotations"])


def test_a_picture_that_is_not_there_is_named(coco: Path) -> None:
    (coco.parent.parent / "images" / "val" / "0.jpg").unlink()
    with pytest.raises(NotFound, match=r"0\.jpg"):
        open_dataset(coco).pictures[-1].read()


def test_areas_that_are_not_said_are_computed(coco: Path) -> None:
    words = json.loads(coco.read_text())
    for mark in words["annotations"]:
        del mark["area"]
    coco.write_text(json.dumps(words))
    opened = open_dataset(coco)
    assert isinstance(opened, BoxSet)
    assert {mark["area"] for mark in opened.dataset["annotations"]} == {16}


def test_categories_of_one_name_are_one(coco: Path) -> None:
    """Some tools write a kind above of the same name; marks may be of either."""
    words = json.loads(coco.read_text())
    words["categories"] = [{"id": 1, "name": "a"}, {"id": 0, "name": "a"}, {"id": 5, "name": "b"}]
    words["annotations"][0]["category_id"] = 0
    coco.write_text(json.dumps(words))
    opened = open_dataset(coco)
    assert isinstance(opened, BoxSet)
    assert opened.dataset["categories"] == [{"id": 1, "name": "a"}, {"id": 5, "name": "b"}]
    assert {mark["category_id"] for mark in opened.dataset["annotations"]} == {1}


def test_pictures_of_one_number_are_refused(coco: Path) -> None:
    words = json.loads(coco.read_text())
    words["images"][3]["id"] = words["images"][7]["id"]
    coco.write_text(json.dumps(words))
    with pytest.raises(BadOption, match=r"two pictures.*93"):
        open_dataset(coco)


def test_coco_keeps_a_spread_of_pictures_and_only_their_marks(coco: Path) -> None:
    opened = open_dataset(coco, first=4)
    assert isinstance(opened, BoxSet)
    assert [p.truth for p in opened.pictures] == [91, 94, 97, 100]
    assert len(opened.dataset["annotations"]) == 4


def test_coco_takes_another_folder_of_pictures(coco: Path, tmp_path: Path) -> None:
    moved = (tmp_path / "images" / "val").rename(tmp_path / "elsewhere")
    with pytest.raises(BadOption) as caught:
        open_dataset(coco)
    assert "--pictures" in caught.value.next_step
    assert open_dataset(coco, pictures=moved).pictures[0].read() == jpeg(9)


@pytest.mark.parametrize("name", ["/etc/hostname", "../../up.jpg", "a/../../up.jpg", "..\\up.jpg", "a\0.jpg"])
def test_a_set_of_a_stranger_names_nothing_outside_of_it(coco: Path, name: str) -> None:
    assert len(open_dataset(coco, strange=True).pictures) == 10
    told = json.loads(coco.read_text())
    told["images"][3]["file_name"] = name
    coco.write_text(json.dumps(told))
    with pytest.raises(BadOption, match="lies outside of it"):
        open_dataset(coco, strange=True)


def test_a_folder_of_classes(tmp_path: Path) -> None:
    for name, count in (("dog", 3), ("cat", 2)):
        (tmp_path / name).mkdir()
        for i in range(count):
            (tmp_path / name / f"{i}.JPG").write_bytes(jpeg(i))
        (tmp_path / name / "notes.txt").write_text("no picture")
    opened = open_dataset(tmp_path)
    assert isinstance(opened, ClassSet)
    assert opened.classes == ("cat", "dog")
    assert [p.truth for p in opened.pictures] == [0, 0, 1, 1, 1]
    assert len(open_dataset(tmp_path, first=3).pictures) == 3


def test_packed_jpeg_and_packed_pixels(tmp_path: Path) -> None:
    (tmp_path / "classes.json").write_text(json.dumps(["a", "b"]))
    files = [jpeg(10), jpeg(200)]
    head = 20
    rest = [file[head:] for file in files]
    offsets = np.cumsum([0, *map(len, rest)]).astype(np.uint32)
    np.savez(
        tmp_path / "j.npz",
        header=np.frombuffer(files[0][:head], np.uint8),
        data=np.frombuffer(b"".join(rest), np.uint8),
        offsets=offsets,
        labels=np.array([1, 0], np.uint8),
    )
    packed = open_dataset(tmp_path / "j.npz")
    assert [p.read() for p in packed.pictures] == files
    assert [p.truth for p in packed.pictures] == [1, 0]
    pixels = np.random.default_rng(0).integers(0, 255, (2, 5, 7, 3)).astype(np.uint8)
    np.savez(tmp_path / "x.npz", x=pixels, y=np.array([0, 1]))
    clean = open_dataset(tmp_path / "x.npz")
    back = np.asarray(Image.open(BytesIO(clean.pictures[1].read())).convert("RGB"))
    np.testing.assert_array_equal(back, pixels[1])


@pytest.mark.parametrize(
    "kind", ["missing", "text", "json", "empty json", "npz", "npz without names", "empty folder"]
)
def test_what_is_no_data_set_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "set"
    match kind:
        case "text":
            path.write_text("hello")
        case "json":
            path = tmp_path / "set.json"
            path.write_text("{}")
        case "empty json":
            path = tmp_path / "set.json"
            path.write_text('{"images": [], "annotations": [], "categories": []}')
        case "npz" | "npz without names":
            path = tmp_path / "set.npz"
            np.savez(path, z=np.zeros(1))
            if kind == "npz":
                (tmp_path / "classes.json").write_text('["a"]')
        case "empty folder":
            path.mkdir()
    with pytest.raises(BadOption):
        open_dataset(path)


def packed(folder: Path, **changes: Any) -> Path:
    """A good set of two pictures but for what is changed; ``None`` leaves an array out."""
    (folder / "classes.json").write_text('["a", "b"]')
    arrays = {"x": np.zeros((2, 4, 4, 3), np.uint8), "y": np.array([0, 1])} | changes
    np.savez_compressed(folder / "set.npz", **{name: it for name, it in arrays.items() if it is not None})
    return folder / "set.npz"


JPEGS: dict[str, Any] = {
    "header": np.zeros(2, np.uint8),
    "data": np.zeros(6, np.uint8),
    "offsets": np.array([0, 3, 6]),
    "labels": np.array([0, 1]),
    "x": None,
    "y": None,
}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"y": np.array([0, 2])}, "has the label 2, and classes.json names 2 classes"),
        ({"y": np.array([-1, 0])}, "has the label -1"),
        ({"x": np.zeros((0, 4, 4, 3), np.uint8), "y": np.zeros(0, np.int64)}, "holds no pictures"),
        ({"y": np.array([{}, 1], object)}, "cannot be read as an .npz file: ValueError"),
        ({"y": np.array([0.0, 1.0])}, "The array y"),
        ({"y": np.array(1)}, "The array y"),
        ({"x": np.zeros((1, 4, 4, 3), np.uint8)}, "The array x"),
        ({"x": np.zeros((2, 4, 4), np.uint8)}, "The array x"),
        ({"x": np.zeros((2, 4, 4, 3), np.float64)}, "The array x"),
        (JPEGS | {"offsets": np.array([0, 3])}, "The array offsets"),
        (JPEGS | {"offsets": np.array([0.0, 3.0, 6.0])}, "The array offsets"),
        (JPEGS | {"data": np.zeros((2, 3), np.uint8)}, "The array data"),
        (JPEGS | {"labels": np.array([0, 9])}, "has the label 9"),
    ],
)
def test_arrays_that_do_not_fit_are_refused_in_words(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(BadOption, match=re.escape(words)):
        open_dataset(packed(tmp_path, **changes))


@pytest.mark.parametrize("names", ["{", '{"a": 1}', "[1, 2]", "3", b"\xff\xfe", "[" * 100_000])
def test_names_of_classes_that_are_none_are_refused(tmp_path: Path, names: str | bytes) -> None:
    path = packed(tmp_path)
    path.with_name("classes.json").write_bytes(names if isinstance(names, bytes) else names.encode())
    with pytest.raises(BadOption, match=r"classes\.json"):
        open_dataset(path)


def test_files_that_are_no_npz_are_refused(tmp_path: Path) -> None:
    path = packed(tmp_path)
    good = path.read_bytes()
    array = BytesIO()
    np.save(array, np.zeros(3))
    zeros = bytearray(good)
    zeros[60:90] = bytes(30)
    for data in (b"", b"PK\x03\x04 and no more", good[:-30], array.getvalue(), b"\x80\x04N.", bytes(zeros)):
        path.write_bytes(data)
        with pytest.raises(BadOption, match=r"set\.npz"):
            open_dataset(path)


def test_a_stranger_sends_no_bomb(tmp_path: Path) -> None:
    path = packed(tmp_path, x=np.zeros((2, 2600, 2600, 3), np.uint8))
    assert len(open_dataset(path).pictures) == 2, "one's own file may be as it likes"
    with pytest.raises(BadOption, match="times its own size"):
        open_dataset(path, strange=True)


def test_a_shape_that_is_a_lie_is_refused(tmp_path: Path) -> None:
    (tmp_path / "classes.json").write_text('["a"]')
    with zipfile.ZipFile(tmp_path / "set.npz", "w") as made:
        array = BytesIO()
        np.lib.format.write_array_header_1_0(
            array, {"descr": "|u1", "fortran_order": False, "shape": (1 << 50, 4, 4, 3)}
        )
        made.writestr("x.npy", array.getvalue())
        made.writestr("y.npy", array.getvalue())
    with pytest.raises(BadOption, match=r"cannot be read as an \.npz"):
        open_dataset(tmp_path / "set.npz", strange=True)


@pytest.mark.parametrize(
    "change",
    [
        {"images": []},
        {"categories": {"a": 1}},
        {"categories": [{"id": 1}]},
        {"annotations": [{"image_id": 100, "bbox": [0, 0, 1, 1]}]},
        {"annotations": [{"image_id": 100, "bbox": [0], "category_id": 1}]},
        {"images": [{"id": 1, "file_name": 5}]},
        {"images": [{"id": [], "file_name": "0.jpg"}]},
    ],
    ids=repr,
)
def test_coco_that_is_none_is_refused(coco: Path, change: dict[str, Any]) -> None:
    coco.write_text(json.dumps(json.loads(coco.read_text()) | change))
    with pytest.raises(BadOption):
        open_dataset(coco, pictures=coco.parent.parent / "images" / "val")


@pytest.mark.shared
def test_the_shared_sets_open(shared: Path) -> None:
    data = shared / "data"
    boxes = open_dataset(data / "coco_mini" / "annotations" / "instances_val.json")
    people = open_dataset(data / "people" / "annotations" / "person_val.json", first=5)
    cifar = open_dataset(data / "cifar10" / "cifar10_test.npz", first=100)
    visitors = open_dataset(data / "visitors" / "val")
    assert [len(s.pictures) for s in (boxes, people, cifar, visitors)] == [162, 5, 100, 204]
    for opened in (boxes, people, cifar, visitors):
        assert opened.pictures[0].read()[:2] == b"\xff\xd8"
