"""Writing the pairs of QuantizeLinear and DequantizeLinear: the graph made ready, calibrated, and written.

Knows ONNX Runtime's quantisation library; which nodes and which ranges are decided by its callers.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.version_converter
import onnxruntime
from onnxruntime import quantization
from onnxruntime.quantization.calibrate import CalibrationMethod, TensorsData
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer
from onnxruntime.quantization.quant_utils import load_model_with_shape_infer

from sightline.errors import ModelFailed
from sightline.runtime.engine import Tensor, words
from sightline.runtime.equalise import equalise
from sightline.runtime.layers import Layers, layers_of
from sightline.runtime.ranges import METHODS, Range, observe

_PER_CHANNEL_OPSET = 13


@dataclass(frozen=True, slots=True)
class Way:
    """Which operators become int8, and which nodes not."""

    title: str
    operators: tuple[str, ...]
    spared: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Draft:
    """A graph with batch normalisation folded in and a name for every node."""

    path: Path
    layers: Layers


@dataclass(frozen=True, slots=True, eq=False)
class Calibrated:
    """A draft, and the range of each of its tensors."""

    draft: Draft
    title: str
    ranges: Mapping[str, Range]


def fuse(source: Path, folder: Path) -> Draft:
    """Fold batch normalisation into convolutions, name every node, and lift the opset if need be.

    Raises:
        ModelFailed: ONNX Runtime does not take the graph.
    """
    target = folder / "fused.onnx"
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(target)
    options.log_severity_level = 4
    try:
        onnxruntime.InferenceSession(str(source), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's errors have no common base class
        raise ModelFailed(f"ONNX Runtime could not open the model: {words(error)}") from error
    model = onnx.load(target, load_external_data=False)
    if _opset(model) < _PER_CHANNEL_OPSET:
        with suppress(Exception):  # the converter does not know every operator; one scale per tensor must do
            model = onnx.version_converter.convert_version(model, _PER_CHANNEL_OPSET)
    for index, node in enumerate(model.graph.node):
        node.name = node.name or f"{node.op_type}_{index}"
    onnx.save(model, target)
    return Draft(target, layers_of(model))


def calibrate(draft: Draft, tensors: Sequence[Tensor]) -> Iterator[Calibrated]:
    """The draft, and the draft with equalised channels, each with every method to find ranges."""
    scratch = draft.path.with_name("calibration.onnx")
    equal = Draft(draft.path.with_name("equal.onnx"), draft.layers)
    model = _load(draft.path)
    seen = observe(model, scratch, tensors)
    for title, method in METHODS.items():
        yield Calibrated(draft, title, {name: method(item) for name, item in seen.items()})
    if not equalise(model, scratch, tensors):
        return
    onnx.save(model, equal.path)
    seen = observe(model, scratch, tensors)
    for title, method in METHODS.items():
        ranges = {name: method(item) for name, item in seen.items()}
        yield Calibrated(equal, f"{title}, channels equalised", ranges)


def write(calibrated: Calibrated, target: Path, way: Way) -> Path:
    """Write the quantised graph; returns ``target``."""
    model = _load(calibrated.draft.path)
    ranges = {name: tuple(map(np.float32, item)) for name, item in calibrated.ranges.items()}
    with _silence():
        quantizer = QDQQuantizer(
            model,
            per_channel=_opset(model) >= _PER_CHANNEL_OPSET,
            reduce_range=True,
            weight_qType=quantization.QuantType.QInt8,
            activation_qType=quantization.QuantType.QUInt8,
            tensors_range=TensorsData(CalibrationMethod.MinMax, ranges),
            nodes_to_quantize=[],
            nodes_to_exclude=list(way.spared),
            op_types_to_quantize=list(way.operators),
            extra_options={"ActivationSymmetric": False, "WeightSymmetric": True},
        )
        quantizer.quantize_model()
        quantizer.model.save_model_to_file(str(target))
    return target


def _load(path: Path) -> Any:
    with _silence():
        return load_model_with_shape_infer(path)


def _opset(model: Any) -> int:
    return max((item.version for item in model.opset_import if item.domain in {"", "ai.onnx"}), default=0)


@contextmanager
def _silence() -> Iterator[None]:
    """The library prints and logs advice about steps that have been taken already."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with redirect_stdout(StringIO()):
            yield
    finally:
        logging.disable(before)
