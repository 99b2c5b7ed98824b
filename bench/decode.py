"""What does decoding in a child cost? The same work here and there, taken in turns, side by side.

Usage: ``python bench/decode.py [--pictures N]``. Prints a Markdown table. "Here" is the same function called
in this process without any protection; the difference is the price of being able to kill it: of the medians,
and of the fastest tenths ("quiet": what is left where nobody else wants the processors). Processor time is
that of both processes together, in ms a picture.
"""

import argparse
import io
import os
import signal
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image

from sightline.manifest import InputContract
from sightline.sandbox import Pool
from sightline.serving.decoder import Decoder
from sightline.settings import Settings
from sightline.vision import codec, tasks

SAMPLES = Path(__file__).resolve().parent.parent / "src" / "sightline" / "web" / "static" / "samples"
LIMITS = codec.Limits()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=300, help="pictures per figure")
    count = parser.parse_args().pictures
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    tasks.warm_up()
    started = time.perf_counter()
    with Decoder(Settings()) as decoder:
        decoder.prepare(sample(64, 64), contract(64))
        first_ms = (time.perf_counter() - started) * 1e3
        print("| JPEG | here, ms | in a child, ms | price | quiet price | CPU here | CPU child |")
        print("|---|---|---|---|---|---|---|")
        for width, height, side in [(640, 480, 224), (640, 480, 416), (1920, 1440, 416), (4000, 3000, 640)]:
            row(decoder, sample(width, height), side, count if width < 2000 else count // 5)
        print()
        print(f"- start to first answer of a new decoder: {first_ms:.0f} ms")
        print(f"- answer of a child that replaces a killed one: {replaced_ms(decoder):.1f} ms (median of 20)")
        print(f"- idle memory (private share, PSS) of nursery and one child: {idle_mb(decoder):.0f} MB")
    print(f"- pictures per second, 640 x 480 to 224, {Settings().decoder_count} children:", throughput(count))


def sample(width: int, height: int) -> bytes:
    """A sample photo at that size, as a JPEG of quality 85."""
    path = next(p for p in sorted(SAMPLES.iterdir()) if p.suffix in {".jpg", ".png", ".webp"})
    with Image.open(path) as image:
        target = io.BytesIO()
        image.convert("RGB").resize((width, height)).save(target, "JPEG", quality=85)
    return target.getvalue()


def contract(side: int) -> InputContract:
    """A square canvas."""
    return InputContract(width=side, height=side)


def row(decoder: Decoder, data: bytes, side: int, count: int) -> None:
    """One line of the table; here and there alternate, so that both see the same machine."""
    model = contract(side)
    here, there, cpu = [], [], [0.0, 0.0]
    for _ in range(max(20, count)):
        before = time.process_time()
        here.append(timed(lambda: tasks.prepare(data, LIMITS, model)))
        cpu[0] += time.process_time() - before
        before = time.process_time() + pool_of(decoder).call(time.process_time)
        there.append(timed(lambda: decoder.prepare(data, model)))
        cpu[1] += time.process_time() + pool_of(decoder).call(time.process_time) - before
    work = [f"{seconds / len(here) * 1e3:.2f}" for seconds in cpu]
    middle = [statistics.median(times) for times in (here, there)]
    quiet = [statistics.quantiles(times, n=10)[0] for times in (here, there)]
    with Image.open(io.BytesIO(data)) as image:
        size = f"{image.width} x {image.height}, {len(data) / 1e3:.0f} kB, to {side}"
    prices = f"**{middle[1] - middle[0]:.2f}** | {quiet[1] - quiet[0]:.2f}"
    print(f"| {size} | {middle[0]:.2f} | {middle[1]:.2f} | {prices} | {work[0]} | {work[1]} |")


def timed(work: Callable[[], object]) -> float:
    """Milliseconds."""
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1e3


def pool_of(decoder: Decoder) -> Pool:
    """The pool inside: benchmarks may look under the bonnet."""
    return decoder._pool  # noqa: SLF001


def replaced_ms(decoder: Decoder) -> float:
    """Kill the only child while idle, then ask."""
    data, model = sample(640, 480), contract(224)
    taken = []
    for _ in range(20):
        os.kill(pool_of(decoder).call(os.getpid), signal.SIGKILL)
        time.sleep(0.02)
        taken.append(timed(lambda: decoder.prepare(data, model)))
    return statistics.median(taken)


def idle_mb(decoder: Decoder) -> float:
    """Proportional set size: shared pages are counted once over all that share them."""
    total = 0
    for pid in (pool_of(decoder).call(os.getpid), pool_of(decoder).call(os.getppid)):
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        total += next(int(line.split()[1]) for line in rollup if line.startswith("Pss:"))
    return total / 1024


def throughput(count: int) -> str:
    """Pictures per second with 1, 2, 4 and 8 callers."""
    data, model = sample(640, 480), contract(224)
    said = []
    with Decoder(Settings()) as decoder:
        for callers in (1, 2, 4, 8):
            with ThreadPoolExecutor(callers) as threads:
                list(threads.map(lambda _: decoder.prepare(data, model), range(callers * 4)))
                started = time.perf_counter()
                list(threads.map(lambda _: decoder.prepare(data, model), range(count * 3)))
                said.append(f"{count * 3 / (time.perf_counter() - started):.0f} with {callers} callers")
    return ", ".join(said)


if __name__ == "__main__":
    main()
