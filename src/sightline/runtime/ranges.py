"""Calibration: what the tensors of a graph hold on real pictures, and the ranges to cut into 256 steps.

One picture at a time runs through a copy of the graph that gives out its inner tensors; of each only a
histogram is kept, so memory does not grow with the number of pictures. Rare large values cost resolution
everywhere else, so besides the widest range there are two that cut them: at a share of all values, and where
the mean square of rounding and cutting is least (as in Choukroun et al., "Low-bit Quantization of Neural
Networks for Efficient Inference", 2019).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime

from sightline.runtime.engine import Tensor
from sightline.runtime.layers import readers

Range: TypeAlias = tuple[float, float]
BINS = 2048
_STEPS = 255
_SHARE = 0.9999
_SHRINK = (*np.linspace(1, 0.5, 11), 0.4, 0.3, 0.2, 0.1)


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What one tensor held on all calibration pictures."""

    low: float
    high: float
    counts: npt.NDArray[np.float64]
    """(BINS,) values in each equal part of low to high."""
    slope: float = 1.0
    """How much of a negative value is left behind the only node that reads it (a leaky ReLU)."""

    @property
    def centres(self) -> npt.NDArray[np.float64]:
        """(BINS,) the middle of each part."""
        return self.low + (np.arange(BINS) + 0.5) * (self.high - self.low) / BINS


def widest(seen: Seen) -> Range:
    """Everything that was seen."""
    return seen.low, seen.high


def nearly_all(seen: Seen) -> Range:
    """All but one value in ten thousand at either end."""
    share = np.cumsum(seen.counts) / max(1.0, float(seen.counts.sum()))
    edges = np.linspace(seen.low, seen.high, BINS + 1)
    low, high = int(np.searchsorted(share, 1 - _SHARE)), int(np.searchsorted(share, _SHARE)) + 1
    return min(0.0, float(edges[low])), max(0.0, float(edges[min(high, BINS)]))


def least_error(seen: Seen) -> Range:
    """Where rounding inside and cutting outside cost least; negatives count as what is left of them."""
    here = seen.counts > 0
    values, weights = seen.centres[here], seen.counts[here]
    weights = np.where(values < 0, weights * seen.slope**2, weights)
    best, least = widest(seen), float("inf")
    for low in seen.low * np.array(_SHRINK if seen.low < 0 else (1.0,)):
        for high in seen.high * np.array(_SHRINK if seen.high > 0 else (1.0,)):
            error = _error(values, weights, float(low), float(high))
            if error < least:
                best, least = (float(low), float(high)), error
    return best


METHODS: Mapping[str, Callable[[Seen], Range]] = {
    "ranges of least error": least_error,
    "ranges of 99.99 % of the values": nearly_all,
    "the widest ranges": widest,
}


def observe(model: Any, scratch: Path, tensors: Sequence[Tensor]) -> dict[str, Seen]:
    """Run the pictures and count what each float tensor of the graph holds.

    Args:
        model: An ONNX model with the types of its inner tensors (``value_info``).
        scratch: A file to write the copy to that gives them out.
        tensors: Calibration inputs; they may differ in size.
    """
    name = input_name(model)
    session = open_for_all(model, scratch, [item for item in _floats(model) if item != name])
    lows: dict[str, float] = {}
    highs: dict[str, float] = {}
    for found in _runs(session, name, tensors):
        for key, value in found:
            lows[key] = min(lows.get(key, 0.0), float(value.min(initial=0.0)))
            highs[key] = max(highs.get(key, 0.0), float(value.max(initial=0.0)))
    counts = {key: np.zeros(BINS) for key in lows}
    for found in _runs(session, name, tensors):
        for key, value in found:
            if highs[key] > lows[key]:
                counts[key] += np.histogram(value, BINS, (lows[key], highs[key]))[0]
    slopes = _slopes(model)
    return {key: Seen(lows[key], highs[key], counts[key], slopes.get(key, 1.0)) for key in lows}


def input_name(model: Any) -> str:
    """The first input that is no weight."""
    held = {item.name for item in model.graph.initializer}
    return str(next(item.name for item in model.graph.input if item.name not in held))


def open_for_all(model: Any, scratch: Path, names: Sequence[str]) -> Any:
    """A session of a copy of the graph that gives out these tensors too."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    given = {item.name for item in copy.graph.output}
    for name in names:
        if name not in given:
            copy.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    onnx.save(copy, scratch)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 2, 4
    options.enable_cpu_mem_arena = False
    return onnxruntime.InferenceSession(str(scratch), options, providers=["CPUExecutionProvider"])


def _runs(session: Any, name: str, tensors: Sequence[Tensor]) -> Iterator[list[tuple[str, Tensor]]]:
    outputs = [item.name for item in session.get_outputs()]
    for tensor in tensors:
        found = zip(outputs, session.run(outputs, {name: tensor}), strict=True)
        yield [(key, value) for key, value in (*found, (name, tensor)) if value.dtype == np.float32]


def _floats(model: Any) -> list[str]:
    known = [*model.graph.value_info, *model.graph.output]
    return [item.name for item in known if item.type.tensor_type.elem_type == onnx.TensorProto.FLOAT]


def _slopes(model: Any) -> dict[str, float]:
    """Tensors that only a leaky ReLU reads, with its slope; sizes that are read off it do not count."""
    return {
        name: next((item.f for item in nodes[0].attribute if item.name == "alpha"), 0.01)
        for name, nodes in readers(model).items()
        if len(nodes) == 1 and nodes[0].op_type == "LeakyRelu"
    }


def _error(
    values: npt.NDArray[np.float64], weights: npt.NDArray[np.float64], low: float, high: float
) -> float:
    if high <= low:
        return float("inf")
    step = (high - low) / _STEPS
    zero = round(-low / step)
    kept = (np.clip(np.round(values / step) + zero, 0, _STEPS) - zero) * step
    return float(np.sum(weights * np.square(kept - values)))
