"""The network: cells in the order that the head reads, and YOLOX-Nano's weights in it."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from sightline.errors import ModelRefused
from sightline.runtime.engine import Plan
from sightline.runtime.onnx_engine import OnnxEngine
from sightline.training.models.grid_detector import STRIDES, GridDetector, boxes, cells
from sightline.training.models.start import load_yolox_nano
from sightline.vision.heads import grid

pytestmark = pytest.mark.train


def test_cells_are_those_of_the_head() -> None:
    corners, strides = cells(64, 96)
    table = grid.cells(96, 64, STRIDES)
    np.testing.assert_array_equal(torch.cat([corners, strides[:, None]], 1).numpy(), table)


def test_boxes_by_hand() -> None:
    corners, strides = cells(32, 32)
    raw = torch.zeros(1, len(strides), 5)
    raw[0, 5, :4] = torch.tensor([0.5, 0.25, 0.0, np.log(2.0)])  # stride 8, column 1, row 1
    assert boxes(raw, corners, strides)[0, 5].tolist() == pytest.approx([8, 2, 16, 18])


@pytest.mark.parametrize("size", [(32, 32), (64, 96)])
def test_one_answer_per_cell(size: tuple[int, int]) -> None:
    network = GridDetector(classes=3, width=4)
    out = network.probabilities(torch.zeros(2, 3, *size))
    assert out.shape == (2, len(cells(*size)[1]), 8)
    assert ((out[..., 4:] > 0) & (out[..., 4:] < 1)).all()


@pytest.mark.shared
def test_yolox_nano_computes_the_same_here(shared: Path) -> None:
    path = shared / "weights" / "yolox_nano_416.onnx"
    network = GridDetector().eval()
    load_yolox_nano(network, path)
    engine = OnnxEngine(path, Plan())
    pixels = torch.rand(1, 3, 416, 416, generator=torch.Generator().manual_seed(0)) * 255
    wanted = engine.run(pixels.flip(1).numpy())["output"]  # the published file takes BGR
    engine.close()
    with torch.no_grad():
        found = network.probabilities(pixels).numpy()
    np.testing.assert_allclose(found, wanted, atol=2e-4, rtol=1e-4)


@pytest.mark.shared
def test_another_network_is_refused(shared: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelRefused, match="convolutions"):
        load_yolox_nano(GridDetector(), shared / "weights" / "yunet_n_dynamic.onnx")
    with pytest.raises(ModelRefused, match="shape"):
        load_yolox_nano(GridDetector(width=8), shared / "weights" / "yolox_nano_416.onnx")
    model = onnx.load(str(shared / "weights" / "yolox_nano_416.onnx"))
    first = next(node for node in model.graph.node if node.op_type == "Conv")
    next(i for i in model.graph.initializer if i.name == first.input[1]).dims[:] = [16, 3, 6, 6]
    onnx.save(model, str(tmp_path / "odd.onnx"))
    with pytest.raises(ModelRefused, match="first convolution"):
        load_yolox_nano(GridDetector(), tmp_path / "odd.onnx")
