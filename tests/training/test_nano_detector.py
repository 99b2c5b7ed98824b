"""The network: cells in the order that the head reads, masks beside them, NanoDet-Plus-m in it."""

from pathlib import Path

import numpy as np
import pytest
import torch

from sightline.errors import BadOption, ModelRefused
from sightline.training.detect import build
from sightline.training.models.nano_detector import (
    STRIDES,
    NanoDetector,
    boxes,
    cells,
    distances,
    shuffle,
)
from sightline.training.models.ncnn_start import load_nanodet_plus
from sightline.training.recipe import load_recipe
from sightline.training.recipe_detect import DetectRecipe
from sightline.vision.heads import grid

pytestmark = pytest.mark.train


@pytest.mark.parametrize("size", [(64, 96), (320, 416)])
def test_cells_are_those_of_the_head(size: tuple[int, int]) -> None:
    points, strides = cells(*size)
    table = grid.cells(size[1], size[0], STRIDES)
    np.testing.assert_array_equal((points / strides[:, None]).numpy(), table[:, :2])
    np.testing.assert_array_equal(strides.numpy(), table[:, 2])


def test_boxes_by_hand() -> None:
    points, strides = cells(32, 32)
    reach = torch.zeros(1, len(strides), 4)
    reach[0, 5] = torch.tensor([0.5, 0.25, 1.0, 2.0])  # stride 8, column 1, row 1: the point (8, 8)
    assert boxes(reach, points, strides)[0, 5].tolist() == pytest.approx([4, 6, 16, 24])


def test_distances_are_expectations() -> None:
    spread = torch.full((1, 4, 8), -50.0)
    spread[0, 0, 3] = 50.0
    spread[0, 1, 2:4] = 50.0
    assert distances(spread)[0, :2].tolist() == pytest.approx([3.0, 2.5])


def test_halves_take_turns() -> None:
    x = torch.arange(6.0).view(1, 6, 1, 1)
    assert shuffle(x).flatten().tolist() == [0, 3, 1, 4, 2, 5]


@pytest.mark.parametrize("size", [(32, 32), (64, 96)])
def test_one_answer_per_cell(size: tuple[int, int]) -> None:
    network = NanoDetector(classes=3, prototypes=5)
    out = network(torch.zeros(2, 3, *size))
    count = len(cells(*size)[1])
    assert out.logits.shape == (2, count, 3)
    assert out.spread.shape == (2, count, 4, 8)
    assert out.coefficients.shape == (2, count, 5)
    assert out.prototypes.shape == (2, 5, size[0] // 4, size[1] // 4)
    assert NanoDetector(classes=3)(torch.zeros(1, 3, *size)).prototypes is None


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        (None, "does not exist"),
        (b"\xff\xfe", "no ncnn network"),
        (b"1\n1 1\n\nConvolution a 1 1 i o 0=3\n", "no ncnn network"),
        (b"1\n1 1\nConvolution a 1 1 i o 0=x 6=1\n", "no ncnn network"),
        (b"1\n1 1\nConvolution a 1 1 i o 0=3 5=1 6=0\n", "no ncnn network"),
        (b"1\n1 1\nConvolution a 1 1 i o 0=3 6=100\n", "damaged"),
    ],
    ids=["missing", "no text", "no size", "no number", "no bias", "too short"],
)
def test_a_start_that_is_none_is_refused(tmp_path: Path, layers: bytes | None, words: str) -> None:
    if layers is not None:
        (tmp_path / "x.param").write_bytes(layers)
        (tmp_path / "x.bin").write_bytes(bytes(6))
    with pytest.raises((BadOption, ModelRefused), match=words):
        load_nanodet_plus(NanoDetector(2), tmp_path / "x.param")


@pytest.mark.shared
def test_nanodet_plus_finds_what_it_is_published_to_find(shared: Path) -> None:
    """The published network cannot run here without its own engine: so by an answer that is beyond doubt."""
    from PIL import Image  # noqa: PLC0415

    network = NanoDetector().eval()
    load_nanodet_plus(network, shared / "weights" / "nanodet-plus-m_416.param")
    picture = Image.open(shared / "photos" / "15_animals_72.jpg").convert("RGB").resize((416, 416))
    pixels = torch.from_numpy(np.asarray(picture).copy()).permute(2, 0, 1)[None].float()
    with torch.no_grad():
        answer = network(network.normalised(pixels))
    score = answer.logits.sigmoid()[0]
    assert float(score.max()) == pytest.approx(0.772, abs=0.002)  # as its own engine says
    assert int(score.amax(0).argmax()) == 23  # giraffe


@pytest.mark.shared
def test_some_labels_of_the_start(shared: Path, recipe: Path) -> None:
    start = str((shared / "weights" / "nanodet-plus-m_416.param").resolve())
    plan = load_recipe(recipe, {"labels": ["zebra", "person"], "network.start": start})
    assert isinstance(plan, DetectRecipe)
    few, whole = build(plan, ("zebra", "person")).eval(), NanoDetector().eval()
    load_nanodet_plus(whole, Path(start))
    pixels = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(few(pixels).logits, whole(pixels).logits[..., [22, 0]])
        torch.testing.assert_close(few(pixels).spread, whole(pixels).spread)


@pytest.mark.shared
def test_another_network_is_refused(shared: Path, tmp_path: Path) -> None:
    source = shared / "weights" / "nanodet-plus-m_416.param"
    lines = source.read_text().splitlines()
    place = tmp_path / "odd.param"
    numbers = source.with_suffix(".bin").read_bytes()

    def refused(text: list[str], data: bytes) -> str:
        place.write_text("\n".join(text))
        place.with_suffix(".bin").write_bytes(data)
        with pytest.raises(ModelRefused) as caught:
            load_nanodet_plus(NanoDetector(), place)
        return str(caught.value)

    assert "convolutions" in refused(lines[:50], numbers) or "bytes" in refused(lines[:50], numbers)
    assert "damaged" in refused(lines, numbers[:1000])
    assert "damaged" in refused(lines, b"\1" + numbers[1:])
    assert "bytes" in refused(lines, numbers + b"more")
    with pytest.raises(ModelRefused, match="weights"):
        load_nanodet_plus(NanoDetector(classes=7), source)
