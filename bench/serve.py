"""The benchmark of serving: ``python -m bench.serve [--quick]``, about 15 minutes (1 with --quick).

On the same graphs and the same 640x480 JPEG, in one run, in turns (so that a busy machine is busy
for all alike): (a) the limit in one process without HTTP, (b) Sightline over HTTP, (c) Flask,
gunicorn and ONNX Runtime, (d) LitServe. Prints Markdown; figures are medians over rounds, ratios
are medians of the ratios within a round.
"""

import argparse
import json
import os
import shutil
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

from bench import graphs, load
from bench.contenders import Limit, Sample, Server, flask, litserve, rss_mb, sightline

from sightline.registry import Registry
from sightline.runtime import choose
from sightline.runtime.choose import Choice
from sightline.runtime.engine import precision_of
from sightline.runtime.features import this_machine
from sightline.settings import Settings, load_settings

CORES = Settings().thread_count
FULL = 16
"""Connections at which the bars are set."""
_REST_S = 75.0
"""Decoders that are not needed go home after a minute."""


@dataclass(frozen=True)
class Effort:
    """How long to measure."""

    names: tuple[str, ...]
    connections: tuple[int, ...]
    rounds: int
    seconds: float


QUICK = Effort(("mobilenetv2",), (1, FULL), 2, 1.5)
WHOLE = Effort(("resnet50", "mobilenetv2"), (1, 8, FULL, 64), 5, 2.0)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one graph, short rounds: does it run, roughly")
    parser.add_argument("--model", choices=sorted(graphs.NAMES), help="only this graph")
    parser.add_argument("--no-int8", action="store_true", help="skip the quantised graphs")
    asked = parser.parse_args()
    effort = QUICK if asked.quick else WHOLE
    names = (asked.model,) if asked.model else effort.names
    print(f"# Serving, {time.strftime('%Y-%m-%d')}\n\n{this_machine().describe()}, {CORES} processors.\n")
    for name in names:
        path = graphs.graph(name)
        more = [] if asked.no_int8 or asked.quick else [(f"{name}-int8", quantised(name, path))]
        compare([(name, path), *more], effort)
    for name in names:
        extremes(name, effort)


def quantised(name: str, path: Path) -> Path:
    """The int8 version, made by what ``sightline models quantize`` calls."""
    from sightline.runtime.quantize import quantize  # noqa: PLC0415 - brings the onnx library

    target = path.with_name(f"{name}-int8.onnx")
    if not target.exists():
        quantize(path, target, graphs.tensors(), graphs.manifest(name, path))
    return target


def compare(variants: list[tuple[str, Path]], effort: Effort) -> None:
    """One table: every way in which Sightline runs a network beside the others, which run it in fp32."""
    name, path = variants[0]
    body = graphs.picture()
    mine: list[Prepared] = []
    for title, graph in variants:
        for engine in ("onnxruntime", "auto"):
            item = prepared(title, graph, engine)
            if item.server.title not in {other.server.title for other in mine}:
                mine.append(item)
    limits = {item.server.title: Limit(item.path, json.dumps(item.choice.plan.to_json())) for item in mine}
    servers = [item.server for item in mine]
    servers += [flask(path, 1, FULL, 0), flask(path, CORES, 4, 1)]
    servers += [litserve(path, 1, 0, 8), litserve(path, CORES, 1, 1)]
    try:
        for server in servers:
            server.start(body)
        report(name, mine, rounds(limits, servers, body, effort))
    finally:
        for limit in limits.values():
            limit.stop()
        for server in servers:
            server.stop()


@dataclass
class Prepared:
    """Sightline, ready to start with one engine setting."""

    server: Server
    choice: Choice
    path: Path


def prepared(name: str, path: Path, engine: str) -> Prepared:
    """A data folder with the model in it, and its measured choice of engine."""
    data_dir = graphs.OUT / "data" / f"{name}-{engine}"
    shutil.rmtree(data_dir, ignore_errors=True)
    settings = load_settings(
        {"data_dir": str(data_dir), "engine": engine, "waiting_max": 128}, environment={}
    )
    found = Registry(settings).add(graphs.bundle(name, path))
    cache = settings.data_path / "cache" / "engines"
    choice = choose.choose(found.model_path, found.manifest, settings, cache)
    title = f"Sightline, {choice.plan.engine} {precision_of(path, choice.plan)}"
    return Prepared(sightline(title, data_dir, name, engine=engine, waiting_max="128"), choice, path)


Table = dict[tuple[str, int], list[Sample]]


def rounds(limits: dict[str, Limit], servers: list[Server], body: bytes, effort: Effort) -> Table:
    """Everybody in turns, several times."""
    table: Table = {}
    for _ in range(effort.rounds):
        for count in effort.connections:
            for title, limit in limits.items():
                row = table.setdefault((f"Limit of {title}", count), [])
                row.append(limit.run(min(count, CORES), effort.seconds))
            for server in servers:
                if count in {1, FULL} or server.title in limits:
                    table.setdefault((server.title, count), []).append(
                        server.run(body, count, effort.seconds)
                    )
    return table


def report(name: str, mine: list[Prepared], table: Table) -> None:
    """A Markdown table: pictures a second, median latency, processor time, share of the limit."""
    print(f"## {name}\n")
    for item in mine:
        print(f"- {item.server.title}: {item.choice.reason}")
    print("\n| | connections | pictures/s | median ms | CPU ms/picture | rate against the limit |")
    print("|---|---:|---:|---:|---:|---:|")
    first = f"Limit of {mine[0].server.title}"
    for (title, count), samples in sorted(table.items(), key=lambda item: (item[0][1], item[0][0])):
        own = title if title.startswith("Limit") else f"Limit of {title}"
        limit = table.get((own, count)) or table[first, count]
        ratio = within([s.rate for s in samples], [s.rate for s in limit])
        cells = [
            statistics.median(getattr(s, field) for s in samples) for field in ("rate", "median_ms", "cpu_ms")
        ]
        print(f"| {title} | {count} | {cells[0]:.1f} | {cells[1]:.1f} | {cells[2]:.1f} | {ratio:.0%} |")
    print()
    for item in mine:
        print(f"- {verdict(table, item.server.title)}")
    print(flush=True)


def verdict(table: Table, mine: str) -> str:
    """The bars, in words."""
    titles = [title for title, count in table if count == FULL]
    rivals = [title for title in titles if title.startswith(("Flask", "LitServe"))]
    best = max(rivals, key=lambda title: statistics.median(s.rate for s in table[title, FULL]))
    times = within([s.rate for s in table[mine, FULL]], [s.rate for s in table[best, FULL]])
    share = within([s.rate for s in table[mine, FULL]], [s.rate for s in table[f"Limit of {mine}", FULL]])
    told = [
        f"{mine}: at {FULL} connections {share:.0%} of its limit, {times:.2f} times the best other ({best}).",
        _processor_time(table, mine, rivals),
    ]
    if (mine, 1) in table:
        pairs = zip(table[f"Limit of {mine}", 1], table[mine, 1], strict=True)
        extra = [b.median_ms - a.median_ms for a, b in pairs]
        told.append(f"One client waits {statistics.median(extra):+.1f} ms against the limit (median).")
    return " ".join(told)


def _processor_time(table: Table, mine: str, rivals: list[str]) -> str:
    """The comparison that busy neighbours disturb least."""
    costs = {
        title: statistics.median(s.cpu_ms for s in table[title, FULL]) for title, n in table if n == FULL
    }
    best = min(costs[title] for title in rivals)
    return f"A picture costs {costs[mine]:.1f} ms of processor time (the best other: {best:.1f} ms)."


def within(mine: list[float], others: list[float]) -> float:
    """Median over the rounds of the ratio within each round."""
    return statistics.median(a / b for a, b in zip(mine, others, strict=True))


def extremes(name: str, effort: Effort) -> None:
    """Start, memory, and what happens at ten times the capacity.

    The load generator gets a processor of its own and the server the others, for the peak too: else the
    server would be measured while it competes with a flood of senders that in life are elsewhere.
    """
    item, body = prepared(name, graphs.graph(name), "onnxruntime"), graphs.picture()
    server = item.server
    server.environment["SIGHTLINE_WAITING_MAX"] = "64"
    processors = sorted(os.sched_getaffinity(0))
    try:
        server.start(body)
        time.sleep(1)
        print(f"## Start, memory and overload ({name})\n")
        print(f"- First answer {server.started_s:.2f} s after the start of the process.")
        print(f"- {rss_mb(server.pids()):.0f} MB resident in {len(server.pids())} processes, idle.")
        server.stop()
        os.sched_setaffinity(0, processors[:-1] or processors)
        server.start(body)
        os.sched_setaffinity(0, processors[-1:])
        overload(server, body, effort)
        time.sleep(_REST_S)
        print(f"- {rss_mb(server.pids()):.0f} MB resident {_REST_S:.0f} s later.\n", flush=True)
    finally:
        os.sched_setaffinity(0, processors)
        server.stop()


def overload(server: Server, body: bytes, effort: Effort) -> None:
    """Ten times the capacity, whatever the server does."""
    peak = statistics.median(server.run(body, FULL, effort.seconds).rate for _ in range(3))
    found = load.open_loop(server.port, server.request(body), 10 * peak, 4 * effort.seconds)
    middle, late = (load.percentile(found.refused_ms, share) for share in (50, 99))
    print(f"- Ten times the capacity, {10 * peak:.0f} requests/s of {len(body) / 1e3:.0f} kB:")
    print(f"  {found.rate / peak:.0%} of the peak is answered (median {found.median_ms():.0f} ms),")
    print(f"  {len(found.refused_ms)} refused (median {middle:.1f} ms, 99 % within {late:.1f} ms),")
    print(f"  {found.broken} broken, {found.unsent} not even sent by the load generator.")
    print(f"- {rss_mb(server.pids()):.0f} MB resident afterwards.")


if __name__ == "__main__":
    main()
