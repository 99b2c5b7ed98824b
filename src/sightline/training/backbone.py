"""Features of pictures by a bundle, prepared and run as it is served."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from sightline.errors import ModelRefused
from sightline.registry import MODEL_FILE, read_bundle
from sightline.runtime.engine import Plan
from sightline.runtime.onnx_engine import OnnxEngine
from sightline.types import Float32
from sightline.vision.preprocess import fit_image, tensor

OUTPUT = "features"


class Backbone:
    """A bundle whose graph has an output ``features``."""

    def __init__(self, folder: Path, threads: int = 1) -> None:
        self.manifest = read_bundle(folder).manifest
        self._engine = OnnxEngine(
            folder / MODEL_FILE, Plan(threads=threads), tensor=self.manifest.input.tensor
        )

    def features(self, pictures: Iterable[Image.Image], *, mirror: bool = False) -> Float32:
        """Upright RGB pictures -> (n, features); with ``mirror`` the mean with those of the mirrored picture.

        Raises:
            ModelRefused: The graph has no such output.
        """
        rows = [self._row(picture, mirror=mirror) for picture in pictures]
        return np.stack(rows) if rows else np.zeros((0, 0), np.float32)

    def close(self) -> None:
        """Drop the graph."""
        self._engine.close()

    def _row(self, picture: Image.Image, *, mirror: bool) -> Float32:
        row = self._one(picture)
        return (row + self._one(ImageOps.mirror(picture))) / np.float32(2) if mirror else row

    def _one(self, picture: Image.Image) -> Float32:
        contract = self.manifest.input
        canvas = fit_image(picture, picture.width, picture.height, contract)
        outputs = self._engine.run(tensor(canvas.pixels, contract)[None])
        if OUTPUT not in outputs:
            raise ModelRefused(
                f"The graph of {self.manifest.name} has no output {OUTPUT!r}; it has {', '.join(outputs)}."
            )
        return np.asarray(outputs[OUTPUT], np.float32).reshape(-1)
