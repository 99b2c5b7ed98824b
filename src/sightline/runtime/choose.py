"""Which engine runs a model, and how: remembered, measured, or the safe default.

A measured choice is made in a child process (``sightline.runtime.measure``), so a graph that
crashes an engine costs nothing, and OpenVINO's memory is not paid by a server that does not use
it. It is kept per model digest, processor, engine versions, our own version and the settings that matter.
"""

import hashlib
import json
import logging
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from sightline import __version__
from sightline.errors import ModelFailed
from sightline.manifest import Manifest
from sightline.private import make_folder
from sightline.runtime.engine import Engine, Plan
from sightline.runtime.features import this_machine
from sightline.settings import Settings

TRIAL_S = 120.0
_log = logging.getLogger(__name__)
_TWICE_SHARE = 8
"""A second, wide copy of the graph is held if both fit in this share (1/8) of the memory budget."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one plan achieved here."""

    plan: Plan
    images_per_s: float = 0.0
    """With every lane busy."""
    latency_ms: float = 0.0
    """Of one picture alone, the median."""
    difference: float = 0.0
    """Largest distance from ONNX Runtime fp32, relative to the size of the outputs."""
    fault: str = ""
    """Why this plan cannot be used; empty if it can."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The plan, and why."""

    plan: Plan
    reason: str
    measurements: tuple[Measurement, ...] = ()

    @property
    def measured(self) -> bool:
        """Whether a trial stands behind it."""
        return bool(self.measurements)

    def to_json(self) -> dict[str, Any]:
        """Plain values, for the cache, the API and ``models bench``."""
        return asdict(self)

    @staticmethod
    def from_json(values: dict[str, Any]) -> "Choice":
        """The inverse of ``to_json``.

        Raises:
            TypeError: Fields of another version.
        """
        rows = (item | {"plan": Plan(**item["plan"])} for item in values["measurements"])
        return Choice(Plan(**values["plan"]), values["reason"], tuple(Measurement(**row) for row in rows))


def choose(
    path: Path, manifest: Manifest, settings: Settings, cache_dir: Path, *, fresh: bool = False
) -> Choice:
    """Measure the candidates in a child process, or recall what was measured.

    Args:
        path: The graph.
        manifest: Its contract.
        settings: ``engine``, ``precision``, ``threads``, ``batch_max`` and ``memory_mb`` matter.
        cache_dir: Where choices are kept; made if it does not exist.
        fresh: Measure again even if a choice is known.

    Raises:
        ModelFailed: No candidate runs the model.
    """
    if not fresh and (known := recall(path, manifest, settings, cache_dir)):
        return known
    choice = _measure_in_child(path, manifest, settings)
    _remember(choice, _record(path, manifest, settings, cache_dir))
    return choice


def recall(path: Path, manifest: Manifest, settings: Settings, cache_dir: Path) -> Choice | None:
    """The choice that was measured for exactly this graph on exactly this machine, if any."""
    try:
        return Choice.from_json(json.loads(_record(path, manifest, settings, cache_dir).read_text("utf-8")))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def default(path: Path, manifest: Manifest, settings: Settings) -> Choice:
    """The plan without a measurement: ONNX Runtime, a lane for each core, and a wide copy if it is small."""
    engine = "openvino" if settings.engine == "openvino" else "onnxruntime"
    precision = "bf16" if settings.precision == "bf16" and engine == "openvino" else "fp32"
    variant = manifest.variant("int8")
    if settings.precision == "int8" and variant and engine in variant.engines:
        precision = "int8"
    plan = base_plan(path, manifest, settings)
    reason = "Not measured yet." if settings.engine == "auto" else "The setting asks for this engine."
    chosen = Plan(**(plan.to_json() | {"engine": engine, "precision": precision}))
    return Choice(chosen, reason + left_out(manifest, settings, chosen))


def left_out(manifest: Manifest, settings: Settings, plan: Plan) -> str:
    """Why the int8 file does not run although the settings ask for it; empty if it does or there is none."""
    if settings.precision != "int8" or plan.precision == "int8" or manifest.variant("int8") is None:
        return ""
    return f" The int8 file is left out: {plan.engine} was not seen to do as well with it as onnxruntime."


def base_plan(path: Path, manifest: Manifest, settings: Settings) -> Plan:
    """Lanes, width and scratch memory that suit the model's size.

    Models of changing input size (Mask R-CNN) hold large intermediate results: they get one lane
    with all threads, and no arena, which would keep the largest of everything ever computed.
    """
    threads = settings.thread_count
    if manifest.input.resize == "short_side":
        return Plan(threads=threads, arena=False)
    wide = threads > 1 and path.stat().st_size * 2 * _TWICE_SHARE <= settings.memory_mb << 20
    lean = settings.memory_mb < 1024
    return Plan(threads=threads, lanes=threads, wide=wide, arena=not lean)


def graph_of(path: Path, manifest: Manifest, plan: Plan) -> Path:
    """The file that a plan runs: ``path``, or the variant of the plan's precision beside it."""
    variant = manifest.variant(plan.precision)
    return path.with_name(variant.file) if variant else path


def open_engine(path: Path, manifest: Manifest, choice: Choice, limit_s: float = 0.0) -> Engine:
    """Open a graph as chosen; runs that take longer than ``limit_s`` are stopped (0: none).

    Args:
        path: ``model.onnx``; where the plan says so, the variant beside it is opened.
        manifest: Its contract.
        choice: The plan.
        limit_s: Longest run.

    Raises:
        ModelFailed: The engine does not take it.
    """
    tensor, path = manifest.input.tensor, graph_of(path, manifest, choice.plan)
    if choice.plan.engine == "openvino":
        from sightline.runtime.openvino_engine import OpenVinoEngine  # noqa: PLC0415 - 30 MB, only when wanted

        return OpenVinoEngine(path, choice.plan, choice.reason, tensor, limit_s)
    from sightline.runtime.onnx_engine import OnnxEngine  # noqa: PLC0415 - `sightline --help` must not load it

    return OnnxEngine(path, choice.plan, choice.reason, tensor, limit_s)


def _measure_in_child(path: Path, manifest: Manifest, settings: Settings) -> Choice:
    order = {"path": str(path), "manifest": manifest.model_dump_json(), "settings": _knobs(settings)}
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "sightline.runtime.measure"],
            input=json.dumps(order),
            capture_output=True,
            text=True,
            timeout=TRIAL_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ModelFailed(f"Measuring the model took more than {TRIAL_S:.0f} s.") from error
    try:
        return Choice.from_json(json.loads(done.stdout.splitlines()[-1]))
    except (ValueError, KeyError, TypeError, IndexError) as error:
        told = done.stderr.strip().splitlines()[-1:] or [f"it ended with status {done.returncode}"]
        raise ModelFailed(f"Measuring the model failed: {told[0]}") from error


def _knobs(settings: Settings) -> dict[str, Any]:
    names = ("engine", "precision", "batch_max", "memory_mb")
    return {name: getattr(settings, name) for name in names} | {"threads": settings.thread_count}


def _record(path: Path, manifest: Manifest, settings: Settings, cache_dir: Path) -> Path:
    def installed(name: str) -> str:
        try:
            return version(name)
        except PackageNotFoundError:
            return "none"

    digest = manifest.sha256 or hashlib.sha256(path.read_bytes()).hexdigest()
    unknown = {"half_looks"} if manifest.input.sizes else {"half_looks", "sizes"}  # no other numbers
    known = manifest.input.model_dump(exclude=unknown)
    # Another version of ours may drive an engine otherwise.
    about = [_knobs(settings), __version__, installed("onnxruntime"), installed("openvino"), known]
    about += [f"{item.sha256} {item.trusted} {item.engines}" for item in manifest.variants]
    mark = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:8]
    return cache_dir / f"{digest[:32]}-{this_machine().fingerprint}-{mark}.json"


def _remember(choice: Choice, record: Path) -> None:
    unfinished = record.with_suffix(f".{os.getpid()}.part")
    try:
        make_folder(record.parent)
        unfinished.write_text(json.dumps(choice.to_json()), "utf-8")
        unfinished.replace(record)
    except OSError as error:  # no reason not to look at pictures
        _log.warning("What was measured cannot be kept, and is measured again next time: %s", error.strerror)
