"""What is known about a model file before any engine opens it."""

import math
from dataclasses import dataclass
from typing import TypeAlias

Dim: TypeAlias = int | str
"""A size, or the name of one that is free (empty if it has no name)."""


@dataclass(frozen=True, slots=True)
class Port:
    """One input or output of a graph: ``dtype`` in numpy's words, ``shape`` as declared."""

    name: str
    dtype: str
    shape: tuple[Dim, ...] | None
    """``None`` if the file does not say."""

    @property
    def rank(self) -> int:
        return -1 if self.shape is None else len(self.shape)

    def fixed(self, axis: int) -> int | None:
        """The size of an axis if the file fixes it."""
        if self.shape is None or not -self.rank <= axis < self.rank:
            return None
        size = self.shape[axis]
        return size if isinstance(size, int) else None

    def __str__(self) -> str:
        shape = "?" if self.shape is None else "x".join(str(size) or "?" for size in self.shape)
        return f"{self.name} {shape} {self.dtype}"


@dataclass(frozen=True, slots=True)
class Facts:
    """What the inspection of one ONNX file found."""

    bytes: int
    ir: int
    opset: int
    producer: str
    inputs: tuple[Port, ...]
    """Real inputs; weights that old exporters also list as inputs are left out."""
    outputs: tuple[Port, ...]
    ends: tuple[str, ...]
    """Per output, the operator that makes it, seen through reshapes: ``Softmax``."""
    nodes: int
    tensors: int
    parameters: int
    operators: tuple[str, ...]
    quantised: bool
    metadata: tuple[tuple[str, str], ...] = ()

    def output(self, name: str) -> Port | None:
        """The output of that name, if there is one."""
        return next((port for port in self.outputs if port.name == name), None)


def count(shape: tuple[int, ...]) -> int:
    """Number of elements (1 for a scalar)."""
    return math.prod(shape)
