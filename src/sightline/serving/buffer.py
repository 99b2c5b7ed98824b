"""The input tensor of one runner."""

import numpy as np

from sightline.manifest import InputContract
from sightline.runtime.engine import Tensor


class InputBuffer:
    """Gathers pictures of one shape into a batch; its memory is used again and again, whatever the shape."""

    def __init__(self, contract: InputContract, most: int) -> None:
        self._contract, self._most = contract, most
        self._numbers: Tensor = np.empty(0, contract.dtype)

    def gather(self, pictures: list[Tensor]) -> Tensor:
        """(3, h, w) or (h, w, 3) each -> the tensor for the engine, valid until the next call.

        One picture is not copied. Models without a batch axis get it as it is; they take one at a time.
        """
        first = pictures[0]
        if len(pictures) == 1:
            return first if self._contract.layout == "CHW" else first[None]
        wanted = len(pictures) * first.size
        if self._numbers.size < wanted or self._numbers.dtype != first.dtype:
            self._numbers = np.empty(max(self._most * first.size, wanted), first.dtype)
        batch = self._numbers[:wanted].reshape(len(pictures), *first.shape)
        np.stack(pictures, out=batch)
        return batch
