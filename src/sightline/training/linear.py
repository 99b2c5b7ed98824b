"""Linear probes: multinomial logistic regression on frozen features, and how sure its figures are."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional as F  # noqa: N812 - its usual name

from sightline.types import Bool, Float32, Int64

ROUNDS = 10_000
"""Of the bootstrap."""


@dataclass(frozen=True, slots=True, eq=False)
class Linear:
    """Standardise, multiply, add: ``weights`` (features, classes), ``bias`` (classes,), float64."""

    mean: Float32
    spread: Float32
    weights: np.ndarray
    bias: np.ndarray
    temperature: float = 1.0

    def probabilities(self, features: Float32) -> np.ndarray:
        """(n, features) -> (n, classes), float64."""
        logits = ((features - self.mean) / self.spread) @ self.weights + self.bias
        grown = np.exp((logits - logits.max(1, keepdims=True)) / self.temperature)
        return np.asarray(grown / grown.sum(1, keepdims=True))

    def answers(self, features: Float32) -> Int64:
        """(n, features) -> (n,) class numbers."""
        return np.asarray(self.probabilities(features).argmax(1), np.int64)


def fit(
    features: Float32, truth: Int64, classes: int, *, strength: float = 0.01, weight: Float32 | None = None
) -> Linear:
    """Minimise ``strength`` * sum of cross entropies + half the squared weights, as in scikit-learn (``C``).

    Args:
        features: (n, features).
        truth: (n,) class numbers.
        classes: How many there are.
        strength: The larger, the closer to the data.
        weight: (features,) factors of the standardised columns: what has more is bent less; None: 1.
    """
    mean, spread = features.mean(0), (features.std(0) + np.float32(1e-6)) / (1 if weight is None else weight)
    seen = torch.from_numpy((features - mean) / spread).double()
    wanted = torch.from_numpy(truth)
    weights = torch.zeros(features.shape[1], classes, dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(classes, dtype=torch.float64, requires_grad=True)
    steps = torch.optim.LBFGS(
        [weights, bias],
        max_iter=500,
        tolerance_grad=1e-6,
        tolerance_change=1e-10,
        line_search_fn="strong_wolfe",
    )

    def loss() -> torch.Tensor:
        steps.zero_grad()
        apart = F.cross_entropy(seen @ weights + bias, wanted, reduction="sum")
        value = strength * apart + 0.5 * weights.square().sum()
        value.backward()
        return value

    steps.step(loss)
    return Linear(mean, spread, weights.detach().numpy(), bias.detach().numpy())


def folds(groups: Int64, count: int, seed: int) -> Iterator[tuple[Bool, Bool]]:
    """(train, test) rows of each fold; a group is never divided."""
    names = np.unique(groups)
    place = np.random.default_rng(seed).permutation(len(names)) % count
    fold = place[np.searchsorted(names, groups)]
    for number in range(count):
        yield fold != number, fold == number


def out_of_fold(
    learn: Callable[[Bool], Linear], features: Float32, classes: int, parts: Iterator[tuple[Bool, Bool]]
) -> np.ndarray:
    """(n, classes) probabilities of each row by a probe that has not seen its fold."""
    found = np.zeros((len(features), classes))
    for train, test in parts:
        found[test] = learn(train).probabilities(features[test])
    return found


def temperature(held: np.ndarray, truth: Int64) -> float:
    """Under which ``held`` (n, classes), probabilities of rows that were not learned from, are likeliest.

    Guo et al., "On Calibration of Modern Neural Networks" (arXiv 1706.04599), on a grid of 81 values.
    """
    return float(min(np.exp(np.linspace(-2, 2, 81)), key=lambda warm: surprise(warmed(held, warm), truth)))


def warmed(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """(n, classes) as if the logits had been divided by ``temperature``."""
    powers = np.maximum(probabilities, 1e-12) ** (1 / temperature)
    return np.asarray(powers / powers.sum(1, keepdims=True))


def surprise(probabilities: np.ndarray, truth: Int64) -> float:
    """Mean negative logarithm of what the truth was given."""
    return float(-np.log(np.maximum(probabilities[np.arange(len(truth)), truth], 1e-12)).mean())


def difference(
    ours: Bool, theirs: Bool, groups: Int64 | None = None, *, seed: int = 0
) -> tuple[float, float, float]:
    """Mean of ``ours - theirs`` on the same rows, its 95 % bootstrap interval; ``groups`` are drawn whole."""
    gain = ours.astype(np.float64) - theirs
    names, group = np.unique(np.arange(len(gain)) if groups is None else groups, return_inverse=True)
    total, size = np.bincount(group, gain), np.bincount(group)
    draw = np.random.default_rng(seed)
    means = []
    for _ in range(ROUNDS):
        drawn = draw.integers(0, len(names), len(names))
        means.append(total[drawn].sum() / size[drawn].sum())
    low, high = np.percentile(means, [2.5, 97.5])
    return float(gain.mean()), float(low), float(high)


def confusion(truth: Int64, answers: Int64, classes: int) -> Int64:
    """(classes, classes): rows truth, columns answers."""
    table = np.zeros((classes, classes), np.int64)
    np.add.at(table, (truth, answers), 1)
    return table
