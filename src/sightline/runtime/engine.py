"""The port between serving and the libraries that run graphs.

An engine runs one graph. ``run`` may be called from ``lanes`` threads at once: that is how a
processor is kept busy without making one caller's picture wait for another's: each call then
computes on its own core. A call that finds nobody else running may take the *wide* copy of the
graph, which spreads one picture over all cores.
"""

import contextlib
import mmap
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

Tensor: TypeAlias = npt.NDArray[Any]
Outputs: TypeAlias = dict[str, Tensor]
Shape: TypeAlias = tuple[int, ...]
EngineName: TypeAlias = Literal["onnxruntime", "openvino"]
Precision: TypeAlias = Literal["fp32", "bf16", "int8"]
_PATH_SLASHES = 2
TRY_OTHER = 24
"""Every so many calls that are alone, the slower of wide and narrow is timed again."""
PICTURE_AXES = 4
"""Axes of a tensor that holds a batch of pictures."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How a graph is to be run: everything an engine needs besides the file."""

    engine: EngineName = "onnxruntime"
    precision: Precision = "fp32"
    """``int8``: the bundle's int8 file runs instead of ``model.onnx``."""
    threads: int = 1
    """All threads that the model may use."""
    lanes: int = 1
    """Calls side by side; each has ``threads // lanes`` threads."""
    wide: bool = False
    """Hold a second copy of the graph that gives all threads to a caller who is alone."""
    batch: int = 1
    """Most pictures in one call."""
    arena: bool = True
    """Let the engine keep its scratch memory between calls: faster, larger."""

    @property
    def lane_threads(self) -> int:
        """Threads of one of several calls."""
        return max(1, self.threads // self.lanes)

    def describe(self) -> str:
        """One line for people."""
        width = f"{self.lanes} x {self.lane_threads} threads" if self.lanes > 1 else f"{self.threads} threads"
        return (
            f"{self.engine} {self.precision}, {width}, batch {self.batch}{', wide copy' if self.wide else ''}"
        )

    def to_json(self) -> dict[str, Any]:
        """Fields as plain values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What runs, for people and machines."""

    engine: str
    version: str
    precision: str
    """``fp32``, ``bf16`` or ``int8`` (a quantised graph)."""
    threads: int
    reason: str
    lanes: int = 1

    @property
    def title(self) -> str:
        """``onnxruntime fp32``: what results carry."""
        return f"{self.engine} {self.precision}"


class Engine(Protocol):
    """A graph, ready to run."""

    info: EngineInfo
    max_batch: int | None
    """Most pictures in one call; ``None``: any number."""

    def run(self, tensor: Tensor) -> Outputs:
        """Run the graph on one tensor; outputs by name.

        Raises:
            ModelFailed: The graph was accepted but broke.
        """
        ...  # pragma: no cover

    def close(self) -> None:
        """Free the graph; no call is running."""
        ...  # pragma: no cover


class Width:
    """Decides for each call whether it takes the wide copy of the graph.

    Only a call that is alone may. All threads of a wide call wait for the slowest one, so on a
    machine that others use too, wide can be slower than narrow: both are timed, the faster one is
    taken, and now and then the other one gets a chance to have become better. Each shape of input is
    timed for itself: a large picture that takes long says nothing about a small one.
    """

    def __init__(self, *, wide: bool) -> None:
        self._wide = wide
        self._lock = threading.Lock()
        self._inside = 0
        self._entered = 0
        self._turn = 0
        self._paces_s: dict[Shape, dict[bool, float]] = {}

    @contextlib.contextmanager
    def enter(self, shape: Shape = ()) -> Iterator[bool]:
        """Yield whether this call is to be wide, and time it if it is alone from end to end.

        Args:
            shape: Of the input. Only models with few shapes may have a wide copy: each is remembered.

        One that others join says nothing about a call alone: after a busy minute it would make the wide
        copy look slow, and a single caller would wait for the narrow one.
        """
        with self._lock:
            alone = self._inside == 0
            self._inside += 1
            self._entered += 1
            number = self._entered
            pace_s = self._paces_s.setdefault(shape, {}) if self._wide else {}
            wide = alone and self._wide and self._prefer_wide(pace_s)
        began = time.perf_counter()
        try:
            yield wide
        finally:
            took = time.perf_counter() - began
            with self._lock:
                self._inside -= 1
                if alone and self._wide and number == self._entered:
                    pace_s[wide] = 0.7 * pace_s.get(wide, took) + 0.3 * took

    def _prefer_wide(self, pace_s: dict[bool, float]) -> bool:
        self._turn += 1
        if len(pace_s) < 2:
            return True not in pace_s
        faster = pace_s[True] <= pace_s[False]
        return faster != (self._turn % TRY_OTHER == 0)


def precision_of(path: Path, plan: Plan) -> str:
    """``int8`` for a quantised graph, else the plan's precision.

    Operator names stand in the file as plain text, so no parser has to be loaded to look for them.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        quantised = any(
            data.find(name) >= 0 for name in (b"DequantizeLinear", b"QLinearConv", b"ConvInteger")
        )
    return "int8" if quantised else plan.precision


def words(error: Exception) -> str:
    """What an engine says, for people: its last line (the cause), without paths, at most 300 characters."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    parts = (lines or [type(error).__name__])[-1].split()
    text = " ".join(part if part.count("/") < _PATH_SLASHES else Path(part).name for part in parts)
    return text[:300].rstrip(".") + "."


class FakeEngine:
    """An engine without a graph: gives the same outputs for each picture of the batch.

    It ships with the library so that callers can test their own code. ``calls`` records the
    shape of each tensor that ran; ``fail`` is raised instead of answering when it is set.
    """

    def __init__(
        self, outputs: Mapping[str, Tensor], *, max_batch: int | None = None, lanes: int = 1
    ) -> None:
        self.info = EngineInfo("fake", "0", "fp32", 1, "It was asked for.", lanes)
        self.max_batch = max_batch
        self.calls: list[tuple[int, ...]] = []
        self.fail: Exception | None = None
        self.closed = False
        self._outputs = dict(outputs)

    def run(self, tensor: Tensor) -> Outputs:
        """Repeat the given outputs along axis 0, one for each picture."""
        self.calls.append(tensor.shape)
        if self.fail is not None:
            raise self.fail
        return {name: np.repeat(value[None], len(tensor), axis=0) for name, value in self._outputs.items()}

    def close(self) -> None:
        """Remember that it was closed."""
        self.closed = True
