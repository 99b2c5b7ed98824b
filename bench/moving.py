"""Speed of moving pictures: ``python -m bench.moving FOLDER [--frames 300] [--rounds 3] [--model NAME]``.

A film of 640 x 480 at 25 frames a second is made from FOLDER: a window that wanders over each picture. The
same frames by every door, in turns, so that a busy machine is busy for all: as JPEG files by ``sightline
predict --json`` (the measure), by ``sightline watch --every-frame``, by a job of a video with its annotated
film and without, and over the WebSocket of the camera page, one frame after another and as a camera of 25
frames a second, whose newest frame wins.

Rates leave out what is paid once: the commands' from their first answer to their last, the job's from its
start to its end on a worker that has loaded the model. Delay is from the moment at which a frame was taken to
that at which its answer was here.
"""

import argparse
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from bench.contenders import Server, sightline
from bench.jobs import answers_per_s, predict, workers_of
from PIL import Image
from tests.web.talking import Talk

from sightline.jobs.ledger import Ledger
from sightline.jobs.video import LIMIT_S, VIDEO, VideoOrder
from sightline.runtime.features import this_machine
from sightline.settings import Settings, load_settings
from sightline.storage.folders import SUFFIXES
from sightline.vision import codec
from sightline.watching.writer import Film

SIZE = (640, 480)
FPS = 25.0
_SHOWN = 25
"""Frames of each picture."""
_LIVE_S = 8.0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path, help="pictures to make the film of")
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", default="everyday")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-moving-") as name:
        place = Path(name)
        film, album = _made(asked.folder, place, asked.frames)
        settings = load_settings({"data_dir": str(place / "data"), "model": asked.model})
        frames = [path.read_bytes() for path in sorted(album.iterdir())]
        machine = f"{this_machine().describe()}, {os.cpu_count()} processors"
        load = f"load average {os.getloadavg()[0]:.1f} before"
        print(f"# Moving pictures, {time.strftime('%Y-%m-%d')}\n")
        print(f"{machine}; {asked.model}, {len(frames)} frames, {load}.\n")
        server = sightline("Sightline", place / "data", asked.model)
        with workers_of(settings, 1), Ledger.open(settings) as ledger:
            server.start(frames[0])
            try:
                _table(_ways(film, album, frames, settings, ledger, server), asked.rounds)
            finally:
                server.stop()


Found = dict[str, float]


def _ways(
    film: Path, album: Path, frames: list[bytes], settings: Settings, ledger: Ledger, server: Server
) -> dict[str, Callable[[], Found]]:
    return {
        "`predict` on the frames": lambda: {"rate": predict(album, settings)},
        "`watch --every-frame`": lambda: {"rate": answers_per_s(["watch", "--every-frame"], film, settings)},
        "job, with its film": lambda: {"rate": _job(film, ledger, side=720)},
        "job, no film": lambda: {"rate": _job(film, ledger, side=0)},
        "live, one after another": lambda: _in_turn(server.port, frames),
        "live, a camera of 25": lambda: _camera(server.port, frames),
    }


def _table(ways: dict[str, Callable[[], Found]], rounds: int) -> None:
    for look in ways.values():
        look()  # what is paid once
    found: dict[str, list[Found]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, look in ways.items():
            found[name].append(look())
    measure = [one["rate"] for one in next(iter(found.values()))]
    print("| way | frames/s | to `predict` | delay, ms | 95 % of delays, ms |\n|---|---|---|---|---|")
    for name, each in found.items():
        ratio = statistics.median(one["rate"] / direct for one, direct in zip(each, measure, strict=True))
        delays = [
            f"{statistics.median(one[key] for one in each):.0f}" if key in each[0] else ""
            for key in ("half", "most")
        ]
        rate = statistics.median(one["rate"] for one in each)
        print(f"| {name} | {rate:.1f} | {ratio:.2f} | {delays[0]} | {delays[1]} |", flush=True)


def _made(source: Path, place: Path, count: int) -> tuple[Path, Path]:
    """The film, and a folder of its frames as JPEG."""
    found = sorted(path for path in source.rglob("*") if path.suffix.lower() in SUFFIXES)
    film, album = place / "film.webm", place / "album"
    album.mkdir()
    with Film(film, SIZE, FPS) as writer:
        for number in range(count):
            pixels = _window(found[number // _SHOWN % len(found)], number % _SHOWN)
            writer.add(pixels)
            (album / f"{number:06d}.jpg").write_bytes(codec.encode(pixels, "image/jpeg"))
    return film, album


def _window(path: Path, step: int) -> np.ndarray:
    """640 x 480 pixels of a picture that is a tenth larger, further right with each step."""
    room = SIZE[0] // 10
    scaled = Image.open(path).convert("RGB").resize((SIZE[0] + room, SIZE[1]), Image.Resampling.BILINEAR)
    left = room * step // _SHOWN
    return np.asarray(scaled.crop((left, 0, left + SIZE[0], SIZE[1])))


def _job(film: Path, ledger: Ledger, *, side: int) -> float:
    order = VideoOrder("file", str(film), film.name, side=side)
    job = ledger.submit(VIDEO, order.to_json(), limit_s=LIMIT_S)
    while not (job := ledger.get(job.id)).ended:
        time.sleep(0.1)
    if job.state != "done":
        raise SystemExit(f"The job is {job.state}: {job.error}")
    assert job.started is not None
    assert job.finished is not None
    ledger.remove(job.id)
    return job.progress.done / (job.finished - job.started)


def _in_turn(port: int, frames: list[bytes]) -> Found:
    delays: list[float] = []
    with Talk(port) as talk:
        began = time.monotonic()
        while time.monotonic() - began < _LIVE_S:
            sent = time.monotonic()
            talk.send(frames[len(delays) % len(frames)])
            _answer(talk)
            delays.append(time.monotonic() - sent)
    return _found(delays, time.monotonic() - began)


def _camera(port: int, frames: list[bytes]) -> Found:
    """A thread takes a frame every 40 ms; answers are heard here."""
    taken: list[float] = []
    stop = threading.Event()
    delays: list[float] = []
    with Talk(port) as talk:
        began = time.monotonic()

        def shoot() -> None:
            while not stop.wait(max(0.0, began + len(taken) / FPS - time.monotonic())):
                taken.append(time.monotonic())
                talk.send(frames[(len(taken) - 1) % len(frames)])

        camera = threading.Thread(target=shoot)
        camera.start()
        while time.monotonic() - began < _LIVE_S:
            capture: int = _answer(talk)["capture"]
            delays.append(time.monotonic() - taken[capture - 1])
        lasted = time.monotonic() - began
        stop.set()
        camera.join()
    return _found(delays, lasted)


def _answer(talk: Talk) -> dict[str, Any]:
    message = talk.hear()
    if message["type"] != "result":
        raise SystemExit(f"live: {message}")
    return message


def _found(delays: list[float], lasted: float) -> Found:
    ordered = sorted(delays)
    return {
        "rate": len(delays) / lasted,
        "half": 1e3 * statistics.median(ordered),
        "most": 1e3 * ordered[int(0.95 * (len(ordered) - 1))],
    }


if __name__ == "__main__":
    main()
