"""The short trial behind a choice of engine, run as a program: an order in, a choice out (JSON lines).

First every engine and precision with the plain plan, then ways of using the winner. A plan is out
if it does not agree with ONNX Runtime fp32. Another engine must be clearly faster to win, because
its memory and its start cost something too.
"""

import ctypes
import json
import signal
import statistics
import sys
import threading
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from sightline.errors import ModelFailed, SightlineError
from sightline.manifest import Manifest
from sightline.runtime import choose
from sightline.runtime.choose import Choice, Measurement
from sightline.runtime.engine import Engine, EngineName, Outputs, Plan, Tensor
from sightline.runtime.features import this_machine
from sightline.runtime.parity import canvas, difference, distance, samples, slack, tolerance
from sightline.settings import Settings

ANOTHER_ENGINE = 1.15
"""How much faster than ONNX Runtime fp32 another engine must be."""
ANOTHER_USE = 1.08
"""How much faster than the plain plan batches or fewer lanes must be."""
_TRY_S = 0.6
INT8_APART = 0.5
"""How far from float the outputs of a judged int8 file may be; more is an error of arithmetic."""
_Truth: TypeAlias = tuple[Manifest, Tensor, dict[str, Outputs]]
"""A contract, an input made for it, and what ONNX Runtime says to it, by precision."""
_PR_SET_PDEATHSIG = 1


def measure(path: Path, manifest: Manifest, settings: Settings) -> Choice:
    """Try the candidates in this process.

    Raises:
        ModelFailed: Not even the first candidate runs.
    """
    base = choose.base_plan(path, manifest, settings)
    plans = candidates(base, settings, manifest)
    attempt = partial(_try, path, manifest, _truths(path, manifest, base, plans))
    attempt(plans[0])  # the first to run finds a cold processor; it is not to pay for that
    rows = [attempt(plan) for plan in plans]
    best = pick(rows, ANOTHER_ENGINE)
    for plan in uses(best.plan, settings):
        rows.append(attempt(plan))
        best = _better(best, rows[-1], ANOTHER_USE)
    if best is not rows[0] and not rows[0].fault:  # once more against the plain plan: neighbours come and go
        again, best = attempt(rows[0].plan), attempt(best.plan)
        rows = [again, *(best if row.plan == best.plan else row for row in rows[1:])]
        best = _better(again, best, ANOTHER_USE)
    why = explain(best, rows) + choose.left_out(manifest, settings, best.plan)
    return Choice(best.plan, why, tuple(rows))


def candidates(base: Plan, settings: Settings, manifest: Manifest | None = None) -> list[Plan]:
    """Engines and precisions worth trying with the plain plan; ONNX Runtime fp32 first if it may win.

    The int8 file is tried where it was judged and loses little, or where the settings ask for it.
    """
    variant = manifest.variant("int8") if manifest else None
    engines: list[EngineName] = [
        name for name in (variant.engines if variant else ()) if settings.engine in ("auto", name)
    ]
    int8 = [replace(base, engine=name, precision="int8") for name in engines]
    if int8 and settings.precision == "int8":
        return int8
    native = settings.precision == "bf16" or (settings.precision == "auto" and this_machine().bf16)
    plans = []
    if settings.engine != "openvino" and not (settings.precision == "bf16" and settings.engine == "auto"):
        plans.append(base)
    if settings.engine != "onnxruntime":
        if settings.precision != "bf16":
            plans.append(replace(base, engine="openvino"))
        if native:
            plans.append(replace(base, engine="openvino", precision="bf16"))
    tried = settings.precision == "auto" and variant is not None and variant.trusted
    return plans + int8 if tried else plans


def uses(plan: Plan, settings: Settings) -> list[Plan]:
    """Other ways of using an engine: small batches in every lane, or one lane with large batches."""
    if plan.lanes == 1 or settings.batch_max == 1:
        return []
    few, many = min(4, settings.batch_max), settings.batch_max
    return [replace(plan, batch=few), replace(plan, lanes=1, wide=False, batch=many)]


def pick(rows: list[Measurement], margin: float) -> Measurement:
    """The first row that no later one beats by ``margin``.

    Raises:
        ModelFailed: All rows have faults.
    """
    good = [row for row in rows if not row.fault]
    if not good:
        raise ModelFailed(f"No engine runs the model: {rows[0].fault}")
    best = good[0]
    for row in good[1:]:
        best = _better(best, row, margin)
    return best


def explain(best: Measurement, rows: list[Measurement]) -> str:
    """Why this plan, in words."""
    others = [row for row in rows if row.plan != best.plan]
    told = [f"{row.plan.describe()}: {row.fault or f'{row.images_per_s:.0f}/s'}" for row in others]
    beaten = f" Against {'; '.join(told)}." if told else ""
    return f"{best.images_per_s:.0f} pictures/s here with {best.plan.describe()}.{beaten}"


def _better(best: Measurement, row: Measurement, margin: float) -> Measurement:
    return row if not row.fault and row.images_per_s > margin * best.images_per_s else best


def _truths(path: Path, manifest: Manifest, base: Plan, plans: list[Plan]) -> list[_Truth]:
    """What ONNX Runtime says about each sample at each size, the usual one first, in float and in int8.

    A graph that it cannot run was never accepted.
    """
    wanted = ["fp32"] + ["int8"] * any(plan.precision == "int8" for plan in plans)
    engines = {name: _reference(path, manifest, base, name) for name in wanted}
    others = (manifest.at(size) for size in manifest.input.sizes if size != manifest.input.width)
    sized = [(each, tensor) for each in (manifest, *others) for tensor in samples(each.input)]
    return [
        (each, tensor, {name: engine.run(tensor) for name, engine in engines.items()})
        for each, tensor in sized
    ]


def _reference(path: Path, manifest: Manifest, base: Plan, precision: str) -> Engine:
    plan = replace(base, lanes=1, wide=False, precision="int8" if precision == "int8" else "fp32")
    return choose.open_engine(path, manifest, Choice(plan, ""))


def _apart(engine: Engine, plan: Plan, truths: list[_Truth]) -> float:
    """The largest distance from the reference; infinite when a sample is read differently.

    What int8 costs was judged on a data set, which says more than two pictures. Here an engine only has
    to compute the file as ONNX Runtime does, and to stay in sight of the float graph.
    """
    moves, worst = slack(engine.info.precision), 0.0
    for each, asked, told in truths:
        got, size = engine.run(asked), canvas(asked, each.input)
        if plan.precision == "int8":
            far = distance(told["fp32"], got)
            same = difference(told["int8"], got, each, size, moves) <= tolerance("int8")
            worst = max(worst, far if same and far <= INT8_APART else float("inf"))
        else:
            worst = max(worst, difference(told["fp32"], got, each, size, moves))
    return worst


def _try(path: Path, manifest: Manifest, truths: list[_Truth], plan: Plan) -> Measurement:
    """Every size must agree with ONNX Runtime; the time of the usual one decides."""
    tensor = truths[0][1]
    try:
        engine = choose.open_engine(path, manifest, Choice(plan, ""))
        if plan.batch > 1 and engine.max_batch == 1:
            return Measurement(plan, fault="the graph takes one picture at a time")
        apart = _apart(engine, plan, truths)
        if plan.batch > 1:
            apart = max(apart, _batched_difference(engine, tensor, manifest))
    except SightlineError as error:
        return Measurement(plan, fault=str(error))
    if apart > (INT8_APART if plan.precision == "int8" else tolerance(engine.info.precision)):
        return Measurement(plan, difference=apart, fault=f"it differs by {apart:.2g} from ONNX Runtime fp32")
    batch = _repeat(tensor, plan.batch)
    latency = _latency_ms(engine, tensor)
    return Measurement(plan, _images_per_s(engine, batch, plan), latency, apart)


def _batched_difference(engine: Engine, tensor: Tensor, manifest: Manifest) -> float:
    """Does a picture get the same answer in company? Some graphs say so in their shapes and do not."""
    alone = engine.run(tensor)
    other = (tensor[:, ..., ::-1] * 0.5).astype(tensor.dtype)
    together = engine.run(_repeat(tensor, 2, other))
    if any(value.ndim == 0 or len(value) != 2 for value in together.values()):
        return float("inf")
    first = {name: value[:1] for name, value in together.items()}
    second = {name: value[1:] for name, value in together.items()}
    size, moves = canvas(tensor, manifest.input), slack(engine.info.precision)
    return max(
        difference(alone, first, manifest, size, moves),
        difference(engine.run(other), second, manifest, size, moves),
    )


def _repeat(tensor: Tensor, n: int, other: Tensor | None = None) -> Tensor:
    return tensor if n == 1 else np.concatenate([tensor] * (n - 1) + [tensor if other is None else other])


def _latency_ms(engine: Engine, tensor: Tensor) -> float:
    times: list[float] = []
    until = time.perf_counter() + _TRY_S
    while not times or time.perf_counter() < until:
        began = time.perf_counter()
        engine.run(tensor)
        times.append(time.perf_counter() - began)
    return 1e3 * statistics.median(times)


def _images_per_s(engine: Engine, batch: Tensor, plan: Plan) -> float:
    counts = [0] * plan.lanes
    began = time.perf_counter()

    def work(lane: int) -> None:
        while not counts[lane] or time.perf_counter() < began + _TRY_S:
            engine.run(batch)
            counts[lane] += plan.batch

    lanes = [threading.Thread(target=work, args=(lane,)) for lane in range(plan.lanes)]
    for thread in lanes:
        thread.start()
    for thread in lanes:
        thread.join()
    return sum(counts) / (time.perf_counter() - began)


def main() -> None:
    """Read one order from standard input, write one choice to standard output."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    order: dict[str, Any] = json.loads(sys.stdin.read())
    manifest = Manifest.model_validate_json(order["manifest"])
    try:
        choice = measure(Path(order["path"]), manifest, Settings(**order["settings"]))
    except SightlineError as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(1) from error
    sys.stdout.write(json.dumps(choice.to_json()) + "\n")


if __name__ == "__main__":
    main()
