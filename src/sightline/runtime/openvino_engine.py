"""OpenVINO: faster on processors with AMX, AVX-512 bf16 or VNNI.

The only module that imports ``openvino``; it is imported only when a model is to run on it,
because the import alone costs tens of megabytes.
"""

import queue
from pathlib import Path
from typing import Any

import numpy as np
import openvino
from openvino import opset13, properties

from sightline.errors import ModelFailed
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


class OpenVinoEngine:
    """One graph in one or two compiled models.

    The *lane* model has one stream for each call side by side (streams share the weights); the
    *wide* model has a single stream with all threads.
    """

    def __init__(
        self, path: Path, plan: Plan, reason: str = "", tensor: str = "", limit_s: float = 0.0
    ) -> None:
        """Read and compile the graph; ``tensor`` names the input for pictures, or is empty for the first one.

        A run that takes longer than ``limit_s`` is stopped at the next operator; 0: never.

        Raises:
            ModelFailed: OpenVINO does not take the file; its own words are in the message.
        """
        openvino.Type.f32.to_dtype()  # fills a table on first use, which deadlocks when two threads are first
        core = openvino.Core()
        try:
            model = core.read_model(path)
            precision = precision_of(path, plan)
            if precision == "int8":
                _read_sizes_late(model)
            _keep_maximum_first(model)
            port = model.input(tensor) if tensor else model.input(0)
            self._shape = port.partial_shape
            lane, watch = _compile(core, model, plan, plan.lanes), Watch(limit_s)
            self._lane = _Streams(lane, plan.lanes, port, watch)
            wide = plan.lanes > 1 and plan.wide
            self._wide = _Streams(_compile(core, model, plan, 1), 1, port, watch) if wide else None
        except RuntimeError as error:
            raise ModelFailed(f"OpenVINO could not open the model: {words(error)}") from error
        rank = self._shape.rank
        batched = rank.is_static and len(self._shape) == PICTURE_AXES and self._shape[0].is_dynamic
        self.max_batch: int | None = None if batched else 1
        self._width = Width(wide=self._wide is not None)
        version = str(openvino.__version__).split("-", maxsplit=1)[0]
        self.info = EngineInfo("openvino", version, precision, plan.threads, reason, plan.lanes)

    def run(self, tensor: Tensor) -> Outputs:
        """Run the graph on one tensor."""
        with self._width.enter(tensor.shape) as wide:
            streams = self._wide if wide and self._wide is not None else self._lane
            try:
                return streams.run(tensor)
            except RuntimeError as error:
                raise ModelFailed(f"OpenVINO could not run the model: {words(error)}") from error

    def close(self) -> None:
        """Drop the compiled models."""
        self.__dict__.pop("_lane", None)
        self.__dict__.pop("_wide", None)


class _Streams:
    """A compiled model and one reusable request for each stream."""

    def __init__(self, compiled: Any, streams: int, port: Any, watch: Watch) -> None:
        self._watch = watch
        self._input = port.get_any_name()
        self._names = [result.friendly_name.removesuffix("/sink_port_0") for result in _results(compiled)]
        self._idle: queue.SimpleQueue[Any] = queue.SimpleQueue()
        for _ in range(streams):
            self._idle.put(compiled.create_infer_request())

    def run(self, tensor: Tensor) -> Outputs:
        request = self._idle.get()
        try:
            with self._watch.over(request.cancel):
                values = request.infer({self._input: tensor}, share_inputs=True)
            return {name: values[index] for index, name in enumerate(self._names)}
        finally:
            self._idle.put(request)


def _compile(core: Any, model: Any, plan: Plan, streams: int) -> Any:
    precision = openvino.Type.bf16 if plan.precision == "bf16" else openvino.Type.f32
    options = {
        properties.num_streams(): streams,
        properties.inference_num_threads(): plan.threads,
        properties.hint.inference_precision(): precision,
        # Pinned threads cannot move away from a core that somebody else uses.
        properties.hint.enable_cpu_pinning(): False,
    }
    return core.compile_model(model, "CPU", options)


def _read_sizes_late(model: Any) -> None:
    """Keep OpenVINO from forgetting the bias of convolutions in int8 (seen with 2026.4).

    Where a graph needs a height or width as a number (the view of a channel shuffle), OpenVINO takes it from
    the first tensor of that size. If that is a quantised convolution, whose output then has two readers, its
    bias is dropped: the everyday network lost three, and its AP fell to nearly 0. A size that went through
    arithmetic is no longer known to be the same, so it stays where the graph reads it: behind the bias.
    """
    for node in model.get_ordered_ops():
        if node.get_type_name() != "ShapeOf" or node.input(0).get_partial_shape().is_static:
            continue
        size = node.output(0)
        readers = list(size.get_target_inputs())
        twice = opset13.add(size, size)
        same = opset13.divide(twice, opset13.constant(2, size.get_element_type()))
        for reader in readers:
            reader.replace_source_output(same.output(0))
    model.validate_nodes_and_infer_types()


def _keep_maximum_first(model: Any) -> None:
    """Keep OpenVINO from computing an activation before the maximum that stands in front of it (2026.4).

    In float32 it turns convolution, MaxPool, activation into convolution with activation, MaxPool. That is
    the same only where the activation never falls. SiLU does: of -5 and -1 it gave silu(-5) = -0.03, not
    silu(-1) = -0.27. Limits at the two infinities change nothing and cost nothing, because the convolution
    takes them in, but it no longer stands directly before its MaxPool. Bodies of conditions and loops are
    not looked into.
    """
    for node in model.get_ordered_ops():
        if node.get_type_name() == "MaxPool" and node.get_input_element_type(0).is_real():
            into = node.input(0)
            limited = opset13.clamp(into.get_source_output(), -np.inf, np.inf)
            into.replace_source_output(limited.output(0))
    model.validate_nodes_and_infer_types()


def _results(compiled: Any) -> list[Any]:
    """The nodes whose names are those of the graph's outputs in the ONNX file, in its order."""
    return [port.node for port in compiled.outputs]
