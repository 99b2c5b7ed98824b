"""One network looks at a prepared picture: once, or at half the size as well where its manifest says so."""

import time
from dataclasses import dataclass, replace

from sightline.manifest import InputContract
from sightline.serving.call import Call
from sightline.serving.pool import LoadedModel
from sightline.types import Fit, Prepared
from sightline.vision import preprocess
from sightline.vision.heads.reading import Outputs


@dataclass(frozen=True, slots=True, eq=False)
class Looked:
    """What the network said."""

    loaded: LoadedModel
    picture: Prepared
    looks: tuple[tuple[Outputs, Fit], ...]
    """Raw outputs of each look, and how its canvas lies on the picture."""
    infer_ms: float


def look(loaded: LoadedModel, picture: Prepared, contract: InputContract, call: Call) -> Looked:
    """Run all looks; they stand in line at once.

    Raises:
        SightlineError: As ``Batcher.submit``.
    """
    began = time.perf_counter()
    pictures = [picture]
    if contract.half is not None:
        pictures.append(preprocess.halved(picture, contract))
    halved = time.perf_counter()
    answers = loaded.batcher.submit_all([one.tensor for one in pictures], call)
    # Looks may run side by side: together they take no longer than it lasted.
    infer_ms = min(1e3 * (time.perf_counter() - halved), sum(answer.infer_ms for answer in answers))
    prepared = replace(picture, preprocess_ms=picture.preprocess_ms + 1e3 * (halved - began))
    looks = tuple((answer.outputs, one.fit) for answer, one in zip(answers, pictures, strict=True))
    return Looked(loaded, prepared, looks, infer_ms)
