"""When a rule fires: a frozen state and one pure step. No clock, no database, no network."""

from dataclasses import dataclass

from sightline.storage.rule_kept import Condition
from sightline.types import Classification, Detections, Prediction, Result, Segments, Staged


@dataclass(frozen=True, slots=True)
class State:
    """What a rule remembers of one source."""

    recent: tuple[bool, ...] = ()
    """Whether each of the last captures was a hit, the oldest first; at most ``Condition.of`` of them."""
    fired: float | None = None
    """When it last fired (seconds)."""


def step(condition: Condition, quiet_s: float, state: State, *, hit: bool, time: float) -> tuple[State, bool]:
    """One more capture -> the next state, and whether the rule fires now.

    It fires when enough of the last captures are hits and the quiet time is over. Each firing rests on
    captures of its own: afterwards the count begins again. Captures are counted in quiet times too, so a
    visitor who is still there when it ends is told of at once. A clock that was put back ends the quiet
    time rather than making it endless.
    """
    recent = (*state.recent, hit)[-condition.of :]
    quiet = state.fired is not None and 0 <= time - state.fired < quiet_s
    if quiet or sum(recent) < condition.hits:
        return State(recent, state.fired), False
    return State((), time), True


def score(result: Result, what: str) -> float:
    """How strongly a result says ``what``: 0 when it does not.

    Of pipelines, the verdict about the picture counts with the score of the stage that gave it (for "nothing
    there", what is left of the strongest candidate), and the labels of stage one as everywhere. Capitals do
    not matter, and a verdict may be called by its title.
    """
    prediction, wanted = result.prediction, what.casefold()
    if isinstance(prediction, Staged) and wanted in (
        prediction.verdict.casefold(),
        prediction.title.casefold(),
    ):
        first, second = prediction.scores
        return second if second is not None else 1 - (first or 0.0)
    ids = [number for number, label in enumerate(result.labels) if label.casefold() == wanted]
    rows = _rows(prediction)
    pairs = zip(rows.score.tolist(), rows.label.tolist(), strict=True)
    return max((found for found, label in pairs if label in ids), default=0.0)


def _rows(prediction: Prediction) -> Classification | Detections:
    match prediction:
        case Staged(first=rows):
            return rows
        case Segments(detections=found):
            return found
        case Classification() | Detections():
            return prediction
