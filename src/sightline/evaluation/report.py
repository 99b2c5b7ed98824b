"""What an evaluation says, for machines and for people."""

from dataclasses import asdict, dataclass, field
from typing import Any

from sightline.types import ModelRef, Task

_MOST_CROSSED = 20
"""With more classes than these, the confusion matrix is no table that anybody reads."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured share in 0..1, with its 95 % interval where one was computed."""

    value: float
    low: float | None = None
    high: float | None = None

    def __str__(self) -> str:
        text = f"{100 * self.value:.1f}"
        if self.low is None or self.high is None:
            return text
        return f"{text} [{100 * self.low:.1f}, {100 * self.high:.1f}]"


@dataclass(frozen=True, slots=True)
class ClassRow:
    """How one label did."""

    label: str
    count: int
    """Marked objects, or pictures of this class."""
    figures: dict[str, float]


@dataclass(frozen=True, slots=True)
class Report:
    """One model on one data set, through the served pipeline."""

    model: ModelRef
    task: Task
    dataset: str
    pictures: int
    figures: dict[str, Figure]
    classes: tuple[ClassRow, ...] = ()
    confusion: tuple[tuple[int, ...], ...] = ()
    """Classification: rows are truth, columns predictions, in the order of ``classes``."""
    columns: tuple[str, ...] = ()
    """What the columns of ``confusion`` are called, where that is not ``classes`` and "other"."""
    timing_ms: dict[str, float] = field(default_factory=dict)
    """Medians over the pictures."""
    engine: str = ""
    size: int | None = None
    """Side of the square canvas, of models that have several; else None."""
    protocol: dict[str, Any] = field(default_factory=dict)
    """What decides the figures besides the model: thresholds, limits, rounds and seed of the intervals."""

    def to_json(self) -> dict[str, Any]:
        """Plain values, for ``json.dumps``."""
        return asdict(self)

    def table(self) -> str:
        """Markdown: the figures in percent, then one line a label."""
        model = f"{self.model.name}@{self.model.version}" + (f" at {self.size}" if self.size else "")
        lines = [
            f"{model} on {self.dataset}, {self.pictures} pictures, {self.engine}",
            "",
            "| figure | % |",
            "|---|---|",
            *(f"| {name} | {figure} |" for name, figure in self.figures.items()),
        ]
        if self.classes:
            names = list(self.classes[0].figures)
            lines += ["", f"| label | count | {' | '.join(names)} |", "|---|---|" + "---|" * len(names)]
            for row in self.classes:
                values = " | ".join(f"{100 * row.figures[name]:.1f}" for name in names)
                lines.append(f"| {row.label} | {row.count} | {values} |")
        if self.confusion and len(self.classes) <= _MOST_CROSSED:
            lines += ["", *self.crossings()]
        return "\n".join(lines) + "\n"

    def crossings(self) -> list[str]:
        """The confusion matrix as lines of Markdown: a line per truth, a column per first answer."""
        names = [row.label for row in self.classes]
        columns = self.columns or (*names, "other")
        head = f"| truth \\ answer | {' | '.join(columns)} |"
        rows = (
            f"| {name} | {' | '.join(map(str, counts))} |"
            for name, counts in zip(names, self.confusion, strict=True)
        )
        return [head, "|---|" + "---|" * len(columns), *rows]
