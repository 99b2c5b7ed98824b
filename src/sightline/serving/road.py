"""The road: a picture goes in, an answer comes out. The command line, HTTP and evaluation all take it."""

import secrets
import threading
import time
from contextlib import nullcontext, suppress
from typing import Self

from sightline.errors import Busy
from sightline.registry import Registry
from sightline.serving.batcher import Answer, Retired
from sightline.serving.call import Call
from sightline.serving.decoder import Decoder
from sightline.serving.pool import LoadedModel, ModelPool
from sightline.settings import Settings
from sightline.types import Ask, Fit, Frame, Prediction, Prepared, Result, Timing
from sightline.vision import heads

__all__ = ["Call", "Road"]


class Road:
    """Everything that one answer needs. Thread-safe; each call blocks its own thread."""

    def __init__(self, settings: Settings, registry: Registry, decoder: Decoder, pool: ModelPool) -> None:
        self.settings, self.registry, self.decoder, self.pool = settings, registry, decoder, pool
        self._lock = threading.Lock()
        self._inside = 0

    @classmethod
    def open(cls, settings: Settings, *, tune: bool = False) -> "Road":
        """Build the whole thing; models load when they are first asked for.

        Args:
            settings: All of them.
            tune: Measure engines in a child process when a model is quiet, and use the winner.
        """
        registry = Registry(settings)
        return cls(settings, registry, Decoder(settings), ModelPool(settings, registry, tune=tune))

    def predict(
        self,
        data: bytes | Frame,
        *,
        source: str = "",
        model: str | None = None,
        ask: Ask | None = None,
        deadline_s: float | None = None,
        call: Call | None = None,
    ) -> Result:
        """Decode, preprocess, batch, run, read.

        Args:
            data: The file's bytes, in any of the formats that the decoder takes; or pixels that are decoded
                already, as those of a camera or a video.
            source: Where the picture came from, for people.
            model: ``name`` or ``name@version``; ``None`` is the default model.
            ask: What is wanted of the answer.
            deadline_s: Seconds until the answer is worthless; ``None`` is the setting's.
            call: A place that ``enter`` gave and that the caller closes; without one, it enters by itself.

        Raises:
            SightlineError: Any of the tree in `sightline.errors`; nothing else.
        """
        began = time.perf_counter()
        ask = ask or Ask()
        with nullcontext(call) if call else self.enter(deadline_s) as here:
            loaded, picture, answer = self._infer(data, model, ask.size, here)
            reading = time.perf_counter()
            prediction = heads.read(loaded.bundle.manifest, answer.outputs, picture.fit, ask)
        return _result(source, loaded, picture.fit, prediction, _timing(began, reading, picture, answer))

    def enter(self, deadline_s: float | None = None) -> Call:
        """A place on the road, to be closed (or left as a context) when the answer is out.

        Raises:
            Busy: ``settings.waiting_max`` callers are inside.
        """
        limit = self.settings.waiting_max
        with self._lock:
            if self._inside >= limit:
                raise Busy(f"{limit} requests are waiting, which is the most that may.", retry_after_s=1.0)
            self._inside += 1
        return Call(self.settings.deadline_s if deadline_s is None else deadline_s, self._leave)

    @property
    def width(self) -> int:
        """Callers that keep engines and decoders busy; with more, each waits longer and all get less."""
        return self.pool.width + self.settings.decoder_count

    @property
    def inside(self) -> int:
        """Callers that are on the road now."""
        return self._inside

    def close(self) -> None:
        """End the decoders and the models; whoever is in a line is told so."""
        self.pool.close()
        self.decoder.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _leave(self) -> None:
        with self._lock:
            self._inside -= 1

    def _infer(
        self, data: bytes | Frame, model: str | None, size: int | None, call: Call
    ) -> tuple[LoadedModel, Prepared, Answer]:
        """Prepare and run; again from the start if the model was replaced just then."""
        while True:
            call.check()
            loaded = self.pool.get(model)
            contract = loaded.bundle.manifest.at(size).input  # says what is off before anything is decoded
            picture = self.decoder.prepare(data, contract, call)
            if contract.width not in loaded.sides:
                self.pool.grow(loaded, contract)
            call.check()
            with suppress(Retired):
                return loaded, picture, loaded.batcher.submit(picture.tensor, call)


def _timing(began: float, reading: float, picture: Prepared, answer: Answer) -> Timing:
    """Where the time went. ``queue`` is all that was waiting: for a decoder, a runner, a hand-over."""
    end = time.perf_counter()
    total, read = 1e3 * (end - began), 1e3 * (end - reading)
    decode, prepare, infer = picture.decode_ms, picture.preprocess_ms, answer.infer_ms
    queue = max(0.0, total - decode - prepare - infer - read)
    return Timing(decode, queue, prepare, infer, read, total)


def _result(source: str, loaded: LoadedModel, fit: Fit, prediction: Prediction, timing: Timing) -> Result:
    manifest = loaded.bundle.manifest
    return Result(
        id=secrets.token_hex(16),
        source=source,
        model=loaded.bundle.ref,
        task=manifest.task,
        width=fit.width,
        height=fit.height,
        labels=manifest.labels,
        prediction=prediction,
        timing=timing,
        engine=loaded.engine.info.title,
        size=fit.canvas_width if manifest.input.sizes else None,
    )
