"""Float and int8 side by side: accuracy with intervals, pictures a second and latency, in both engines.

    python -m bench.quantised MODEL DATA [--first N] [--rounds N] [--seconds S] [--only accuracy|speed]

MODEL has an int8 file (`sightline models quantize MODEL PICTURES... --judge DATA`); DATA is labelled
pictures, as `sightline evaluate` reads them. Everything takes the served road, from bytes to answer.
The speeds of all rows are measured in turns, in rounds of one run, so that a neighbour disturbs all alike;
the factor is the median over the rounds of the ratio to the first row. "CPU ms" is what the engine's process
spends on a picture while all callers are busy: neighbours hardly disturb it.
"""

import argparse
import itertools
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from sightline.evaluation import Rules, evaluate
from sightline.evaluation.data import open_dataset
from sightline.evaluation.variant import MAIN
from sightline.registry import Bundle, Registry
from sightline.serving.road import Road
from sightline.settings import load_settings

ENGINES = ("onnxruntime", "openvino")
PRECISIONS = ("fp32", "int8")
_PICTURES = 32
_UNIT = 1e6


@dataclass(eq=False)
class Row:
    """One engine with one of the files."""

    engine: str
    precision: str
    road: Road
    mb: float
    figures: dict[str, str] = field(default_factory=dict)
    rates: list[float] = field(default_factory=list)
    """Pictures a second with as many callers as the road serves at once, by round."""
    latencies_ms: list[float] = field(default_factory=list)
    """Median of one caller alone, by round."""
    cpu_ms: list[float] = field(default_factory=list)
    """Processor time of this process for a picture, all callers busy, by round."""


def main() -> None:
    """Judge every row, time all of them in turns, print the table."""
    asked = _arguments()
    settings = load_settings()
    bundle = Registry(settings).resolve(asked.model)
    variant = bundle.manifest.variant("int8")
    if variant is None:
        raise SystemExit(
            f"{bundle.reference} has no int8 file: sightline models quantize {bundle.name} … --judge …"
        )
    pictures = [item.read() for item in open_dataset(asked.data, first=_PICTURES).pictures]
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sightline-bench-")))
        base = load_settings({"data_dir": str(place), "threads": settings.threads})
        Registry(base).add(bundle.folder)
        rows = []
        for engine, precision in itertools.product(ENGINES, PRECISIONS):
            if precision == "int8" and engine not in variant.engines:
                continue
            road = stack.enter_context(Road.open(replace(base, engine=engine, precision=precision)))
            rows.append(Row(engine, precision, road, _mb(bundle, precision)))
            _check(rows[-1], bundle)
            if asked.only != "speed":
                _judge(rows[-1], bundle, asked.data, Rules(first=asked.first))
        for _ in range(asked.rounds if asked.only != "accuracy" else 0):
            for row in rows:
                _time(row, bundle.reference, pictures, asked.seconds)
    print(table(bundle, rows, asked.data, asked.first))
    for engine in ENGINES:
        if engine not in variant.engines:
            print(f"\nInt8 on {engine} is left out: it does not compute this file as ONNX Runtime does.")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("model")
    parser.add_argument("data", type=Path)
    parser.add_argument("--first", type=int, default=0, help="judge on so many pictures only")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement of a round")
    parser.add_argument("--only", choices=("accuracy", "speed"), default="")
    return parser.parse_args()


def _mb(bundle: Bundle, precision: str) -> float:
    return bundle.weights(precision).stat().st_size / _UNIT


def _check(row: Row, bundle: Bundle) -> None:
    loaded = row.road.pool.get(bundle.reference)
    if loaded.engine.info.precision != row.precision:
        raise SystemExit(f"{row.engine} runs {loaded.engine.info.precision}, not {row.precision}.")


def _judge(row: Row, bundle: Bundle, data: Path, rules: Rules) -> None:
    report = evaluate(row.road, bundle.reference, data, rules=rules)
    row.figures = {name: str(report.figures[name]) for name in MAIN if name in report.figures}


def _time(row: Row, model: str, pictures: Sequence[bytes], seconds: float) -> None:
    alone = list(_answers(row.road, model, pictures, time.perf_counter() + seconds))
    row.latencies_ms.append(1e3 * statistics.median(alone))
    counts: list[int] = []
    until = time.perf_counter() + seconds

    def work() -> None:
        counts.append(sum(1 for _ in _answers(row.road, model, pictures, until)))

    began, spent = time.perf_counter(), time.process_time()
    callers = [threading.Thread(target=work) for _ in range(row.road.width)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    row.rates.append(sum(counts) / (time.perf_counter() - began))
    row.cpu_ms.append(1e3 * (time.process_time() - spent) / max(1, sum(counts)))


def _answers(road: Road, model: str, pictures: Sequence[bytes], until: float) -> Iterator[float]:
    """Seconds of each answer, one after the other, until the time is up."""
    for data in itertools.cycle(pictures):
        began = time.perf_counter()
        if began >= until:
            return
        road.predict(data, model=model, deadline_s=300.0)
        yield time.perf_counter() - began


def table(bundle: Bundle, rows: Sequence[Row], data: Path, first: int) -> str:
    """Markdown; accuracy in percent with 95 % intervals, speeds as medians over the rounds."""
    names = list(rows[0].figures)
    timed = ["pictures/s", "factor", "one alone, ms", "factor", "CPU ms"] if rows[0].rates else []
    head = ["engine", "precision", "MB", *(f"{name} %" for name in names), *timed]
    lines = [
        f"{bundle.reference} on {data.name}{f', {first} pictures' if first else ''}",
        "",
        f"| {' | '.join(head)} |",
        "|---|---|" + "---:|" * (len(head) - 2),
    ]
    for row in rows:
        speed = _speed(row, rows[0]) if timed else []
        cells = [row.engine, row.precision, f"{row.mb:.2f}", *(row.figures[name] for name in names), *speed]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _speed(row: Row, first: Row) -> list[str]:
    """Medians over the rounds; higher factors are faster in both."""
    rates = [mine / other for mine, other in zip(row.rates, first.rates, strict=True)]
    waits = [other / mine for mine, other in zip(row.latencies_ms, first.latencies_ms, strict=True)]
    return [
        f"{statistics.median(row.rates):.1f}",
        f"{statistics.median(rates):.2f}",
        f"{statistics.median(row.latencies_ms):.1f}",
        f"{statistics.median(waits):.2f}",
        f"{statistics.median(row.cpu_ms):.1f}",
    ]


if __name__ == "__main__":
    main()
