"""The input tensor of one runner, made once and written again and again."""

import numpy as np

from sightline.manifest import InputContract
from sightline.runtime.engine import Tensor
from sightline.types import UInt8
from sightline.vision import preprocess


class InputBuffer:
    """Room for up to ``most`` pictures of one shape; grows or changes shape only when it must."""

    def __init__(self, contract: InputContract, most: int) -> None:
        self._contract, self._most = contract, most
        self._rows: Tensor = np.empty((0, 0, 0, 0), contract.dtype)

    def fill(self, pictures: list[UInt8]) -> Tensor:
        """Canvases (h, w, 3) uint8 of one size -> the tensor for the engine.

        The tensor is a view of the buffer: (n, 3, h, w), (n, h, w, 3), or without the batch axis
        for models that have none. It is valid until the next call.
        """
        height, width, _ = pictures[0].shape
        wanted = preprocess.shape(self._contract, width, height)
        if self._rows.shape[1:] != wanted or len(self._rows) < len(pictures):
            # Pictures of ever new sizes come one at a time; room for a whole batch would be waste.
            changing = self._contract.resize == "short_side"
            rows = len(pictures) if changing else max(self._most, len(pictures))
            self._rows = np.empty((rows, *wanted), self._contract.dtype)
        for row, pixels in zip(self._rows, pictures, strict=False):
            preprocess.tensor(pixels, self._contract, out=row)
        return self._rows[0] if self._contract.layout == "CHW" else self._rows[: len(pictures)]
