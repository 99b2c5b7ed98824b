"""Loaded models: opened when first asked for, warmed up, and dropped under a memory budget."""

import logging
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from sightline.errors import BadOption, SightlineError
from sightline.manifest import InputContract
from sightline.registry import Bundle, Registry
from sightline.runtime import choose
from sightline.runtime.choose import Choice
from sightline.runtime.engine import Engine
from sightline.serving.batcher import Batcher, Rules
from sightline.serving.warm import warm_up
from sightline.settings import Settings

_log = logging.getLogger(__name__)
_FIXED_BYTES = 16 << 20
"""What a loaded model costs besides its weights, roughly: sessions, buffers, threads."""
_SCRATCH = {"onnxruntime": 64, "openvino": 112}
"""Bytes that a copy of the graph keeps for each pixel of a canvas beyond the usual one. Measured with the
bundled detector's network at 640 instead of 416, four lanes and the wide copy: 55 and 103."""
_RETRY_S = 5.0
"""How long a model that could not be loaded is refused without trying again."""
_QUIET_S = 3.0
"""A model is measured only when nobody has used it for this long."""


@dataclass(eq=False)
class LoadedModel:
    """A model that answers."""

    bundle: Bundle
    engine: Engine
    batcher: Batcher
    choice: Choice
    size: int
    """Bytes that it is held to cost."""
    sides: set[int] = field(default_factory=set)
    """Canvas widths that it has been asked for: their scratch memory is in ``size``."""
    used: float = field(default_factory=time.monotonic)


class ModelPool:
    """Names -> loaded models. Thread-safe; one model's loading does not hold up another's."""

    def __init__(self, settings: Settings, registry: Registry, *, tune: bool = False) -> None:
        self._settings, self._registry = settings, registry
        self._lock = threading.Lock()
        self._loaded: dict[str, LoadedModel] = {}
        self._serving: dict[str, str] = {}
        self._gates: dict[str, threading.Lock] = {}
        self._failed: dict[str, tuple[float, SightlineError]] = {}
        self._stop = threading.Event()
        if tune and settings.engine == "auto":
            threading.Thread(target=self._tune, name="tune", daemon=True).start()

    @property
    def cache_dir(self) -> Path:
        """Where engine choices are kept."""
        return self._settings.data_path / "cache" / "engines"

    def get(self, name: str | None = None) -> LoadedModel:
        """The model for ``name``, ``name@version`` or ``None``, ready to answer.

        When the active version of a name has changed, the one before it goes on answering until
        the new one is loaded and warm; if that fails, it stays.

        Raises:
            NotFound: No such model.
            ModelRefused: Its weights are not what its manifest promises.
            ModelFailed: No engine opens it.
            BadOption: It is a pipeline.
        """
        bundle = self._registry.resolve(name)
        if bundle.stages:
            raise BadOption(
                f"{bundle.reference} is a pipeline: it has no network of its own to load.",
                next_step=f"Name one of its models: {', '.join(bundle.stages)}.",
            )
        key = _key(bundle)
        loaded = self._loaded.get(key)
        exact = name is not None and "@" in name
        if loaded is None:
            before = None if exact else self._loaded.get(self._serving.get(bundle.name, ""))
            loaded = self._swap(before, bundle) if before else self._load_once(bundle)
        if not exact:  # whoever asked for one version says nothing about which one is the rule
            self._serving[bundle.name] = _key(loaded.bundle)
        loaded.used = time.monotonic()
        return loaded

    @property
    def width(self) -> int:
        """Pictures that can be computed at once: those of the widest model in memory."""
        loaded = tuple(self._loaded.values())
        return max((item.batcher.width for item in loaded), default=self._settings.thread_count)

    def grow(self, loaded: LoadedModel, contract: InputContract) -> None:
        """A model is asked for a size that it has not run at yet: what that will hold counts from now on.

        The first picture of a size finds the graph cold, which costs it some tens of milliseconds; no
        start waits for sizes that nobody may ever ask for. The engine keeps scratch memory for the
        largest canvas only, so a smaller one costs nothing.
        """
        side, plan, room = contract.width, loaded.choice.plan, loaded.batcher.room
        with self._lock:
            if side in loaded.sides:
                return
            most = max(room(known**2) * known**2 for known in loaded.sides)
            more = max(0, room(side**2) * side**2 - most)
            loaded.sides.add(side)
            loaded.size += _SCRATCH[plan.engine] * more * (plan.lanes + plan.wide)
            leaving = self._surplus(loaded) if more else []
        for item in leaving:
            _retire(item)

    def loaded(self) -> list[LoadedModel]:
        """What is in memory now, the most recently used first."""
        return sorted(self._loaded.values(), key=lambda item: -item.used)

    def close(self) -> None:
        """Drop everything; pictures in a line are refused with ``Busy``."""
        self._stop.set()
        with self._lock:
            leaving, self._loaded = list(self._loaded.values()), {}
        for item in leaving:
            item.batcher.close(drain=False)

    def _load_once(self, bundle: Bundle) -> LoadedModel:
        key = _key(bundle)
        with self._lock:
            gate = self._gates.setdefault(key, threading.Lock())
        with gate:
            known = self._loaded.get(key)
            if known is not None:
                return known
            self._refuse_again(key)
            try:
                self._registry.prove(bundle)  # the file may have been damaged since it was resolved
                loaded = self._load(bundle, self._plan(bundle))
            except SightlineError as error:
                self._failed[key] = (time.monotonic(), error)
                raise
            self._admit(key, loaded)
            return loaded

    def _refuse_again(self, key: str) -> None:
        since, error = self._failed.get(key, (float("-inf"), None))
        if error is not None and time.monotonic() - since < _RETRY_S:
            raise error

    def _plan(self, bundle: Bundle) -> Choice:
        path, manifest = bundle.model_path, bundle.manifest
        known = choose.recall(path, manifest, self._settings, self.cache_dir)
        return known or choose.default(path, manifest, self._settings)

    def _load(self, bundle: Bundle, choice: Choice) -> LoadedModel:
        began = time.perf_counter()
        engine = choose.open_engine(bundle.model_path, bundle.manifest, choice, self._settings.infer_s)
        rules = Rules(
            min(choice.plan.batch, self._settings.batch_max),
            self._settings.batch_wait_ms / 1e3,
            max(2, self._settings.waiting_max),  # the warm-up sends two at once
        )
        batcher = Batcher(engine, bundle.manifest.input, rules)
        try:
            warm_up(batcher, bundle.manifest.input)
        except SightlineError:
            batcher.close(drain=False)
            raise
        graph = bundle.weights(choice.plan.precision).stat().st_size
        size = graph * (2 if choice.plan.wide else 1) + _FIXED_BYTES
        _log.info(
            "Loaded %s in %.2f s (%s).", bundle.reference, time.perf_counter() - began, choice.plan.describe()
        )
        return LoadedModel(bundle, engine, batcher, choice, size, {bundle.manifest.input.width})

    def _admit(self, key: str, loaded: LoadedModel, instead: LoadedModel | None = None) -> None:
        """Put a model in its place and let the least recently used ones go, down to the budget.

        ``instead``: only if this one still has the place; it may have been dropped while the new one loaded.
        """
        with self._lock:
            old = self._loaded.get(key)
            unwanted = self._stop.is_set() or (instead is not None and old is not instead)
            leaving = [loaded] if unwanted else [old] if old else []
            if not unwanted:
                self._loaded[key] = loaded
                self._failed.pop(key, None)
                leaving += self._surplus(loaded)
        for item in leaving:
            _retire(item)

    def _surplus(self, newest: LoadedModel) -> list[LoadedModel]:
        budget = self._settings.memory_mb << 20
        leaving = []
        for key, item in sorted(self._loaded.items(), key=lambda pair: pair[1].used):
            if sum(other.size for other in self._loaded.values()) <= budget:
                break
            if item is not newest:
                leaving.append(self._loaded.pop(key))
        return leaving

    def _swap(self, before: LoadedModel, bundle: Bundle) -> LoadedModel:
        """Load a new active version behind the back of the old one, which answers meanwhile."""
        key = _key(bundle)
        with self._lock:
            gate = self._gates.setdefault(key, threading.Lock())
        failed_at, _ = self._failed.get(key, (float("-inf"), None))
        if not gate.locked() and time.monotonic() - failed_at >= _RETRY_S:
            threading.Thread(target=self._replace, args=(before, bundle), daemon=True).start()
        return before

    def _replace(self, before: LoadedModel, bundle: Bundle) -> None:
        try:
            self._load_once(bundle)
        except SightlineError as error:
            _log.warning("%s does not load, %s goes on: %s", bundle.reference, before.bundle.reference, error)
            return
        self._serving[bundle.name] = _key(bundle)
        with self._lock:
            gone = self._loaded.pop(_key(before.bundle), None)
        if gone is not None:
            _retire(gone)

    def _tune(self) -> None:
        """Measure what has not been measured, one model at a time, while it is quiet."""
        tried: set[str] = set()
        while not self._stop.wait(1.0):
            for item in self.loaded():
                key = _key(item.bundle)
                if key in tried or item.choice.measured or item.batcher.quiet_s < _QUIET_S:
                    continue
                tried.add(key)
                self._tune_one(item)

    def _tune_one(self, item: LoadedModel) -> None:
        bundle = item.bundle
        try:
            choice = choose.choose(bundle.model_path, bundle.manifest, self._settings, self.cache_dir)
            if choice.plan == item.choice.plan:
                item.choice = choice
                return
            self._admit(_key(bundle), self._load(bundle, choice), instead=item)
        except (SightlineError, OSError) as error:
            _log.warning("%s stays on %s: %s", bundle.reference, item.choice.plan.describe(), error)


def _key(bundle: Bundle) -> str:
    return f"{bundle.reference} {bundle.digest}"


def _retire(item: LoadedModel) -> None:
    """Let a model finish what is in its line, without anybody waiting for that."""
    threading.Thread(target=item.batcher.close, name="retire", daemon=True).start()
