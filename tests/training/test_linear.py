"""The probe and its intervals."""

import numpy as np
import pytest

from sightline.training import linear

pytestmark = pytest.mark.train


def blobs(count: int = 90, noise: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """Three heaps in five columns; the last two columns are noise."""
    draw = np.random.default_rng(0)
    truth = np.arange(count) % 3
    features = draw.normal(0, noise, (count, 5))
    features[np.arange(count), truth] += 3
    return features.astype(np.float32), truth


def test_heaps_are_told_apart() -> None:
    features, truth = blobs()
    probe = linear.fit(features[::2], truth[::2], 3, strength=1.0)
    assert (probe.answers(features[1::2]) == truth[1::2]).all()
    assert probe.probabilities(features).sum(1) == pytest.approx(np.ones(90))


def test_the_optimum_is_one() -> None:
    """At the minimum of C * sum of cross entropies + half the squares the gradient is nought."""
    features, truth = blobs(noise=2.0)
    probe = linear.fit(features, truth, 3, strength=0.1)
    seen = (features - probe.mean) / probe.spread
    wrong = probe.probabilities(features) - np.eye(3)[truth]
    np.testing.assert_allclose(0.1 * seen.T @ wrong + probe.weights, 0, atol=1e-4)
    np.testing.assert_allclose(wrong.sum(0), 0, atol=1e-3)


def test_what_weighs_more_is_bent_less() -> None:
    features, truth = blobs(noise=2.0)
    plain, heavy = (
        linear.fit(features, truth, 3, strength=0.01, weight=np.array([w, w, w, 1, 1], np.float32))
        for w in (1.0, 10.0)
    )
    assert linear.surprise(heavy.probabilities(features), truth) < linear.surprise(
        plain.probabilities(features), truth
    )


def test_folds_never_divide_a_group() -> None:
    groups = np.repeat(np.arange(20), 3)
    seen = np.zeros(60, int)
    for train, test in linear.folds(groups, 5, seed=0):
        assert not set(groups[train]) & set(groups[test])
        assert (train != test).all()
        seen += test
    assert (seen == 1).all()


def test_out_of_fold_rows_were_not_learned_from() -> None:
    features, truth = blobs()
    features[7] = 100.0  # an outlier that a probe would learn by heart
    learned: list[np.ndarray] = []

    def learn(train: np.ndarray) -> linear.Linear:
        learned.append(train)
        return linear.fit(features[train], truth[train], 3)

    found = linear.out_of_fold(learn, features, 3, linear.folds(np.arange(90), 5, seed=0))
    assert found.sum(1) == pytest.approx(np.ones(90))
    assert sum(not train[7] for train in learned) == 1


def test_the_temperature_heals_too_sure_a_head() -> None:
    draw = np.random.default_rng(0)
    wanted = draw.dirichlet((1, 1, 1), 4000)
    truth = np.array([draw.choice(3, p=row) for row in wanted])
    too_sure = linear.warmed(wanted, 0.5)
    assert linear.temperature(too_sure, truth) == pytest.approx(2.0, rel=0.1)
    np.testing.assert_allclose(linear.warmed(too_sure, 2.0), wanted, atol=1e-6)


def test_groups_widen_the_interval_of_a_difference() -> None:
    draw = np.random.default_rng(1)
    theirs = draw.random(200) < 0.5
    ours = np.repeat(draw.random(20) < 0.7, 10)
    value, low, high = linear.difference(ours, theirs)
    same, wider_low, wider_high = linear.difference(ours, theirs, np.repeat(np.arange(20), 10))
    assert value == same == pytest.approx(ours.mean() - theirs.mean())
    assert wider_low < low < value < high < wider_high


def test_confusion() -> None:
    table = linear.confusion(np.array([0, 0, 1]), np.array([0, 1, 1]), 2)
    assert table.tolist() == [[1, 1], [0, 1]]
