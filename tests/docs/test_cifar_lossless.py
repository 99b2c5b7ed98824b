"""``tools/cifar_lossless.py`` reads a batch that was cut short, and builds nothing from the pickle."""

import json
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

TOOL = Path(__file__).resolve().parents[2] / "tools" / "cifar_lossless.py"
COUNT = 10_000


@pytest.fixture(scope="module")
def batch() -> tuple[bytes, np.ndarray, list[int]]:
    """A batch as Python 2 wrote it (its strings are bytes under the opcode T), its planes and its labels."""
    draw = np.random.default_rng(0)
    planes = draw.integers(0, 256, (COUNT, 3, 32, 32)).astype(np.uint8)
    labels = [int(label) for label in draw.integers(0, 10, COUNT)]
    head = pickle.dumps({"batch_label": "b", "labels": labels}, 2)[:-2]  # without SETITEMS and STOP
    data = planes.tobytes()
    tail = b"U\x04dataT" + len(data).to_bytes(4, "little") + data + b"u."
    return head + tail, planes, labels


def run(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, TOOL, *map(str, words)], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("kept", [COUNT, 7], ids=["whole", "cut short"])
def test_the_whole_pictures_are_kept(
    batch: tuple[bytes, np.ndarray, list[int]], kept: int, tmp_path: Path
) -> None:
    data, planes, labels = batch
    begins = data.index(planes.tobytes()[:64])
    end = len(data) if kept == COUNT else begins + kept * 3072 + 100
    (tmp_path / "batch").write_bytes(data[:end])
    assert run(tmp_path / "batch", tmp_path / "made" / "some.npz").stdout == f"{kept} pictures\n"
    with np.load(tmp_path / "made" / "some.npz", allow_pickle=False) as made:
        assert np.array_equal(made["x"], planes[:kept].transpose(0, 2, 3, 1))
        assert made["y"].tolist() == labels[:kept]
        assert made["index"].tolist() == list(range(kept))
    assert len(json.loads((tmp_path / "made" / "classes.json").read_text("utf-8"))) == 10


NO_LABELS = b"T" + (COUNT * 3072).to_bytes(4, "little") + bytes(5000)


@pytest.mark.parametrize("data", [b"", b"no batch", NO_LABELS], ids=["empty", "words", "no labels"])
def test_what_is_no_batch_is_said(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "batch").write_bytes(data)
    done = run(tmp_path / "batch", tmp_path / "some.npz")
    assert done.returncode == 1
    assert "batch: " in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "some.npz").exists()
