"""The backbone: TensorFlow's padding, and Google's weights in it."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from sightline.errors import ModelRefused
from sightline.runtime.engine import Plan
from sightline.runtime.onnx_engine import OnnxEngine
from sightline.training.models.mobilenet_v2 import CLASSES, WIDTH, MobileNetV2, Same, load_mobilenet_v2

pytestmark = pytest.mark.train
START = "mobilenet_v2_1.0_224_dequantised.onnx"


def test_a_stride_of_two_looks_right_and_down() -> None:
    part = Same((1, 1), 3, stride=2, linear=True)
    torch.nn.init.ones_(part.conv.weight)
    torch.nn.init.zeros_(part.conv.bias)
    found = part(torch.ones(1, 1, 4, 4))
    assert found[0, 0].tolist() == [[9, 6], [6, 4]]  # with padding=1 the small sums would be at the top left


def test_activations_stay_between_nought_and_six() -> None:
    part = Same((1, 1))
    torch.nn.init.ones_(part.conv.weight)
    torch.nn.init.zeros_(part.conv.bias)
    assert part(torch.tensor([-1.0, 3.0, 9.0]).view(1, 1, 1, 3)).flatten().tolist() == [0, 3, 6]


@pytest.mark.parametrize("size", [(32, 32), (64, 96)])
def test_shapes(size: tuple[int, int]) -> None:
    seen = MobileNetV2()(torch.rand(2, 3, *size))
    assert seen.features.shape == (2, WIDTH)
    assert seen.logits.shape == (2, CLASSES)
    assert seen.features.min() >= 0
    assert 0.01 < float(seen.features.detach().std()) < 6


@pytest.mark.shared
def test_the_start_computes_the_same_here(shared: Path, tmp_path: Path) -> None:
    path = shared / "weights" / START
    network = MobileNetV2().eval()
    load_mobilenet_v2(network, path)
    graph = onnx.load(str(path))
    graph.graph.output.append(helper.make_tensor_value_info("t172", TensorProto.FLOAT, None))
    onnx.save(graph, str(tmp_path / "start.onnx"))
    engine = OnnxEngine(tmp_path / "start.onnx", Plan())
    pixels = torch.rand(2, 3, 224, 224, generator=torch.Generator().manual_seed(0)) * 2 - 1
    wanted = engine.run(pixels.numpy())
    engine.close()
    with torch.no_grad():
        seen = network(pixels)
    np.testing.assert_allclose(seen.features.numpy(), wanted["t172"][:, :, 0, 0], atol=1e-4)
    np.testing.assert_allclose(seen.logits.softmax(1).numpy(), wanted["probs"], atol=1e-5)


@pytest.mark.parametrize("count", [1, 53], ids=["too few", "another shape"])
def test_another_network_is_refused(count: int, tmp_path: Path) -> None:
    weight = numpy_helper.from_array(np.zeros((3, 3, 1, 1), np.float32), "w")
    bias = numpy_helper.from_array(np.zeros(3, np.float32), "b")
    names = ["x", *(f"y{i}" for i in range(count))]
    nodes = [helper.make_node("Conv", [names[i], "w", "b"], [names[i + 1]]) for i in range(count)]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in (names[0], names[-1])]
    graph = helper.make_graph(nodes, "other", ends[:1], ends[1:], [weight, bias])
    onnx.save(helper.make_model(graph), str(tmp_path / "other.onnx"))
    with pytest.raises(ModelRefused, match="another network"):
        load_mobilenet_v2(MobileNetV2(), tmp_path / "other.onnx")
