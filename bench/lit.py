"""(d) The same behind LitServe, with its own batching."""

import argparse
from typing import Any

import litserve
import numpy as np
import onnxruntime
from bench.plain_flask import Tensor, prepare, top
from fastapi import Request


class Api(litserve.LitAPI):  # type: ignore[misc]  # the library has no types
    """One graph."""

    def __init__(self, model: str, threads: int, batch: int) -> None:
        super().__init__(max_batch_size=batch, batch_timeout=0.005)
        self.model, self.threads = model, threads

    def setup(self, device: str) -> None:  # noqa: ARG002 - the library's own signature
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        self.session = onnxruntime.InferenceSession(self.model, options, providers=["CPUExecutionProvider"])

    def decode_request(self, request: Request) -> Tensor:
        return prepare(request["image"].file.read())

    def predict(self, x: Tensor) -> Tensor:
        if x.ndim == 3:
            only: Tensor = self.predict(x[None])[0]
            return only
        found: Tensor = self.session.run(None, {"input": x})[0]
        return found

    def encode_response(self, output: Tensor) -> dict[str, Any]:
        return {"predictions": top(np.asarray(output))}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    for flag in ("--threads", "--batch", "--workers", "--port"):
        parser.add_argument(flag, type=int)
    asked = parser.parse_args()
    server = litserve.LitServer(
        Api(asked.model, asked.threads, asked.batch), accelerator="cpu", workers_per_device=asked.workers
    )
    server.run(port=asked.port, host="127.0.0.1", generate_client_file=False, log_level="error")
