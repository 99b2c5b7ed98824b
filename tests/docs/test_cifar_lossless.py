"""``tools/cifar_lossless.py`` puts pictures without loss in the order of their JPEG copies."""

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

TOOL = Path(__file__).resolve().parents[2] / "tools" / "cifar_lossless.py"
CLASSES = ["cat", "dog"]


def jpeg(pixels: np.ndarray) -> np.ndarray:
    """The pixels of a copy of quality 75."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=75)
    return np.asarray(Image.open(file))


@pytest.fixture
def pictures(tmp_path: Path) -> np.ndarray:
    """Twelve blurred noises, even ones cats, odd ones dogs: files in some order, and a pack of copies.

    The last three of test are those of train: darker, mirrored, and as they are.
    """
    coarse = np.random.default_rng(0).integers(0, 256, (2, 12, 4, 4, 3), np.uint8)
    blurred = [[np.asarray(Image.fromarray(one).resize((32, 32), 2)) for one in part] for part in coarse]
    made = np.array(blurred)
    made[1, 9:] = made[0, 9] // 2 + 20, made[0, 10, :, ::-1], made[0, 11]
    for part, pixels in zip(("train", "test"), made, strict=True):
        for place, one in enumerate(pixels):
            folder = tmp_path / "files" / part / CLASSES[place % 2]
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(one).save(folder / f"{(place * 5) % 12:02}.png")
        copies = np.stack([jpeg(one) for one in pixels])
        (tmp_path / "copies").mkdir(exist_ok=True)
        np.savez(tmp_path / "copies" / f"cifar10_{part}.npz", x=copies, y=np.arange(12) % 2)
    known = tmp_path / "copies" / "cifar10_train_lossless_first1017.npz"
    np.savez(known, x=made[0, :3], y=[0, 1, 0], index=np.arange(3))
    (tmp_path / "copies" / "classes.json").write_text(json.dumps(CLASSES), "utf-8")
    return made


def run(folder: Path) -> subprocess.CompletedProcess[str]:
    words = [folder / "files", folder / "copies", folder / "made"]
    return subprocess.run(
        [sys.executable, TOOL, *map(str, words)], capture_output=True, text=True, check=False
    )


def test_each_picture_stands_where_its_copy_does(pictures: np.ndarray, tmp_path: Path) -> None:
    done = run(tmp_path)
    assert done.stderr == ""
    assert "train: 12 pictures" in done.stdout
    assert "3 of 3 pictures of cifar10_train_lossless_first1017.npz are equal" in done.stdout
    for part, wanted in zip(("train", "test"), pictures, strict=True):
        with np.load(tmp_path / "made" / f"cifar10_{part}_lossless.npz", allow_pickle=False) as made:
            assert np.array_equal(made["x"], wanted)
            assert made["y"].tolist() == [0, 1] * 6
            assert made["index"].tolist() == list(range(12))
    assert json.loads((tmp_path / "made" / "classes.json").read_text("utf-8")) == CLASSES


def test_what_is_like_a_picture_of_train_is_left_out(pictures: np.ndarray, tmp_path: Path) -> None:
    assert "9 of 12 pictures of test look like none of train" in run(tmp_path).stdout
    with np.load(tmp_path / "made" / "cifar10_test_alone.npz", allow_pickle=False) as made:
        assert made["index"].tolist() == list(range(9))
        assert np.array_equal(made["x"], pictures[1, :9])
        assert made["y"].tolist() == [place % 2 for place in range(9)]


WRONG = {
    "another picture": "11 of 12 copies found",
    "one too few": "11 of 12 copies found",
    "no folder": "train",
    "another class": "has the classes cow, dog; wanted cat, dog",
    "other positions": "0 of 3 pictures of cifar10_train_lossless_first1017.npz are equal",
    "no positions": "index",
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_does_not_belong_together_is_said(pictures: np.ndarray, wrong: str, tmp_path: Path) -> None:
    cats = tmp_path / "files" / "train" / "cat"
    known = tmp_path / "copies" / "cifar10_train_lossless_first1017.npz"
    first = min(cats.iterdir())
    if wrong == "another picture":
        other = next(file for file in sorted(cats.iterdir()) if file != first)
        first.write_bytes(other.read_bytes())
    elif wrong == "one too few":
        first.unlink()
    elif wrong == "no folder":
        (tmp_path / "files" / "train").rename(tmp_path / "files" / "trained")
    elif wrong == "another class":
        cats.rename(cats.with_name("cow"))
    elif wrong == "other positions":
        np.savez(known, x=pictures[0, :3], y=[0, 1, 0], index=np.arange(3, 6))
    else:
        np.savez(known, x=pictures[0, :3], y=[0, 1, 0])
    done = run(tmp_path)
    assert done.returncode == 1
    assert WRONG[wrong] in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "made" / "cifar10_train_lossless.npz").exists()
