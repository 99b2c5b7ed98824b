"""ONNX Runtime: runs everywhere, loads fast, and is the reference for parity.

The only module that imports ``onnxruntime``.
"""

from functools import partial
from pathlib import Path
from typing import Any

import onnxruntime

from sightline.errors import ModelFailed
from sightline.runtime.allocator import keep_little, trim
from sightline.runtime.engine import (
    PICTURE_AXES,
    EngineInfo,
    Outputs,
    Plan,
    Tensor,
    Width,
    precision_of,
    words,
)
from sightline.runtime.watch import Watch


class OnnxEngine:
    """One graph in one or two ONNX Runtime sessions.

    The *lane* session computes each call on its caller's own thread. The *wide* one spreads a
    call over a thread pool; its threads spin between operators, which is worth a third of the
    latency, but are told to sleep the moment the call ends, so an idle server uses no processor.
    """

    def __init__(
        self, path: Path, plan: Plan, reason: str = "", tensor: str = "", limit_s: float = 0.0
    ) -> None:
        """Open the graph; ``tensor`` names the input for pictures, or is empty for the first one.

        A run that takes longer than ``limit_s`` is stopped at the next operator; 0: never.

        Raises:
            ModelFailed: ONNX Runtime does not take the file; its own words are in the message.
        """
        if not plan.arena:
            keep_little()
        narrow = plan.lanes > 1
        self._lane = _open(path, plan, plan.lane_threads if narrow else plan.threads)
        self._wide = _open(path, plan, plan.threads) if narrow and plan.wide else None
        trim()
        inputs = {item.name: item.shape for item in self._lane.get_inputs()}
        self._input = tensor or next(iter(inputs), "")
        if self._input not in inputs:
            raise ModelFailed(f"The graph has no input {tensor!r}; it has {', '.join(inputs) or 'none'}.")
        self._outputs = [item.name for item in self._lane.get_outputs()]
        shape = inputs[self._input]
        fixed = len(shape) != PICTURE_AXES or isinstance(shape[0], int)
        self.max_batch: int | None = 1 if fixed else None
        self._width, self._watch = Width(wide=self._wide is not None), Watch(limit_s)
        self.info = EngineInfo(
            "onnxruntime",
            onnxruntime.__version__,
            precision_of(path, plan),
            plan.threads,
            reason,
            plan.lanes,
        )

    def run(self, tensor: Tensor) -> Outputs:
        """Run the graph; further inputs than the first must have defaults inside the graph."""
        with self._width.enter(tensor.shape) as wide:
            session = self._wide if wide and self._wide is not None else self._lane
            options = onnxruntime.RunOptions()
            try:
                with self._watch.over(partial(_terminate, options)):
                    values = session.run(self._outputs, {self._input: tensor}, options)
            except ModelFailed:
                raise
            except Exception as error:  # ONNX Runtime's errors have no common base class
                raise ModelFailed(f"ONNX Runtime could not run the model: {words(error)}") from error
        return dict(zip(self._outputs, values, strict=True))

    def close(self) -> None:
        """Drop the sessions."""
        self.__dict__.pop("_lane", None)
        self.__dict__.pop("_wide", None)


def _terminate(options: Any) -> None:
    """The run with these options ends at its next operator."""
    options.terminate = True


def _open(path: Path, plan: Plan, threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = plan.arena
    options.enable_mem_pattern = plan.arena
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "1" if threads > 1 else "0")
    options.add_session_config_entry("session.force_spinning_stop", "1")
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's errors have no common base class
        raise ModelFailed(f"ONNX Runtime could not open the model: {words(error)}") from error
