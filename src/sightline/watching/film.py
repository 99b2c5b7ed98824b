"""A video -> the same video with everything drawn on it, what was in each frame, and how many objects there
were.

Frames are looked at side by side and come back in order; tracking, drawing and writing follow in that
order, and the film is encoded in a thread of its own.
"""

import csv
import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, TextIO

import numpy as np
from PIL import Image

from sightline.formats import native
from sightline.formats.selection import taken
from sightline.serving.parallel import in_order
from sightline.serving.road import Road
from sightline.types import Ask, Detections, Frame, Mask, Prediction, Result, Segments, Staged, UInt8
from sightline.vision import annotate
from sightline.watching.capture import Capture, Clip
from sightline.watching.shot import Shot
from sightline.watching.source import Source
from sightline.watching.tracking import Rules, Tracker
from sightline.watching.writer import SIDE, Film, fitted

COLUMNS: Final = ("frame", "time_s", "object", "label", "score", "x1", "y1", "x2", "y2", "verdict")
_SIDES: Final = ("x1", "y1", "x2", "y2")
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
Tell = Callable[[int, int], None]
"""How many frames are done, of how many (0: the file does not say). What it raises ends the work."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be made of a video."""

    model: str | None = None
    ask: Ask = field(default_factory=Ask)
    pace_s: float = 0.0
    """Seconds between two frames that are looked at; 0: all. The film has only those."""
    side: int = SIDE
    """Longest side of the film; 0: no film."""


@dataclass(frozen=True, slots=True)
class Made:
    """What came of it. The files lie in the folder that was given."""

    frames: int
    seconds: float
    width: int
    height: int
    fps: float
    counts: dict[str, int]
    """Distinct objects of each label; of classifiers, frames."""
    verdicts: dict[str, int]
    """Of pipelines: frames of each verdict."""
    objects: list[dict[str, Any]]
    """Each with ``object``, ``label``, ``first``, ``last`` (seconds) and ``frames``."""
    film: Path | None
    table: Path
    lines: Path
    poster: UInt8
    """The drawn frame with the most objects, (h, w, 3) RGB."""


def make(road: Road, source: Source, folder: Path, wish: Wish, tell: Tell) -> Made:
    """Look at a whole video.

    Args:
        road: Looks at the frames.
        source: A file.
        folder: Where ``film.webm``, ``objects.csv`` and ``frames.jsonl`` are written.
        wish: What is wanted.
        tell: Hears of progress after each frame.

    Raises:
        NotAPicture: It is no video that can be read.
        SightlineError: Whatever the road has against the model or the wish.
    """
    least = _least(road, wish)
    with ExitStack() as stack:
        eye = Capture(source, road.settings, wish.pace_s)
        stack.callback(eye.close)
        clip = eye.about()
        fps = 1 / wish.pace_s if wish.pace_s else clip.fps or 25.0
        desk = _Desk(stack, folder, wish, fps, least, _frames(clip, wish))
        threads = road.settings.decoder_count + 1

        def look(shot: Shot) -> Result:
            ask = replace(wish.ask, min_score=min(least, Rules().unsure), masks_later=True)
            return road.predict(shot.picture, source=source.shown, model=wish.model, ask=ask)

        answers = in_order(_shots(eye), look, threads=threads, window=2 * threads)
        with closing(answers):
            for shot, result in answers:
                desk.take(shot, result)
                tell(desk.count, desk.total)
    return desk.made(clip)


def _least(road: Road, wish: Wish) -> float:
    """The score from which on things count: what was asked for, or the model's own."""
    if wish.ask.min_score is not None:
        return wish.ask.min_score
    return road.registry.resolve(wish.model).manifest.thresholds.min_score


def _frames(clip: Clip, wish: Wish) -> int:
    if not wish.pace_s or not clip.fps:
        return clip.frames
    return int(clip.frames / clip.fps / wish.pace_s) + 1 if clip.frames else 0


def _shots(eye: Capture) -> Iterator[Shot]:
    while (shot := eye.look()) is not None:
        yield shot


class _Desk:
    """Takes frames with their answers in order, and writes everything down."""

    def __init__(
        self, stack: ExitStack, folder: Path, wish: Wish, fps: float, least: float, total: int
    ) -> None:
        self._stack, self._folder, self._wish, self._fps, self._least = stack, folder, wish, fps, least
        self.total, self.count, self._last = total, 0, 0.0
        self._tracker = Tracker(Rules(sure=least), fps=fps)
        self._times: dict[int, list[float]] = {}
        self._labels: tuple[str, ...] = ()
        self._tops: Counter[str] = Counter()
        self._verdicts: Counter[str] = Counter()
        self._film: Film | None = None
        self._poster: tuple[int, UInt8] | None = None
        opened = (folder / "objects.csv").open("w", encoding="utf-8", newline="")
        self._csv = csv.writer(stack.enter_context(opened))
        self._csv.writerow(COLUMNS)
        self._lines: TextIO = stack.enter_context((folder / "frames.jsonl").open("w", encoding="utf-8"))

    def take(self, shot: Shot, result: Result) -> None:
        assert isinstance(shot.picture, Frame)
        self._labels = result.labels
        shown, numbers = self._tracked(result)
        rows = native.plain(shown)
        for row, number in zip(rows, numbers, strict=True):
            if number:
                row["object"] = number
                self._times.setdefault(number, []).append(shot.time_s)
        self._write(shot, shown, rows)
        if self._wish.side:
            self._draw(shot.picture.pixels, shown, numbers)
        self.count += 1
        self._last = shot.time_s

    def _tracked(self, result: Result) -> tuple[Result, list[int]]:
        """What is sure, or belongs to an object that is known; and the objects' numbers."""
        boxes = _boxes(result.prediction)
        if boxes is None:
            rows = native.plain(result)
            sure = np.array([row["score"] >= self._least for row in rows], bool)
            self._tops.update([row["label"] for row in rows[:1] if sure[0]])
            return taken(result, sure), [0] * int(sure.sum())
        numbers = self._tracker.see(boxes)
        kept = np.asarray((boxes.score >= self._least) | (numbers > 0))
        return taken(result, kept), [int(number) for number in numbers[kept]]

    def _write(self, shot: Shot, shown: Result, rows: list[dict[str, Any]]) -> None:
        body: dict[str, Any] = {"frame": shot.index, "time_s": round(shot.time_s, 3), "predictions": rows}
        if isinstance(shown.prediction, Staged):
            body["verdict"] = shown.prediction.verdict
            self._verdicts[shown.prediction.verdict] += 1
        self._lines.write(json.dumps(body, ensure_ascii=False, separators=(",", ":")) + "\n")
        for row in rows:
            box = [row.get("box", {}).get(side, "") for side in _SIDES]
            label = f"'{row['label']}" if row["label"].startswith(_FORMULA) else row["label"]
            cells = [shot.index, body["time_s"], row.get("object", ""), label, row["score"], *box]
            self._csv.writerow([*cells, row.get("verdict", "")])

    def _draw(self, pixels: UInt8, shown: Result, numbers: list[int]) -> None:
        height, width = pixels.shape[:2]
        if self._film is None:
            size = fitted(width, height, self._wish.side)
            self._film = self._stack.enter_context(Film(self._folder / "film.webm", size, self._fps))
        image = Image.fromarray(pixels).resize(self._film.size, Image.Resampling.BILINEAR, reducing_gap=2.0)
        small = scaled(shown, self._film.size[0] / width, self._film.size[1] / height)
        notes = tuple(f"#{number}" if number else "" for number in numbers) if any(numbers) else ()
        annotate.paint(image, small, notes)
        drawn = np.asarray(image)
        if self._poster is None or len(numbers) > self._poster[0]:
            self._poster = (len(numbers), drawn)
        self._film.add(drawn)

    def made(self, clip: Clip) -> Made:
        objects = self._tracker.objects()
        counts = {self._labels[label]: count for label, count in self._tracker.counts().items()}
        poster = self._poster[1] if self._poster else np.zeros((2, 2, 3), np.uint8)
        return Made(
            frames=self.count,
            seconds=round(self._last + 1 / self._fps, 3),
            width=clip.width,
            height=clip.height,
            fps=round(self._fps, 3),
            counts=counts or dict(self._tops),
            verdicts=dict(self._verdicts),
            objects=[
                {
                    "object": track.number,
                    "label": self._labels[track.label],
                    "first": round(self._times[track.number][0], 3),
                    "last": round(self._times[track.number][-1], 3),
                    "frames": track.hits,
                }
                for track in objects
            ],
            film=self._folder / "film.webm" if self._film else None,
            table=self._folder / "objects.csv",
            lines=self._folder / "frames.jsonl",
            poster=poster,
        )


def _boxes(prediction: Prediction) -> Detections | None:
    match prediction:
        case Detections():
            return prediction
        case Segments():
            return prediction.detections
        case Staged(first=Detections() as first):
            return first
    return None


def scaled(result: Result, x: float, y: float) -> Result:
    """The result as of the same picture of another size."""
    factor = np.array([x, y, x, y], np.float32)
    found = result.prediction
    match found:
        case Detections():
            small: Prediction = replace(found, xyxy=found.xyxy * factor)
        case Segments():
            boxes = replace(found.detections, xyxy=found.detections.xyxy * factor)
            small = Segments(boxes, tuple(_shrunk(mask, x, y) for mask in found.masks))
        case Staged(first=Detections() as first):
            small = replace(found, first=replace(first, xyxy=first.xyxy * factor))
        case _:
            small = found
    return replace(result, prediction=small, width=round(result.width * x), height=round(result.height * y))


def _shrunk(mask: Mask, x: float, y: float) -> Mask:
    height, width = mask.bits.shape
    if not height or not width:
        return mask
    size = (max(1, round(width * x)), max(1, round(height * y)))
    bits = np.asarray(Image.fromarray(mask.bits).resize(size, Image.Resampling.NEAREST))
    return Mask(bits, round(mask.left * x), round(mask.top * y))
