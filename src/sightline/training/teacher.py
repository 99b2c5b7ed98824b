"""A frozen backbone that is only asked: run by ONNX Runtime, twice as fast as torch runs it."""

import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from sightline.runtime.engine import Plan
from sightline.runtime.onnx_engine import OnnxEngine
from sightline.training.graph import export_graph
from sightline.training.models.mobilenet_v2 import MobileNetV2, Seen
from sightline.types import Float32, UInt8

OUTPUTS = ("logits", "features")


class Answers(nn.Module):
    """A backbone as a graph: ``logits`` (n, 1001) for the head, ``features`` (n, 1280) for teaching."""

    def __init__(self, network: MobileNetV2) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        seen: Seen = self.network(pixels)
        return seen.logits, seen.features


class Teacher:
    """The network as it is now; later changes to it do not matter."""

    def __init__(self, network: MobileNetV2, size: int, threads: int) -> None:
        with tempfile.TemporaryDirectory(prefix="sightline-teacher-") as place:
            path = Path(place) / "teacher.onnx"
            asked = Answers(network).eval()
            export_graph(asked, torch.zeros(2, 3, size, size), path, names=("pixels", OUTPUTS))
            self._engine = OnnxEngine(path, Plan(threads=threads))
        network.train()

    def ask(self, pixels: UInt8) -> tuple[Float32, Float32]:
        """(h, w, 3) RGB -> features (1280,) and logits (1001,): mean of picture and mirror."""
        both = np.stack([pixels, pixels[:, ::-1]]).transpose(0, 3, 1, 2)
        answer = self._engine.run(np.ascontiguousarray(both, np.float32) / np.float32(127.5) - np.float32(1))
        return answer["features"].mean(0), answer["logits"].mean(0)
