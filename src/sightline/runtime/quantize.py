"""Int8 versions of float graphs, by static quantisation with calibration pictures.

Weights become int8 per output channel, activations uint8 per tensor, written as
QuantizeLinear/DequantizeLinear pairs that both engines understand (the scheme of Jacob et al.,
"Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference",
2018). Weights use seven of their eight bits, because processors without VNNI add pairs of
products in 16 bits and would overflow: the same file must give the same numbers everywhere.
"""

import logging
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import onnx
import onnx.version_converter
import onnxruntime
from onnxruntime import quantization
from onnxruntime.quantization.calibrate import CalibrationDataReader

from sightline.errors import BadOption, ModelFailed, ModelRefused
from sightline.manifest import Manifest
from sightline.runtime.engine import Plan, Tensor, precision_of, words
from sightline.runtime.onnx_engine import OnnxEngine
from sightline.runtime.parity import canvas, distance, read_alike

PICTURES_MIN = 8
ALIKE_MIN = 0.75
DISTANCE_MAX = 0.5
_BOX_SLACK = 0.1
"""An int8 box may move by a tenth of its side: intersection over union stays above 0.8."""
_HEAVY = ("Conv", "Gemm", "MatMul")
_LIGHT = ("Add", "MaxPool", "AveragePool", "GlobalAveragePool", "Concat", "Resize")
_PER_CHANNEL_OPSET = 13
_MANY = 12
"""With fewer multiplications, sparing some of them would spare most of the work."""
HELD_OUT = 4
"""Every fourth calibration picture is kept back to judge the result."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One way of quantising, and how it did on pictures that were not used for calibration."""

    title: str
    distance: float
    """Median over the pictures of the relative root mean square difference of the outputs."""
    alike: float
    """Share of the pictures that are read as before: the same best class, the same sure boxes."""

    @property
    def good(self) -> bool:
        """Whether this way may be used."""
        return self.distance <= DISTANCE_MAX and self.alike >= ALIKE_MIN


@dataclass(frozen=True, slots=True)
class Quantised:
    """What was made: the last attempt, which was good."""

    attempts: tuple[Attempt, ...]
    bytes_before: int
    bytes_after: int

    @property
    def chosen(self) -> Attempt:
        """The way that was used."""
        return self.attempts[-1]


@dataclass(frozen=True, slots=True)
class _Way:
    title: str
    operators: tuple[str, ...]
    spared: tuple[str, ...] = ()


def quantize(
    source: Path,
    target: Path,
    tensors: Sequence[Tensor],
    manifest: Manifest,
    progress: Callable[[str], None] = lambda _: None,
) -> Quantised:
    """Write an int8 version of ``source`` to ``target``.

    Three ways are tried, from the fastest to the most careful, until one agrees with the float
    graph on held-out pictures: everything; only the multiplications; these without the first
    and the last ones, where most of the error is made.

    Args:
        source: The float graph.
        target: The file to write.
        tensors: Inputs made from calibration pictures, with the axes that the graph takes.
        manifest: The contract of the graph, to compare what is read from both.
        progress: Told what is going on, in words.

    Raises:
        BadOption: Too few pictures.
        ModelRefused: The graph is quantised already.
        ModelFailed: No way agrees with the float graph.
    """
    if len(tensors) < PICTURES_MIN:
        raise BadOption(f"Calibration wants at least {PICTURES_MIN} pictures, got {len(tensors)}.")
    if precision_of(source, Plan()) == "int8":
        raise ModelRefused("The model is quantised already.", next_step="Quantise the float version of it.")
    held, used = list(tensors[::HELD_OUT]), [t for i, t in enumerate(tensors) if i % HELD_OUT]
    attempts: list[Attempt] = []
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        fused = _fuse(source, Path(folder) / "fused.onnx")
        for way in _ways(fused):
            progress(f"Quantising {way.title}")
            written = _write(fused, Path(folder) / "int8.onnx", used, way)
            attempts.append(_judge(way.title, (source, written), held, manifest))
            if attempts[-1].good:
                written.replace(target)
                return Quantised(tuple(attempts), source.stat().st_size, target.stat().st_size)
    told = "; ".join(f"{item.title}: {item.distance:.2g} off, {item.alike:.0%} alike" for item in attempts)
    raise ModelFailed(
        f"The int8 versions differ too much from the float model ({told}).",
        next_step="Give more, and more typical, calibration pictures, or stay with the float model.",
    )


def _fuse(source: Path, target: Path) -> Path:
    """Fold batch normalisation into convolutions, name every node, and lift the opset if need be."""
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
    return target


def _opset(model: Any) -> int:
    return max((item.version for item in model.opset_import if item.domain in {"", "ai.onnx"}), default=0)


def _ways(fused: Path) -> list[_Way]:
    nodes = [node for node in onnx.load(fused, load_external_data=False).graph.node if node.op_type in _HEAVY]
    ends = tuple(node.name for node in (*nodes[:1], *nodes[-3:]))
    ways = [_Way("everything", _HEAVY + _LIGHT), _Way("the multiplications", _HEAVY)]
    if len(nodes) >= _MANY:
        ways.append(_Way("the multiplications but the first and the last", _HEAVY, ends))
    return ways


class _Reader(CalibrationDataReader):  # type: ignore[misc]  # the library has no types
    """Calibration pictures, one by one, as the library wants them."""

    def __init__(self, name: str, tensors: Sequence[Tensor]) -> None:
        self._rows: Iterator[dict[str, Tensor]] = iter([{name: tensor} for tensor in tensors])

    def get_next(self) -> dict[str, Tensor] | None:
        return next(self._rows, None)


def _write(fused: Path, target: Path, tensors: Sequence[Tensor], way: _Way) -> Path:
    model: Any = onnx.load(fused, load_external_data=False)
    held = {item.name for item in model.graph.initializer}
    name = next(item.name for item in model.graph.input if item.name not in held)
    with _silence():
        quantization.quantize_static(
            fused,
            target,
            _Reader(name, tensors),
            quant_format=quantization.QuantFormat.QDQ,
            op_types_to_quantize=list(way.operators),
            nodes_to_exclude=list(way.spared),
            per_channel=_opset(model) >= _PER_CHANNEL_OPSET,
            reduce_range=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            extra_options={"ActivationSymmetric": False, "WeightSymmetric": True},
        )
    return target


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


def _judge(title: str, pair: tuple[Path, Path], held: Sequence[Tensor], manifest: Manifest) -> Attempt:
    plain = Plan(threads=2, arena=False)
    before, after = (OnnxEngine(path, plain, tensor=manifest.input.tensor) for path in pair)
    runs = [(before.run(tensor), after.run(tensor)) for tensor in held]
    alike = [
        read_alike(*run, manifest, _BOX_SLACK, canvas(tensor, manifest.input))
        for run, tensor in zip(runs, held, strict=True)
    ]
    return Attempt(title, statistics.median(distance(*run) for run in runs), statistics.fmean(alike))
