"""(a) The physical limit: the same work in one process, without HTTP, queue or child processes.

Run as a program: reads ``<callers> <seconds>`` lines, answers with JSON lines.
"""

import json
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from bench import graphs

from sightline.manifest import Manifest
from sightline.runtime import choose
from sightline.runtime.choose import Choice
from sightline.runtime.engine import Engine, Plan
from sightline.settings import Settings
from sightline.types import Ask
from sightline.vision import codec, heads, preprocess


def answerer(engine: Engine, manifest: Manifest) -> Callable[[], None]:
    """A function that decodes, fits, computes and reads the picture once."""
    data, limits = graphs.picture(), codec.Limits.of(Settings())

    def answer() -> None:
        frame = codec.decode(data, limits, preprocess.hint(manifest.input, 640, 480))
        canvas = preprocess.fit(frame, manifest.input)
        tensor = preprocess.tensor(canvas.pixels, manifest.input)
        heads.read(manifest, engine.run(tensor[None]), canvas.fit, Ask())

    return answer


def main() -> None:
    """Open the graph with the plan that is given, then obey."""
    path, plan = Path(sys.argv[1]), Plan(**json.loads(sys.argv[2]))
    manifest = graphs.manifest("limit", path)
    answer = answerer(choose.open_engine(path, manifest, Choice(plan, "")), manifest)
    answer()
    print("ready", flush=True)
    for line in sys.stdin:
        callers, seconds = line.split()
        print(json.dumps(run(answer, int(callers), float(seconds))), flush=True)


def run(answer: Callable[[], None], callers: int, seconds: float) -> list[float]:
    """Milliseconds of every answer within the time, from ``callers`` threads."""
    times: list[float] = []
    until = time.perf_counter() + seconds

    def work() -> None:
        while time.perf_counter() < until:
            began = time.perf_counter()
            answer()
            times.append(1e3 * (time.perf_counter() - began))

    threads = [threading.Thread(target=work) for _ in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return times


if __name__ == "__main__":
    main()
