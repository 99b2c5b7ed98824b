"""(c) What many people write first: Flask, gunicorn, Pillow, numpy and ONNX Runtime.

``BENCH_MODEL`` is the graph, ``BENCH_THREADS`` the threads of its session (0: the library's own choice).
"""

import io
import os
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import onnxruntime
from flask import Flask, jsonify, request
from PIL import Image

Tensor: TypeAlias = npt.NDArray[np.float32]
MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)
app = Flask(__name__)
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = int(os.environ["BENCH_THREADS"])
session = onnxruntime.InferenceSession(os.environ["BENCH_MODEL"], options, providers=["CPUExecutionProvider"])


def prepare(data: bytes) -> Tensor:
    """JPEG -> (3, 224, 224) float32, in the ordinary way."""
    image = Image.open(io.BytesIO(data)).convert("RGB")
    scale = 224 / min(image.size)
    image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BILINEAR)
    left, top = (image.width - 224) // 2, (image.height - 224) // 2
    pixels = np.asarray(image.crop((left, top, left + 224, top + 224)), np.float32) / 255
    return np.ascontiguousarray(((pixels - MEAN) / STD).transpose(2, 0, 1))


def top(logits: Tensor) -> list[dict[str, float]]:
    """The five best classes of (1000,) logits."""
    share = np.exp(logits - logits.max())
    share /= share.sum()
    return [{"label_id": int(i), "score": float(share[i])} for i in np.argsort(-share)[:5]]


@app.post("/predict")  # type: ignore[untyped-decorator]  # the library has no types
def predict() -> Any:
    """The one route."""
    logits = session.run(None, {"input": prepare(request.get_data())[None]})[0]
    return jsonify({"predictions": top(logits[0])})
