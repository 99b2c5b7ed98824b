"""Which box of a frame is the object that a box of an earlier frame was, and how many objects there are.

After ByteTrack (Y. Zhang et al., ECCV 2022): sure boxes are joined to where the known objects should be by
now, then the unsure ones to what is left, so that an object that is half hidden is not lost and counted
twice; only sure boxes begin a new object. Where an object should be is told by a Kalman filter of constant
velocity with the noise of DeepSORT (N. Wojke et al., ICIP 2017): its four numbers (centre, width, height)
move by themselves, so the filter is four small ones. An object that nothing was joined to goes on moving
for a while.

Why not a library: docs/decisions/0005-libraries.md.
"""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from sightline.types import Detections, Float32

Float64 = npt.NDArray[np.float64]
_POSITION: Final = 1 / 20
_VELOCITY: Final = 1 / 160
"""Noise of a frame, in shares of an object's height (DeepSORT's constants)."""


@dataclass(frozen=True, slots=True)
class Rules:
    """When boxes are the same object. Overlaps are intersection over union."""

    sure: float = 0.5
    """Scores from here on begin objects, and are joined first."""
    unsure: float = 0.1
    """Scores below this are not looked at."""
    overlap: float = 0.2
    """Least overlap of a sure box with where an object should be."""
    overlap_unsure: float = 0.5
    """Least overlap of an unsure box."""
    other_label: float = 0.7
    """Least overlap where the labels differ: a van that is called a car for a moment stays one object."""
    lost_s: float = 1.0
    """Seconds without a box after which an object is gone for good."""
    seen: int = 3
    """Frames in which an object must be seen to count."""


@dataclass(slots=True, eq=False)
class Track:
    """One object, as far as it is known."""

    number: int
    """From 1, in the order of their first frames."""
    mean: Float64
    """(2, 4): centre x, y, width, height; and their change in a frame. Pixels."""
    spread: Float64
    """(3, 4): variance of position, covariance, variance of velocity, of each of the four."""
    last: int
    """Frame in which it was seen last."""
    first: int
    hits: int = 1
    scores: dict[int, float] = field(default_factory=dict)
    """Sum of scores under each label id."""

    @property
    def label(self) -> int:
        """The label that it was given most, weighed by score."""
        return max(self.scores, key=lambda label: self.scores[label])

    @property
    def xyxy(self) -> Float64:
        """Where it is, or should be."""
        x, y, width, height = self.mean[0]
        return np.array([x - width / 2, y - height / 2, x + width / 2, y + height / 2])


class Tracker:
    """Takes the boxes of one frame after another."""

    def __init__(self, rules: Rules | None = None, *, fps: float = 25.0) -> None:
        """Begin without objects; ``fps``: frames a second of what will be given."""
        self.rules = rules or Rules()
        self._patience = max(1, round(self.rules.lost_s * fps))
        self._frame = -1
        self._known: list[Track] = []
        self._gone: list[Track] = []
        self._count = 0

    def see(self, found: Detections) -> npt.NDArray[np.int64]:
        """Take the next frame.

        Returns:
            For each box, the number of its object; 0 where it belongs to none (it was too unsure to begin
            one).
        """
        self._frame += 1
        for track in self._known:
            _move(track)
        numbers = np.zeros(len(found), np.int64)
        rules = self.rules
        sure = np.flatnonzero(found.score >= rules.sure)
        unsure = np.flatnonzero((found.score < rules.sure) & (found.score >= rules.unsure))
        free = self._join(self._known, found, sure, rules.overlap, numbers)
        recent = [track for track in free if track.last >= self._frame - 1]
        self._join(recent, found, unsure, rules.overlap_unsure, numbers)
        for row in sure[numbers[sure] == 0]:
            numbers[row] = self._begin(found, int(row)).number
        self._forget()
        return numbers

    def objects(self) -> list[Track]:
        """All objects that were seen in enough frames, in the order of their first."""
        both = [track for track in (*self._gone, *self._known) if track.hits >= self.rules.seen]
        return sorted(both, key=lambda track: track.number)

    def counts(self) -> dict[int, int]:
        """Label id -> how many distinct objects."""
        found: dict[int, int] = {}
        for track in self.objects():
            found[track.label] = found.get(track.label, 0) + 1
        return dict(sorted(found.items()))

    def _join(
        self,
        tracks: list[Track],
        found: Detections,
        rows: npt.NDArray[np.intp],
        least: float,
        numbers: npt.NDArray[np.int64],
    ) -> list[Track]:
        """The best pairs first; the tracks that got none."""
        if not tracks or not len(rows):
            return tracks
        overlap = _overlaps(np.array([track.xyxy for track in tracks]), found.xyxy[rows].astype(np.float64))
        same = np.array([track.label for track in tracks])[:, None] == found.label[rows][None]
        worth = np.where(overlap >= np.where(same, least, self.rules.other_label), overlap + same, -1.0)
        left = set(range(len(tracks)))
        for flat in np.argsort(-worth, axis=None, kind="stable"):
            at, column = divmod(int(flat), len(rows))
            if worth[at, column] < 0:
                break
            row = int(rows[column])
            if at in left and not numbers[row]:
                left.discard(at)
                self._correct(tracks[at], found, row)
                numbers[row] = tracks[at].number
        return [tracks[at] for at in sorted(left)]

    def _begin(self, found: Detections, row: int) -> Track:
        self._count += 1
        box = _centred(found.xyxy[row])
        height = max(float(box[3]), 1.0)
        position, velocity = (2 * _POSITION * height) ** 2, (10 * _VELOCITY * height) ** 2
        spread = np.array([[position] * 4, [0.0] * 4, [velocity] * 4])
        mean = np.stack([box, np.zeros(4)])
        track = Track(self._count, mean, spread, self._frame, self._frame)
        track.scores[int(found.label[row])] = float(found.score[row])
        self._known.append(track)
        return track

    def _correct(self, track: Track, found: Detections, row: int) -> None:
        """Kalman's update, each of the four numbers by itself."""
        noise = (_POSITION * max(float(track.mean[0, 3]), 1.0)) ** 2
        position, both, velocity = track.spread
        gain = position / (position + noise), both / (position + noise)
        off = _centred(found.xyxy[row]) - track.mean[0]
        track.mean = track.mean + np.stack([gain[0] * off, gain[1] * off])
        track.spread = np.stack([(1 - gain[0]) * position, (1 - gain[0]) * both, velocity - gain[1] * both])
        label = int(found.label[row])
        track.scores[label] = track.scores.get(label, 0.0) + float(found.score[row])
        track.last = self._frame
        track.hits += 1

    def _forget(self) -> None:
        """Objects that were seen once and not again were none; others are waited for."""
        kept = []
        for track in self._known:
            patience = self._patience if track.hits >= self.rules.seen else 1
            if self._frame - track.last <= patience:
                kept.append(track)
            else:
                self._gone.append(track)
        self._known = kept


def _move(track: Track) -> None:
    """Kalman's prediction: one frame on."""
    height = max(float(track.mean[0, 3]), 1.0)
    position, both, velocity = track.spread
    track.mean = np.stack([track.mean[0] + track.mean[1], track.mean[1]])
    track.mean[0, 2:] = np.maximum(track.mean[0, 2:], 1.0)
    noise = (_POSITION * height) ** 2, (_VELOCITY * height) ** 2
    track.spread = np.stack([position + 2 * both + velocity + noise[0], both + velocity, velocity + noise[1]])


def _centred(xyxy: Float32) -> Float64:
    x1, y1, x2, y2 = xyxy.astype(np.float64)
    return np.array([(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1])


def _overlaps(first: Float64, second: Float64) -> Float64:
    """(n, 4) and (m, 4) xyxy -> (n, m) intersection over union."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    both = np.prod(np.clip(high - low, 0, None), axis=2)
    areas = [np.prod(np.clip(boxes[:, 2:] - boxes[:, :2], 0, None), axis=1) for boxes in (first, second)]
    union = areas[0][:, None] + areas[1][None] - both
    return np.asarray(np.where(union > 0, both / np.maximum(union, 1e-9), 0.0))
