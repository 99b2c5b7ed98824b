"""How far counts of distinct objects are off, on made-up scenes whose objects are known.

``python -m bench.tracking``; with similari-trackers-rs installed it is measured beside ours.
"""

from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np

from sightline.types import Detections
from sightline.watching.tracking import Tracker

if TYPE_CHECKING:
    from collections.abc import Callable

OBJECTS = 12
KINDS = {
    "every box is seen": {"drop": 0.0, "low": 0.0, "speed": 4.0},
    "10 % of boxes missing": {"drop": 0.1, "low": 0.0, "speed": 4.0},
    "25 % missing, 15 % of the rest unsure": {"drop": 0.25, "low": 0.15, "speed": 4.0},
    "fast, 15 % missing, 10 % unsure": {"drop": 0.15, "low": 0.1, "speed": 10.0},
}
"""``speed``: standard deviation of pixels a frame and axis; pictures have 1280 x 720."""


def scene(seed: int, *, drop: float, low: float, speed: float) -> list[Detections]:
    """250 frames; now and then a box that is nothing."""
    random = np.random.default_rng(seed)
    lives = []
    for _ in range(OBJECTS):
        start, life = int(random.integers(0, 170)), int(random.integers(60, 120))
        velocity, height = random.normal(0, speed, 2), random.uniform(40, 140)
        width = height * random.uniform(0.4, 0.9)
        place = random.uniform([200, 150], [1080, 570]) - velocity * life / 2
        lives.append((start, life, place, velocity, width, height))
    return [_frame(time, lives, random, drop, low) for time in range(250)]


def _frame(
    time: int,
    lives: list[tuple[int, int, np.ndarray, np.ndarray, float, float]],
    random: np.random.Generator,
    drop: float,
    low: float,
) -> Detections:
    boxes, scores = [], []
    for start, life, place, velocity, width, height in lives:
        if not start <= time < start + life or random.random() < drop:
            continue
        x, y = place + velocity * (time - start) + random.normal(0, height * 0.015, 2)
        wide, tall = width * random.normal(1, 0.02), height * random.normal(1, 0.02)
        boxes.append([x - wide / 2, y - tall / 2, x + wide / 2, y + tall / 2])
        scores.append(random.uniform(0.2, 0.5) if random.random() < low else random.uniform(0.55, 0.95))
    if random.random() < 0.05:
        x, y = random.uniform([0, 0], [1280, 720])
        boxes.append([x, y, x + 60, y + 60])
        scores.append(0.55)
    n = len(scores)
    table = np.array(boxes, np.float32).reshape(-1, 4)
    return Detections(table, np.array(scores, np.float32), np.zeros(n, np.int64))


def ours(frames: list[Detections]) -> int:
    tracker = Tracker(fps=25)
    for found in frames:
        tracker.see(found)
    return sum(tracker.counts().values())


def similari(frames: list[Detections], *, overlap: float, noise: float | None = None) -> int:
    """As it counts best: scores of 1 (it multiplies overlaps by them), only sure boxes, three frames."""
    from similari import PositionalMetricType, Sort, Universal2DBox  # noqa: PLC0415

    more = {} if noise is None else {"kalman_position_weight": noise, "kalman_velocity_weight": noise}
    method = PositionalMetricType.iou(overlap)
    sort = Sort(shards=1, bbox_history=1, max_idle_epochs=25, method=method, **more)
    lengths: dict[int, int] = {}
    for found in frames:
        rows = [
            (Universal2DBox.ltwh_with_confidence(float(a), float(b), float(c - a), float(d - b), 1.0), 0)
            for a, b, c, d in found.xyxy[found.score >= 0.5]
        ]
        for track in sort.predict(rows):
            lengths[track.id] = max(lengths.get(track.id, 0), track.length)
    return sum(length >= 3 for length in lengths.values())


def main() -> None:
    ways: dict[str, Callable[[list[Detections]], int]] = {"ours": ours}
    if find_spec("similari") is not None:
        ways["similari, IoU 0.2"] = lambda frames: similari(frames, overlap=0.2)
        ways["similari, IoU 0.1, noise 0.2"] = lambda frames: similari(frames, overlap=0.1, noise=0.2)
    print(f"Mean absolute error of the count of {OBJECTS} objects, 20 scenes of each kind")
    for name, kind in KINDS.items():
        scenes = [scene(seed, **kind) for seed in range(20)]
        found = {
            way: float(np.mean([abs(count(frames) - OBJECTS) for frames in scenes]))
            for way, count in ways.items()
        }
        print(f"{name}: " + ", ".join(f"{way} {error:.2f}" for way, error in found.items()))


if __name__ == "__main__":
    main()
