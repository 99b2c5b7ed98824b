"""Starting weights in the ncnn format: a text of layers (.param), and their numbers in a row (.bin).

NanoDet-Plus-m (RangiLyu, Apache-2.0) is published so, batch norm folded, input BGR. Nothing is executed.
The format is described in ncnn's wiki, "param and model file structure".
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sightline.errors import BadOption, ModelRefused
from sightline.training.models.nano_detector import BINS, NanoDetector

CLASSES = 80
"""Of the published network: those of COCO."""
_HALF = 0x01306B47
"""The mark before numbers that are kept as float16."""
_FULL = 0
_LAYERS = ("Convolution", "ConvolutionDepthWise")


def load_nanodet_plus(model: NanoDetector, path: Path, labels: Sequence[int] = range(CLASSES)) -> None:
    """Fill the detector of ``model`` from ``path`` (.param) and the .bin beside it; both compute the same.

    Convolutions are matched in the order in which they are executed and every size must agree. The mask
    branch, which the published network does not have, stays as it is. ``labels`` are the published classes
    that the model has, in its order.

    Raises:
        BadOption: One of the files is not there.
        ModelRefused: They hold another network, or are damaged.
    """
    for file in (path, path.with_suffix(".bin")):
        if not file.is_file():
            raise BadOption(
                f"{file} does not exist.", next_step="Set data.root of the recipe to the folder of the data."
            )
    try:
        read = list(_convolutions(path))
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
            f"{path.name} has {len(found)} convolutions, NanoDet-Plus-m has {len(wanted)}: "
            "it is another network."
        )
    with torch.no_grad():
        for place, ((weight, bias), conv) in enumerate(zip(found, wanted, strict=True)):
            if conv.bias is None or (weight.numel(), len(bias)) != (conv.weight.numel(), len(conv.bias)):
                raise ModelRefused(
                    f"Convolution {place} of {path.name} has {weight.numel()} weights, "
                    f"wanted {conv.weight.numel()}: it is another network."
                )
            conv.weight.copy_(weight.reshape(conv.weight.shape))
            conv.bias.copy_(bias)
        wanted[0].weight.copy_(wanted[0].weight.flip(1).clone())  # published for BGR


def _only(weight: Tensor, bias: Tensor, labels: Sequence[int]) -> tuple[Tensor, Tensor]:
    """The rows of an answer that speak of these labels, and those of the distances."""
    rows = torch.tensor([*labels, *range(CLASSES, len(bias))])
    return weight.reshape(len(bias), -1)[rows].flatten(), bias[rows]


def _convolutions(path: Path) -> Iterator[tuple[Tensor, Tensor]]:
    """Weights and bias of each convolution, flat."""
    data, place = path.with_suffix(".bin").read_bytes(), 0
    for line in path.read_text("utf-8").splitlines()[2:]:
        kind, _, options = line.split()[0], *_split(line)
        if kind not in _LAYERS:
            continue
        outer, count = int(options["0"]), int(options["6"])
        weight, place = _weights(data, place, count, path)
        bias = np.frombuffer(data, "<f4", outer, place) if options.get("5") == "1" else np.zeros(outer, "f4")
        place += 4 * outer if options.get("5") == "1" else 0
        yield torch.from_numpy(weight), torch.from_numpy(bias.copy())
    if place != len(data):
        raise ModelRefused(
            f"{path.with_suffix('.bin').name} has {len(data)} bytes, {path.name} describes {place}."
        )


def _split(line: str) -> tuple[str, dict[str, str]]:
    """A layer's name and its options."""
    words = line.split()
    return words[1], dict(word.split("=", 1) for word in words[4:] if "=" in word)


def _weights(data: bytes, place: int, count: int, path: Path) -> tuple[np.ndarray, int]:
    """``count`` numbers behind their mark, and where the next ones begin."""
    mark = int.from_bytes(data[place : place + 4], "little")
    width, kind = {_HALF: (2, "<f2"), _FULL: (4, "<f4")}.get(mark, (0, ""))
    if not width or place + 4 + width * count > len(data):
        raise ModelRefused(f"{path.with_suffix('.bin').name} is damaged, or not in float16 or float32.")
    numbers = np.frombuffer(data, kind, count, place + 4).astype(np.float32)
    return numbers, place + 4 + -(-width * count // 4) * 4
