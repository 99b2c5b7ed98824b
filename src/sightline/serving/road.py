"""The road: a picture goes in, an answer comes out. The command line, HTTP and evaluation all take it."""

import secrets
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from typing import Self

from sightline.errors import Busy, NotFound
from sightline.registry import Bundle, Registry
from sightline.serving import cascade
from sightline.serving.batcher import Retired
from sightline.serving.call import Call
from sightline.serving.decoder import Decoder
from sightline.serving.looks import Looked, look
from sightline.serving.pool import LoadedModel, ModelPool
from sightline.settings import Settings
from sightline.types import Ask, Frame, Prediction, Prepared, Result, Timing
from sightline.vision import heads, preprocess

__all__ = ["Call", "Road"]


@dataclass(frozen=True, slots=True, eq=False)
class _Outcome:
    """What came of a picture, and the network (of a pipeline: the first) that saw it."""

    loaded: LoadedModel
    picture: Prepared
    infer_ms: float
    prediction: Prediction
    reading: float
    """When the reading of the outputs began (``time.perf_counter``)."""


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
        """Decode, preprocess, batch, run, read. Arguments and errors as `predict_shown`."""
        shown = self.predict_shown(
            data, source=source, model=model, ask=ask, deadline_s=deadline_s, call=call, side=0
        )
        return shown[0]

    def predict_shown(  # noqa: PLR0913 - what `predict` takes, and how large
        self,
        data: bytes | Frame,
        *,
        side: int,
        source: str = "",
        model: str | None = None,
        ask: Ask | None = None,
        deadline_s: float | None = None,
        call: Call | None = None,
    ) -> tuple[Result, Frame | None]:
        """The answer, and the picture to show beside it, without decoding it twice.

        Args:
            side: Longer side of that picture, or a little more; 0: none is wanted.
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
            bundle = self.registry.resolve(model)
            if bundle.manifest.pipeline is None:
                found = self._seen(data, model, ask, here, side)
                bundle = found.loaded.bundle  # another version may have come to answer meanwhile
            else:
                with _needed_by(bundle):
                    found = self._staged(bundle, data, ask, here, side)
        return _result(source, bundle, found, _timing(began, found)), found.picture.frame

    def try_out(self, bundle: Bundle, data: bytes, *, source: str = "", call: Call) -> Result:
        """Look with a pipeline that is not on the shelf (yet); its models are.

        Raises:
            SightlineError: As `predict_shown`.
        """
        began = time.perf_counter()
        with _needed_by(bundle):
            found = self._staged(bundle, data, Ask(), call, 0)
        return _result(source, bundle, found, _timing(began, found))

    def load(self, model: str | None = None) -> Bundle:
        """Have a model ready, or all models of a pipeline, so that no picture waits for that.

        Raises:
            SightlineError: One of them is not here, or does not load.
        """
        bundle = self.registry.resolve(model)
        if not bundle.stages:
            return self.pool.get(model).bundle
        with _needed_by(bundle):
            for name in bundle.stages:
                self.pool.get(name)
        return bundle

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

    def _seen(self, data: bytes | Frame, model: str | None, ask: Ask, call: Call, side: int) -> _Outcome:
        """One network."""
        seen = self._infer(data, model, ask.size, call, side)
        reading = time.perf_counter()
        prediction = heads.read_looks(seen.loaded.bundle.manifest, seen.looks, ask)
        return _Outcome(seen.loaded, seen.picture, seen.infer_ms, prediction, reading)

    def _staged(self, bundle: Bundle, data: bytes | Frame, ask: Ask, call: Call, side: int) -> _Outcome:
        """A pipeline: stage one on the picture, stage two on what it found there, the verdict.

        Stage one gives boxes even where its model has masks: a verdict needs none, and they cost time.
        """
        pipeline = cascade.stages_of(bundle.manifest)
        shown = heads.need(bundle.manifest, ask)  # says what is off before anything runs
        wanted = cascade.first_ask(pipeline, ask, shown.min_score)
        keep = max(side, cascade.KEEP_SIDE if pipeline.second.model else 0)
        seen = self._infer(data, pipeline.first.model, wanted.size, call, keep)
        reading = time.perf_counter()
        loaded, picture, stage = seen.loaded, seen.picture, seen.loaded.bundle.manifest
        first = cascade.boxes_or_classes(stage, seen.looks, wanted)
        rows = cascade.going_on(pipeline, first, stage.labels)
        if pipeline.second.rule is not None:
            answers, took_ms = cascade.by_rule(bundle, first, stage.labels, rows), 0.0
        else:
            crops = cascade.crops(pipeline, picture.frame, first, rows)
            answers, took_ms = self._classified(pipeline.second.model, crops, rows, call)
        found = cascade.conclude(bundle.manifest, first, stage.labels, answers, loaded.bundle.ref, ask)
        return _Outcome(loaded, picture, seen.infer_ms + took_ms, found, reading)

    def _classified(
        self, model: str, crops: Sequence[Frame], rows: list[int], call: Call
    ) -> tuple[cascade.Answers, float]:
        """Stage two as a classifier: all crops in one go, and the milliseconds that it took."""
        while True:
            loaded = self.pool.get(model)
            manifest, ref = loaded.bundle.manifest, loaded.bundle.ref
            if not rows:
                return cascade.Answers([], (), manifest.labels, ref), 0.0
            canvases = [preprocess.fit(crop, manifest.input) for crop in crops]
            tensors = [preprocess.tensor(canvas.pixels, manifest.input) for canvas in canvases]
            call.check()
            with suppress(Retired):
                answers = loaded.batcher.submit_all(tensors, call)
                break
        outputs = [(answer.outputs, canvas.fit) for answer, canvas in zip(answers, canvases, strict=True)]
        said = [cascade.classes(manifest, *pair) for pair in outputs]
        took_ms = max(answer.infer_ms for answer in answers)
        return cascade.Answers(
            rows, said if len(said) == len(rows) else said * len(rows), manifest.labels, ref
        ), took_ms

    def _infer(
        self, data: bytes | Frame, model: str | None, size: int | None, call: Call, keep_side: int = 0
    ) -> Looked:
        """Prepare and run; again from the start if the model was replaced just then."""
        while True:
            call.check()
            loaded = self.pool.get(model)
            contract = loaded.bundle.manifest.at(size).input  # says what is off before anything is decoded
            picture = self.decoder.prepare(data, contract, call, keep_side=keep_side)
            for wanted in filter(None, (contract, contract.half)):
                if wanted.width not in loaded.sides:
                    self.pool.grow(loaded, wanted)
            call.check()
            with suppress(Retired):
                return look(loaded, picture, contract, call)


@contextmanager
def _needed_by(bundle: Bundle) -> Iterator[None]:
    """Whoever asked for a pipeline hears its name when a model of it is not here."""
    try:
        yield
    except NotFound as error:
        raise NotFound(
            f"The pipeline {bundle.reference} needs a model that is not here. {error.message}",
            next_step=f"Import that model, or remove the pipeline: `sightline models remove {bundle.name}`.",
        ) from error


def _timing(began: float, found: _Outcome) -> Timing:
    """Where the time went. ``queue`` is all that was waiting: for a decoder, a runner, a hand-over."""
    end = time.perf_counter()
    total, read = 1e3 * (end - began), 1e3 * (end - found.reading)
    decode, prepare, infer = found.picture.decode_ms, found.picture.preprocess_ms, found.infer_ms
    queue = max(0.0, total - decode - prepare - infer - read)
    return Timing(decode, queue, prepare, infer, read, total)


def _result(source: str, bundle: Bundle, found: _Outcome, timing: Timing) -> Result:
    network, fit = found.loaded.bundle.manifest, found.picture.fit
    return Result(
        id=secrets.token_hex(16),
        source=source,
        model=bundle.ref,
        task=bundle.task,
        width=fit.width,
        height=fit.height,
        labels=network.labels,
        prediction=found.prediction,
        timing=timing,
        engine=found.loaded.engine.info.title,
        size=fit.canvas_width if network.input.sizes else None,
    )
