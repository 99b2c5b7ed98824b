"""Which input of a graph takes the picture, and in what shape."""

from dataclasses import dataclass
from typing import Literal

from sightline.errors import ModelRefused
from sightline.runtime.facts import Facts, Port
from sightline.serving.hints import Hints

Layout = Literal["NCHW", "NHWC", "CHW"]


@dataclass(frozen=True, slots=True)
class PictureInput:
    """The input as the file declares it; sizes are ``None`` where the file leaves them free."""

    tensor: str
    layout: Layout
    dtype: str
    width: int | None
    height: int | None
    why: str


def find_picture_input(facts: Facts, hints: Hints) -> PictureInput:
    """The one input that takes an RGB picture.

    Raises:
        ModelRefused: There is none, or more than one, or it wants something that is no colour picture.
    """
    likely = [port for port in facts.inputs if port.rank in (3, 4)]
    if len(likely) != 1 or len(facts.inputs) != 1:
        shown = "; ".join(str(port) for port in facts.inputs[:6])
        raise ModelRefused(
            f"Sightline feeds a model one picture, but this one has the inputs: {shown}.",
            next_step="Export the model with a single input of shape 1x3xHxW or 1xHxWx3.",
        )
    port = likely[0]
    _check(port)
    layout = _layout(port, hints)
    x, y = {"NCHW": (3, 2), "NHWC": (2, 1), "CHW": (2, 1)}[layout]
    return PictureInput(port.name, layout, port.dtype, port.fixed(x), port.fixed(y), f"the input is {port}")


def _check(port: Port) -> None:
    if port.dtype not in ("float32", "uint8"):
        raise ModelRefused(
            f"The input {port.name!r} takes {port.dtype}; Sightline feeds float32 or uint8.",
            next_step="Export the model with a float32 input (its insides may stay float16 or int8).",
        )
    batch = port.fixed(0) if port.rank == 4 else 1
    if batch is not None and batch != 1:
        raise ModelRefused(
            f"The input {port.name!r} takes exactly {batch} pictures at once.",
            next_step="Export the model with a batch of one, or with a free batch size.",
        )


def _layout(port: Port, hints: Hints) -> Layout:
    allowed: tuple[Layout, ...] = ("NCHW", "NHWC") if port.rank == 4 else ("CHW",)
    axes = {"NCHW": 1, "NHWC": 3, "CHW": 0}
    possible = [layout for layout in allowed if port.fixed(axes[layout]) in (3, None)]
    if hints.layout in possible:
        return next(layout for layout in possible if layout == hints.layout)
    sure = [layout for layout in possible if port.fixed(axes[layout]) == 3]
    if hints.layout or not possible:
        raise ModelRefused(
            f"The input {port} takes no picture with three colours"
            + (f" in the layout {hints.layout}." if hints.layout else "."),
            next_step="Sightline feeds RGB or BGR pictures as NCHW, NHWC or CHW.",
        )
    return (sure or possible)[0]
