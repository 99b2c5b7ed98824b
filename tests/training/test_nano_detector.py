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
        (b"1\n1 1\nInput i 0 1 i\nConvolution a 1 1 i o 0=3 5=1 6=0\n", "0 weights of 3 channels"),
        (b"1\n1 1\nInput i 0 1 i\nConvolution a 1 1 i o 0=9999999999 6=9999999999\n", "damaged"),
        (b"1\n1 1\nInput i 0 1 i\nConvolution a 1 1 i o 0=2 6=3\n", "3 weights of 2 channels"),
        (b"1\n1 1\nInput i 0 1 i\nConvolution a 1 1 i o 0=1 6=-1\n", "damaged"),
        (b"1\n1 1\nInput i 0 1 i\nConvolution a 1 1 i o 0=3 6=100\n", "damaged"),
        (b"1\n1 1\nInput i 0 1 i\nConvolution a 1 1 i o 0=1 5=0 6=1\n", "damaged"),
        (b"1\n1 1\nPooling a 1 1 p o 0=1\nPooling b 1 1 o p 0=1\n", "bytes"),
        (b"1\n1 1\nPooling a 1 1 nobody o 0=1\n", "no ncnn network"),
        (b"1\n1 1\nInput a many 1 i o\n", "no ncnn network"),
    ],
    ids=[
        *("missing", "no text", "no size", "no number", "no weights", "huge", "odd", "negative"),
        *("too short", "no room", "in a ring", "from nobody", "no count"),
    ],
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
def test_what_is_kept_in_8_bits_is_read_with_its_scales(shared: Path, tmp_path: Path) -> None:
    source = shared / "weights" / "nanodet-plus-m_416.param"
    text = tmp_path / "bytes.param"
    steps = _in_bytes(source, text)
    whole, coarse = NanoDetector(), NanoDetector()
    load_nanodet_plus(whole, source)
    load_nanodet_plus(coarse, text)
    pairs = zip(whole.convolutions(), coarse.convolutions(), strict=True)
    away = [float((one.weight - other.weight).detach().abs().max()) for one, other in pairs]
    assert sorted(away) == pytest.approx(sorted(steps), rel=1e-3, abs=1e-9)
    assert 0 < max(away) < 0.1


@pytest.mark.shared
def test_scales_that_cannot_be_are_refused(shared: Path, tmp_path: Path) -> None:
    text = tmp_path / "bytes.param"
    _in_bytes(shared / "weights" / "nanodet-plus-m_416.param", text)
    data = bytearray(text.with_suffix(".bin").read_bytes())
    first = 4 + 648 + 4 * 24  # mark, weights and bias of the first convolution, whose scales follow
    data[first : first + 4] = bytes(4)
    text.with_suffix(".bin").write_bytes(data)
    with pytest.raises(ModelRefused, match="no numbers"):
        load_nanodet_plus(NanoDetector(), text)
    plain = text.read_text().replace(" 8=2", "", 1)
    text.write_text(plain)
    with pytest.raises(ModelRefused, match="8 bits"):
        load_nanodet_plus(NanoDetector(), text)
    lines = text.read_text().splitlines()
    at = next(place for place, line in enumerate(lines) if line.startswith("Convolution"))
    lines[at] += " 8=7"
    text.write_text("\n".join(lines))
    with pytest.raises(ModelRefused, match="no ncnn network"):
        load_nanodet_plus(NanoDetector(), text)


@pytest.mark.shared
def test_layers_may_stand_in_another_order(shared: Path, tmp_path: Path) -> None:
    """Of two branches either may be written first; both orders are found in public files."""
    source = shared / "weights" / "nanodet-plus-m_416.param"
    lines, parts = _parts(source)
    first = next(at for at, line in enumerate(lines) if " Conv_6 " in f" {line.split()[1]} ")
    order = [*range(first - 2), first, first - 2, first - 1, *range(first + 1, len(lines))]
    assert [lines[at].split()[1] for at in order[first - 2 : first + 1]] == ["Conv_6", "Conv_3", "Conv_4"]
    other = tmp_path / "other.param"
    other.write_text("\n".join(["7767517", "0 0", *(lines[at] for at in order)]))
    other.with_suffix(".bin").write_bytes(b"".join(parts[at] for at in order))
    one, two = NanoDetector(), NanoDetector()
    load_nanodet_plus(one, source)
    load_nanodet_plus(two, other)
    for name, weights in one.backbone.state_dict().items():
        assert torch.equal(weights, two.backbone.state_dict()[name]), name


def _parts(source: Path) -> tuple[list[str], list[bytes]]:
    """The lines of a network in float16, and the bytes that belong to each."""
    data, place, parts = source.with_suffix(".bin").read_bytes(), 0, []
    lines = source.read_text().splitlines()[2:]
    for line in lines:
        options = dict(word.split("=") for word in line.split() if word[:2] in {"0=", "6="})
        size = 0
        if line.startswith("Convolution"):
            outer, count = int(options["0"]), int(options["6"])
            size = 4 + -(-2 * count // 4) * 4 + 4 * outer
        parts.append(data[place : place + size])
        place += size
    assert place == len(data)
    return lines, parts


def _in_bytes(source: Path, target: Path) -> list[float]:
    """Write the network of ``source`` in 8 bits; half a step, or what it is off, of each convolution."""
    lines, parts = _parts(source)
    written, away = bytearray(), []
    for at, (line, part) in enumerate(zip(lines, parts, strict=True)):
        if not part:
            continue
        outer = int(next(word for word in line.split() if word.startswith("0="))[2:])
        numbers = np.frombuffer(part[4 : -4 * outer], "<f2").astype(np.float32)
        kind = (1, 2, 101, 102)[at % 4]
        many = 1 if line.startswith("ConvolutionDepthWise") and kind in {2, 102} else outer
        numbers = numbers[: numbers.size // outer * outer].reshape(many, -1)
        scale = (127 / np.abs(numbers).max(1, keepdims=True).clip(1e-6)).astype(np.float32)
        kept = np.round(numbers * scale).astype(np.int8)
        away.append(float(np.abs(kept / scale - numbers).max()))
        data = kept.tobytes()
        written += b"\x38\x4b\x0d\x00" + data + bytes(-len(data) % 4) + part[-4 * outer :]
        written += scale.tobytes() + bytes(4 if kind < 100 else 8)
        lines[at] = f"{line} 8={kind}"
    target.write_text("\n".join(["7767517", "0 0", *lines]))
    target.with_suffix(".bin").write_bytes(written)
    return away


@pytest.mark.parametrize(("width", "count"), [(1.0, 1_186_346), (1.5, 2_461_080)])
def test_widths_are_the_published_ones(width: float, count: int) -> None:
    network = NanoDetector(width=width)
    assert sum(weights.numel() for weights in network.parameters()) == count
    assert network(torch.zeros(1, 3, 64, 64)).logits.shape == (1, 85, 80)


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
