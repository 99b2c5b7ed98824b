"""The visitor study: nobody, a person or a delivery rider? ``python -m bench.visitors BUNDLE``.

Local only, and nothing of it is shipped: the pictures have no licence. Everything that is chosen (blocks of
features, strength, temperature, threshold of "not sure") is chosen by five folds of the part that is learned
from; what is judged is never asked. Folds never divide a group of near-duplicates.
"""

import argparse
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np
from bench.probe_sets import VISITORS, ProbeSet, seen_of, visitors
from bench.visitor_views import Seen, detect, look

from sightline.evaluation.verdicts import wilson
from sightline.training import linear
from sightline.training.backbone import Backbone
from sightline.types import Float32, Int64

FOLDS = 5
WANTED = 0.97
"""Share of right answers, among those given, for which the threshold of "not sure" is chosen."""
BLOCKS = (
    ("whole",),
    ("whole", "tiles"),
    ("whole", "tiles", "evidence"),
    ("whole", "tiles", "person", "evidence"),
)
STRENGTHS = (0.003, 0.01)
WEIGHTS = (4.0, 12.0)
"""Of the evidence: a few numbers beside thousands of features, under one penalty."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Settings of a head."""

    blocks: tuple[str, ...]
    strength: float
    weight: float


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """A calibrated probe and the probability under which it is not sure."""

    choice: Choice
    probe: linear.Linear
    least: float


CHOICES = [
    Choice(blocks, strength, weight)
    for blocks, strength in product(BLOCKS, STRENGTHS)
    for weight in (WEIGHTS if "evidence" in blocks else (1.0,))
]


def columns(seen: Seen, choice: Choice) -> tuple[Float32, Float32]:
    """(n, numbers): the blocks side by side, and the weight of each column."""
    parts: list[Float32] = [getattr(seen, name) for name in choice.blocks]
    weights = [choice.weight if name == "evidence" else 1.0 for name in choice.blocks]
    each = [np.full(part.shape[1], weight, np.float32) for part, weight in zip(parts, weights, strict=True)]
    return np.concatenate(parts, 1), np.concatenate(each)


def learn(seen: Seen, item: ProbeSet, train: np.ndarray, choices: list[Choice]) -> Head:
    """The head whose probabilities of folds of the rows ``train`` are likeliest; no other row is seen."""
    truth, group = item.truth[train], item.group[train]
    found: list[tuple[float, Choice, np.ndarray, float]] = []
    for choice in choices:
        features, weight = columns(seen, choice)
        held = _held(features[train], weight, truth, group, choice.strength)
        warm = linear.temperature(held, truth)
        calm = linear.warmed(held, warm)
        found.append((linear.surprise(calm, truth), choice, calm, warm))
    _, choice, calm, warm = min(found, key=lambda row: row[0])
    features, weight = columns(seen, choice)
    probe = linear.fit(features[train], truth, len(VISITORS), strength=choice.strength, weight=weight)
    return Head(choice, replace(probe, temperature=warm), threshold(calm, truth))


def _held(features: Float32, weight: Float32, truth: Int64, group: Int64, strength: float) -> np.ndarray:
    def one(train: np.ndarray) -> linear.Linear:
        return linear.fit(features[train], truth[train], len(VISITORS), strength=strength, weight=weight)

    return linear.out_of_fold(one, features, len(VISITORS), linear.folds(group, FOLDS, seed=0))


def threshold(probabilities: np.ndarray, truth: Int64) -> float:
    """The lowest probability above which ``WANTED`` of the answers are right."""
    best, right = probabilities.max(1), probabilities.argmax(1) == truth
    order = np.argsort(-best)
    shares = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    enough = np.flatnonzero(shares >= WANTED)
    return float(best[order[enough[-1]]]) if len(enough) else 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """Answers about rows that were not learned from: ``sure`` where an answer is given."""

    truth: Int64
    group: Int64
    probabilities: np.ndarray
    sure: np.ndarray

    @property
    def answers(self) -> Int64:
        """(n,) class numbers, sure or not."""
        return np.asarray(self.probabilities.argmax(1), np.int64)


def on_val(seen: Seen, item: ProbeSet, choices: list[Choice]) -> tuple[Head, Judged]:
    """Learned from the train part, judged on the val part."""
    head = learn(seen, item, item.train, choices)
    test = ~item.train
    return head, _judge(head, seen, item, test)


def on_folds(seen: Seen, item: ProbeSet, choice: Choice) -> Judged:
    """Five folds of all; weights, temperature and threshold are learned anew inside each."""
    parts, order = [], []
    for train, test in linear.folds(item.group, FOLDS, seed=1):
        parts.append(_judge(learn(seen, item, train, [choice]), seen, item, test))
        order.append(np.flatnonzero(test))
    back = np.argsort(np.concatenate(order))
    probabilities, sure = (
        np.concatenate([getattr(part, name) for part in parts])[back] for name in ("probabilities", "sure")
    )
    return Judged(item.truth, item.group, probabilities, sure)


def _judge(head: Head, seen: Seen, item: ProbeSet, test: np.ndarray) -> Judged:
    probabilities = head.probe.probabilities(columns(seen, head.choice)[0][test])
    return Judged(item.truth[test], item.group[test], probabilities, probabilities.max(1) >= head.least)


def share(right: np.ndarray) -> str:
    """A share with its Wilson interval."""
    low, high = wilson(int(right.sum()), len(right))
    return f"{right.mean():.3f} [{low:.3f}, {high:.3f}]"


def accuracy_row(name: str, judged: Judged) -> str:
    """One line of the table of heads."""
    right = judged.answers == judged.truth
    given = right[judged.sure]
    answered = f"{judged.sure.mean():.2f}"
    said = f"{share(given)}" if len(given) else "-"
    return f"| {name} | {len(right):,} | {share(right)} | {answered} | {said} |"


def confusion_table(judged: Judged) -> str:
    """Rows truth, columns answers; the last column those of the row about which it is not sure."""
    table = linear.confusion(judged.truth, judged.answers, len(VISITORS))
    lines = [f"| truth | {' | '.join(VISITORS)} | not sure (of them) |", "|---|---|---|---|---|"]
    for place, name in enumerate(VISITORS):
        unsure = int((~judged.sure[judged.truth == place]).sum())
        lines.append(f"| {name} | {' | '.join(map(str, table[place]))} | {unsure} |")
    return "\n".join(lines)


def risk_table(judged: Judged) -> str:
    """How often the surest answers are right, by the share of pictures that is answered."""
    order = np.argsort(-judged.probabilities.max(1))
    right = (judged.answers == judged.truth)[order]
    lines = ["| answered | right among them |", "|---|---|"]
    parts = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)
    lines += [f"| {part:.0%} | {share(right[: round(part * len(right))])} |" for part in parts]
    return "\n".join(lines)


def report(seen: Seen, item: ProbeSet) -> str:
    """Everything, as Markdown."""
    lines = [
        "| head | judged | right | answered | right among the answered |",
        "|---|---|---|---|---|",
    ]
    plain = [Choice(("whole",), 0.01, 1.0)]
    best: dict[str, Judged] = {}
    for name, choices in (("whole picture only, C = 0.01", plain), ("chosen by folds of train", CHOICES)):
        head, best["val"] = on_val(seen, item, choices)
        best["folds"] = on_folds(seen, item, head.choice)
        lines += [
            accuracy_row(f"{name}, val", best["val"]),
            accuracy_row(f"{name}, five folds", best["folds"]),
        ]
    chosen = head.choice
    words = (
        f"Chosen on the train part: {' + '.join(chosen.blocks)}, C = {chosen.strength:g}, evidence x "
        f"{chosen.weight:g}, temperature {head.probe.temperature:.2f}; not sure under {head.least:.2f}."
    )
    parts = ["\n".join(lines), words]
    for name, judged in best.items():
        parts += [
            f"Confusion, {name}:",
            confusion_table(judged),
            f"Risk and coverage, {name}:",
            risk_table(judged),
        ]
    return "\n\n".join(parts)


def views(words: argparse.Namespace, item: ProbeSet) -> Seen:
    """Features and evidence."""
    detector, found = detect(words.models, words.detector, item.pictures())
    backbone = Backbone(words.bundle, words.threads)
    own = backbone.manifest
    print(f"Features of {own.name}@{own.version}; people and things found by {detector}.\n")
    seen = look(backbone, item.pictures(), found)
    backbone.close()
    return seen


def main() -> None:
    """Print the study's tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--root", type=Path, default=Path("../shared"))
    parser.add_argument("--detector", default="everyday", help="name of a model, or name@version")
    parser.add_argument(
        "--models", type=Path, default=Path("runs/visitors"), help="folder of imported models"
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seen", type=Path, help="what tools/alike.py prints: the study without these")
    words = parser.parse_args()
    item = visitors(words.root, seen_of(words.seen) if words.seen else ())
    print(report(views(words, item), item))


if __name__ == "__main__":
    main()
