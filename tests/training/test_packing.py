"""Weights in fewer bits: rounded once, stored without any further loss."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, numpy_helper
from torch import Tensor, nn

from sightline.training.graph import export_graph, prove
from sightline.training.packing import Bits, pack, rounded

pytestmark = pytest.mark.train


def network() -> nn.Sequential:
    """A small kernel; one with rows of very different sizes, one of which is empty; a matrix."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 40, 3, padding=1), nn.Flatten(), nn.Linear(640, 3)
    )
    with torch.no_grad():
        net[1].weight.mul_(torch.logspace(-3, 3, 40)[:, None, None, None])
        net[1].weight[7] = 0
    return net.eval()


def stored(path: Path) -> dict[int, int]:
    """Numbers in large tensors by their kind."""
    kinds: dict[int, int] = {}
    for item in onnx.load(str(path)).graph.initializer:
        size = int(np.prod(item.dims))
        if size >= 1024:
            kinds[item.data_type] = kinds.get(item.data_type, 0) + size
    return kinds


def written(net: nn.Module, path: Path) -> list[Tensor]:
    cases = [torch.rand(n, 3, 4, 4) for n in (1, 2, 3)]
    export_graph(net, cases[1], path, names=("pixels", ("scores",)), step=0)
    return cases


@pytest.mark.parametrize(
    ("bits", "kinds"),
    [(16, {TensorProto.FLOAT16: 1440 + 1920}), (8, {TensorProto.INT8: 1440, TensorProto.FLOAT16: 1920})],
)
def test_what_is_rounded_is_stored_small_and_computes_the_same(
    bits: Bits, kinds: dict[int, int], tmp_path: Path
) -> None:
    net, path = rounded(network(), bits), tmp_path / "model.onnx"
    cases = written(net, path)
    whole = path.stat().st_size
    pack(path)
    assert stored(path) == kinds
    assert path.stat().st_size < whole - 1.9 * (1440 + 1920)
    assert prove(net, path, cases).largest < 1e-5
    assert torch.equal(kept(path), net[1].weight)


def kept(path: Path) -> Tensor:
    """The second kernel as engines rebuild it."""
    held = {item.name: numpy_helper.to_array(item) for item in onnx.load(str(path)).graph.initializer}
    name = next(name for name in held if name.startswith("1.weight."))
    scale = held.get(name.replace(".steps", ".scale"), 1) if name.endswith(".steps") else 1
    return torch.from_numpy(held[name.replace(".scale", ".steps")].astype(np.float32) * scale)


@pytest.mark.parametrize("value", [np.inf, np.nan, 190 * 2.0**-149], ids=["inf", "nan", "subnormal"])
def test_numbers_that_have_no_steps_stay_as_they_are(value: float, tmp_path: Path) -> None:
    net, path = rounded(network(), 8), tmp_path / "model.onnx"
    with torch.no_grad():
        net[1].weight[3] = value
    written(net, path)
    pack(path)
    assert TensorProto.INT8 not in stored(path)


def test_what_was_not_rounded_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    written(network(), path)
    before = path.read_bytes()
    pack(path)
    assert path.read_bytes() == before


def test_every_row_keeps_its_own_scale() -> None:
    net = network()
    coarse = rounded(net, 8)
    for old, new in zip(net[1].weight.detach(), coarse[1].weight.detach(), strict=True):
        step = old.abs().max() / 127
        assert (old - new).abs().max() <= 0.6 * step
    assert torch.equal(coarse[0].weight, net[0].weight)
    assert torch.equal(rounded(coarse, 8)[1].weight, coarse[1].weight)
    assert not torch.equal(coarse[1].weight, net[1].weight)
