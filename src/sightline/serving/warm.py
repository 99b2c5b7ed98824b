"""The first run of a graph allocates; nobody's picture should pay for it."""

import threading

import numpy as np

from sightline.errors import SightlineError
from sightline.manifest import InputContract
from sightline.runtime.engine import Tensor
from sightline.serving.batcher import Batcher
from sightline.serving.call import Call
from sightline.vision import preprocess

WARM_UP_S = 60.0
_SMALL_SIDE = 160


def warm_up(batcher: Batcher, contract: InputContract) -> None:
    """Send gray pictures through the line: two at once, so that both copies of the graph run.

    Raises:
        SightlineError: The model does not run.
    """
    faults: list[SightlineError] = []

    def send() -> None:
        try:
            batcher.submit(gray(contract), Call(WARM_UP_S))
        except SightlineError as error:
            faults.append(error)

    pair = [threading.Thread(target=send, daemon=True) for _ in range(2)]
    for thread in pair:
        thread.start()
    for thread in pair:
        thread.join()
    if faults:
        raise faults[0]


def gray(contract: InputContract) -> Tensor:
    """The numbers of a gray picture of the model's size; of a small one where the size may change."""
    height, width = contract.height, contract.width
    if contract.resize == "short_side":
        step = contract.multiple_of
        height = width = max(step, _SMALL_SIDE // step * step)
    return preprocess.tensor(np.full((height, width, 3), contract.pad_value, np.uint8), contract)
