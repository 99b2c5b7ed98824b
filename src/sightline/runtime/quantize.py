"""Int8 versions of float graphs, by static quantisation with calibration pictures.

Weights become int8 per output channel, activations uint8 per tensor, written as
QuantizeLinear/DequantizeLinear pairs that both engines understand (the scheme of Jacob et al.,
"Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference",
2018). Weights use seven of their eight bits, because processors without VNNI add pairs of
products in 16 bits and would overflow: the same file must give the same numbers everywhere.
"""

import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

from sightline.errors import BadOption, ModelFailed, ModelRefused
from sightline.manifest import LOSS_MAX, Manifest
from sightline.runtime.engine import EngineName, Plan, Tensor, precision_of
from sightline.runtime.layers import HEAVY, blocks
from sightline.runtime.onnx_engine import OnnxEngine
from sightline.runtime.parity import canvas, distance, read_alike, tolerance
from sightline.runtime.qdq import Calibrated, Draft, Way, calibrate, fuse, write

PICTURES_MIN = 8
ALIKE_MIN = 0.75
DISTANCE_MAX = 0.5
_BOX_SLACK = 0.1
"""An int8 box may move by a tenth of its side: intersection over union stays above 0.8."""
_BEHIND = ("Relu", "Clip")
"""Operators that a quantised multiplication swallows."""
_LIGHT = (
    "Add", "MaxPool", "AveragePool", "GlobalAveragePool", "Concat", "Resize", "LeakyRelu", "Split",
    "Transpose", "Reshape",
)  # fmt: skip
_MANY = 12
"""With fewer layers, sparing the narrow ones or those that hurt would spare most of the work."""
_BLOCKS = 12
_SPARED_SHARES = (4, 2)
"""One part in so many of the blocks is spared, those that hurt most."""
_LOOKS = 3
"""Held-out pictures for comparisons that only rank."""
HELD_OUT = 4
"""Every fourth calibration picture is kept back to judge the result."""
Judge: TypeAlias = Callable[[Path], float]
"""Given a quantised file: how many points it loses on labelled pictures."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One way of quantising, and how it did on pictures that were not used for calibration."""

    title: str
    distance: float
    """Median over the pictures of the relative root mean square difference of the outputs."""
    alike: float
    """Share of the pictures that are read as before: the same best class, the same sure boxes."""
    loses: float | None = None
    """Points lost on labelled pictures; None: not judged."""
    judging: bool = False
    """Whether the labelled pictures decide."""

    @property
    def near(self) -> bool:
        """Whether it is worth judging."""
        return self.distance <= DISTANCE_MAX

    @property
    def good(self) -> bool:
        """Whether this way may be used."""
        if self.judging:
            return self.loses is not None and self.loses <= LOSS_MAX
        return self.near and self.alike >= ALIKE_MIN

    @property
    def told(self) -> str:
        """For people."""
        loses = "" if self.loses is None else f", {self.loses:.2f} points lost"
        return f"{self.title}: {self.distance:.2g} off, {self.alike:.0%} alike{loses}"


@dataclass(frozen=True, slots=True)
class Quantised:
    """What was made: the last attempt, which was good."""

    attempts: tuple[Attempt, ...]
    bytes_before: int
    bytes_after: int
    calibration: str = ""
    """How the ranges were found, in words."""
    engines: tuple[EngineName, ...] = ("onnxruntime",)
    """Engines that compute the file as ONNX Runtime does, on the held-out pictures."""

    @property
    def chosen(self) -> Attempt:
        """The way that was used."""
        return self.attempts[-1]


def quantize(
    source: Path,
    target: Path,
    tensors: Sequence[Tensor],
    manifest: Manifest,
    progress: Callable[[str], None] = lambda _: None,
    judge: Judge | None = None,
) -> Quantised:
    """Write an int8 version of ``source`` to ``target``.

    Several ways are tried, from the fastest to the most careful, until one is good: everything; without
    the first and the last layers; only the multiplications; without the narrow ones; without those that
    hurt most. How the graph decodes its answer is never quantised.

    Args:
        source: The float graph.
        target: The file to write.
        tensors: Inputs made from calibration pictures, with the axes that the graph takes.
        manifest: The contract of the graph, to compare what is read from both.
        progress: Told what is going on, in words.
        judge: Decides which way is good (at most 0.5 points lost); without it the agreement with the
            float graph on held-out calibration pictures does.

    Raises:
        BadOption: Too few pictures.
        ModelRefused: The graph is quantised already.
        ModelFailed: No way is good.
    """
    if len(tensors) < PICTURES_MIN:
        raise BadOption(f"Calibration wants at least {PICTURES_MIN} pictures, got {len(tensors)}.")
    if precision_of(source, Plan()) == "int8":
        raise ModelRefused("The model is quantised already.", next_step="Quantise the float version of it.")
    held, used = list(tensors[::HELD_OUT]), [t for i, t in enumerate(tensors) if i % HELD_OUT]
    attempts: list[Attempt] = []
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        scratch = Path(folder)
        progress("Calibrating")
        draft = fuse(source, scratch)
        rank = partial(_far, source, manifest=manifest, held=held[:_LOOKS])
        chosen = _best_ranges(calibrate(draft, used), rank, scratch)
        for way in _ways(chosen, rank, scratch):
            progress(f"Quantising {way.title}")
            written = write(chosen, scratch / "int8.onnx", way)
            attempts.append(_attempt(way.title, (source, written), held, manifest, judge))
            if attempts[-1].good:
                sizes = source.stat().st_size, written.stat().st_size
                engines = _engines(written, held, manifest)
                written.replace(target)
                return Quantised(tuple(attempts), *sizes, chosen.title, engines)
    told = "; ".join(item.told for item in attempts)
    raise ModelFailed(
        f"The int8 versions differ too much from the float model ({told}).",
        next_step="Give more, and more typical, calibration pictures, or stay with the float model.",
    )


def _best_ranges(
    candidates: Iterator[Calibrated], rank: Callable[[Path], float], scratch: Path
) -> Calibrated:
    """Of the ways to find ranges, that which is nearest with everything quantised."""
    best: tuple[float, Calibrated] | None = None
    for each in candidates:
        away = rank(write(each, scratch / "ranges.onnx", _everything(each.draft)))
        if best is None or away < best[0]:
            best = away, each
    if best is None:  # pragma: no cover - calibrate always gives some
        raise ModelFailed("There is nothing to calibrate in this graph.")
    return best[1]


def _everything(draft: Draft) -> Way:
    return Way("everything", HEAVY + _BEHIND + _LIGHT, draft.layers.tail)


def _ways(chosen: Calibrated, rank: Callable[[Path], float], scratch: Path) -> Iterator[Way]:
    """From the fastest to the most careful; each leaves something to quantise."""
    layers, all_of_it = chosen.draft.layers, _everything(chosen.draft)
    ends = tuple(dict.fromkeys((*layers.first, *layers.last)))
    yield all_of_it
    if set(ends) >= set(layers.all):
        return
    yield Way("everything but the first and the last", all_of_it.operators, layers.tail + ends)
    products, most = HEAVY + _BEHIND, "the multiplications but the first and the last"
    yield Way(most, products, layers.tail + ends)
    if len(layers.all) < _MANY:
        return
    kept = tuple(name for name in layers.all if name not in ends)
    if set(layers.narrow) - set(ends) and set(kept) - set(layers.narrow):
        yield Way(f"{most} and the narrow", products, layers.tail + ends + layers.narrow)
    ranked = _ranked(chosen, kept, rank, scratch)
    for part in _SPARED_SHARES:
        worst = tuple(name for block in ranked[: len(ranked) // part] for name in block)
        yield Way(f"{most} and 1/{part} that hurts most", products, layers.tail + ends + worst)


def _ranked(
    chosen: Calibrated, kept: tuple[str, ...], rank: Callable[[Path], float], scratch: Path
) -> list[tuple[str, ...]]:
    """Blocks of neighbouring layers, the one first that alone in int8 takes the answer farthest away."""
    layers = chosen.draft.layers
    away: dict[tuple[str, ...], float] = {}
    for block in blocks(kept, _BLOCKS):
        others = tuple(name for name in layers.all if name not in block)
        way = Way("one block", HEAVY + _BEHIND, layers.tail + others)
        away[block] = rank(write(chosen, scratch / "block.onnx", way))
    return sorted(away, key=lambda block: -away[block])


def _far(source: Path, written: Path, *, manifest: Manifest, held: Sequence[Tensor]) -> float:
    before, after = _pair((source, written), manifest)
    return statistics.fmean(distance(before.run(tensor), after.run(tensor)) for tensor in held)


def _attempt(
    title: str, pair: tuple[Path, Path], held: Sequence[Tensor], manifest: Manifest, judge: Judge | None
) -> Attempt:
    before, after = _pair(pair, manifest)
    away, alike = [], []
    for tensor in held:  # one after the other: outputs of all pictures together may be large
        run = before.run(tensor), after.run(tensor)
        away.append(distance(*run))
        alike.append(read_alike(*run, manifest, _BOX_SLACK, canvas(tensor, manifest.input)))
    attempt = Attempt(title, statistics.median(away), statistics.fmean(alike), judging=judge is not None)
    if judge is None or not attempt.near:
        return attempt
    return Attempt(title, attempt.distance, attempt.alike, judge(pair[1]), judging=True)


def _engines(path: Path, held: Sequence[Tensor], manifest: Manifest) -> tuple[EngineName, ...]:
    """ONNX Runtime, and OpenVINO if it says the same: it rewrites int8 graphs, not always rightly."""
    from sightline.runtime.openvino_engine import OpenVinoEngine  # noqa: PLC0415 - 30 MB, only here

    told, plain = (
        OnnxEngine(path, Plan(threads=2, arena=False), tensor=manifest.input.tensor),
        Plan(threads=2),
    )
    try:
        other = OpenVinoEngine(path, plain, tensor=manifest.input.tensor)
        away = [distance(told.run(tensor), other.run(tensor)) for tensor in held]
    except ModelFailed:
        return ("onnxruntime",)
    return ("onnxruntime", "openvino") if max(away) <= tolerance("int8") else ("onnxruntime",)


def _pair(pair: tuple[Path, Path], manifest: Manifest) -> list[OnnxEngine]:
    plain = Plan(threads=2, arena=False)
    return [OnnxEngine(path, plain, tensor=manifest.input.tensor) for path in pair]
