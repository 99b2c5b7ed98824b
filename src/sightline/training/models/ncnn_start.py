"""Starting weights in the ncnn format: a text of layers (.param), and their numbers in a row (.bin).

NanoDet-Plus-m and -m-1.5x (RangiLyu, Apache-2.0) are published so, batch norm folded, input BGR; numbers are
float32, float16, or whole numbers of 8 bits with a scale for each channel. Nothing is executed. The format is
described in ncnn's wiki, "param and model file structure"; scales as its quantising tools write them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sightline.errors import ModelRefused
from sightline.training.missing import missing
from sightline.training.models.nano_detector import BINS, NanoDetector

CLASSES = 80
"""Of the published network: those of COCO."""
_FORMS = {0: "<f4", 0x01306B47: "<f2", 0x000D4B38: "i1"}
"""How numbers are kept, by the mark before them."""
_LAYERS = ("Convolution", "ConvolutionDepthWise")
_SCALES = {1: 1, 2: 1, 101: 2, 102: 2}
"""Single scales (of what comes in, of what goes out) behind those of the weights, by option 8."""
_ONE_FOR_ALL = (2, 102)
"""Where a depthwise layer's weights have one scale together."""


@dataclass(frozen=True, slots=True)
class _Layer:
    """A line of the text: ``takes`` and ``gives`` name what flows in and out."""

    kind: str
    takes: tuple[str, ...]
    gives: tuple[str, ...]
    options: dict[str, str]


def load_nanodet_plus(model: NanoDetector, path: Path, labels: Sequence[int] = range(CLASSES)) -> None:
    """Fill the detector of ``model`` from ``path`` (.param) and the .bin beside it; both compute the same.

    Convolutions are matched in the order in which who follows the answers back to the picture meets them, as
    files differ in which of two independent ones they name first; every size must agree. The mask branch,
    which the published network does not have, stays as it is. ``labels`` are the published classes that the
    model has, in its order.

    Raises:
        BadOption: One of the files is not there.
        ModelRefused: They hold another network, or are damaged.
    """
    for file in (path, path.with_suffix(".bin")):
        if not file.is_file():
            raise missing(file)
    try:
        read = _convolutions(path)
    except (KeyError, IndexError, ValueError) as error:
        raise ModelRefused(
            f"{path.name} is no ncnn network, or damaged: {type(error).__name__}: {error}."
        ) from error
    found = [
        _only(weight, bias, labels) if len(bias) == CLASSES + 4 * BINS else (weight, bias)
        for weight, bias in read
    ]
    wanted = list(model.convolutions())
    if len(found) != len(wanted):
        raise ModelRefused(
            f"{path.name} has {len(found)} convolutions, NanoDet-Plus has {len(wanted)}: "
            "it is another network."
        )
    with torch.no_grad():
        for place, ((weight, bias), conv) in enumerate(zip(found, wanted, strict=True)):
            if conv.bias is None or (weight.numel(), len(bias)) != (conv.weight.numel(), len(conv.bias)):
                raise ModelRefused(
                    f"Convolution {place} of {path.name} has {weight.numel()} weights, "
                    f"wanted {conv.weight.numel()}: it is another network, or another network.width."
                )
            conv.weight.copy_(weight.reshape(conv.weight.shape))
            conv.bias.copy_(bias)
        wanted[0].weight.copy_(wanted[0].weight.flip(1).clone())  # published for BGR


def _only(weight: Tensor, bias: Tensor, labels: Sequence[int]) -> tuple[Tensor, Tensor]:
    """The rows of an answer that speak of these labels, and those of the distances."""
    rows = torch.tensor([*labels, *range(CLASSES, len(bias))])
    return weight.reshape(len(bias), -1)[rows].flatten(), bias[rows]


def _convolutions(path: Path) -> list[tuple[Tensor, Tensor]]:
    """Weights and bias of each convolution, flat, in the order in which they are met."""
    layers = list(_layers(path))
    met = list(_met(layers))
    numbers = _numbers(layers, path.with_suffix(".bin"), path.name)
    return [numbers[place] for place in met if place in numbers]


def _layers(path: Path) -> Iterator[_Layer]:
    for line in path.read_text("utf-8").splitlines()[2:]:
        kind, _, takes, gives, *rest = line.split()
        inner, outer = int(takes), int(takes) + int(gives)
        options = dict(word.split("=", 1) for word in rest[outer:] if "=" in word)
        yield _Layer(kind, tuple(rest[:inner]), tuple(rest[inner:outer]), options)


def _met(layers: Sequence[_Layer]) -> Iterator[int]:
    """Places of layers, each behind all that it needs, in the order of what it takes."""
    giver = {name: place for place, layer in enumerate(layers) for name in layer.gives}
    taken = {name for layer in layers for name in layer.takes}
    ends = [place for place, layer in enumerate(layers) if not taken.issuperset(layer.gives)]
    seen: set[int] = set()
    ahead = [(place, False) for place in reversed(ends)]
    while ahead:
        place, ready = ahead.pop()
        if ready:
            yield place
        elif place not in seen:
            seen.add(place)
            ahead.append((place, True))
            ahead += [(giver[name], False) for name in reversed(layers[place].takes)]


def _numbers(layers: Sequence[_Layer], file: Path, text: str) -> dict[int, tuple[Tensor, Tensor]]:
    """Weights and bias of the convolutions among ``layers``, flat, by their places."""
    data, place, found = file.read_bytes(), 0, {}
    for index, layer in enumerate(layers):
        if layer.kind in _LAYERS:
            weight, bias, place = _numbers_of(layer, data, place, file.name)
            if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
                raise ModelRefused(f"{file.name} holds weights that are no numbers: it is damaged.")
            found[index] = torch.from_numpy(weight), torch.from_numpy(bias.copy())
    if place != len(data):
        raise ModelRefused(f"{file.name} has {len(data)} bytes, {text} describes {place}.")
    return found


def _numbers_of(layer: _Layer, data: bytes, place: int, name: str) -> tuple[np.ndarray, np.ndarray, int]:
    """Weights and bias of the convolution whose numbers begin at ``place``, and where the next ones begin."""
    outer, count = int(layer.options["0"]), int(layer.options["6"])
    if not 0 < outer <= count <= len(data) or count % outer:
        raise ModelRefused(f"{count} weights of {outer} channels are described for {name}: it is damaged.")
    weight, place = _weights(data, place, count, name)
    bias = np.zeros(outer, np.float32)
    if layer.options.get("5") == "1":
        bias, place = np.frombuffer(data, "<f4", outer, place), place + 4 * outer
    kept = int(layer.options.get("8", "0"))
    if bool(kept) != (weight.dtype == np.int8):
        raise ModelRefused(f"{name} and its description do not agree on what is kept in 8 bits.")
    numbers = weight.astype(np.float32)
    if kept:
        many = 1 if layer.kind == _LAYERS[1] and kept in _ONE_FOR_ALL else outer
        numbers = _scaled(numbers, np.frombuffer(data, "<f4", many, place))
        place += 4 * (many + _SCALES[kept])
    return numbers, bias, place


def _scaled(steps: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Whole numbers, and for each row of them by what it was multiplied -> the numbers, flat."""
    with np.errstate(all="ignore"):  # a scale of 0 is found by what it makes
        return (steps.reshape(len(scale), -1) / scale[:, None]).ravel()


def _weights(data: bytes, place: int, count: int, name: str) -> tuple[np.ndarray, int]:
    """``count`` numbers behind their mark, as they are kept, and where the next ones begin."""
    form = _FORMS.get(int.from_bytes(data[place : place + 4], "little"), "")
    size = np.dtype(form).itemsize * count if form else 0
    if not form or place + 4 + size > len(data):
        raise ModelRefused(f"{name} is damaged, or not in float32, float16 or 8 bits.")
    numbers = np.frombuffer(data, form, count, place + 4)
    return numbers, place + 4 + -(-size // 4) * 4
