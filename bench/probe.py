"""Linear probes on the features of a bundle, beside those of its start: ``python -m bench.probe BUNDLE``.

Both are run as they are served, on the same pictures in one run. The probe is that of the shared baselines:
standardised features, multinomial logistic regression, C = 0.01. Shares have Wilson intervals; differences
are paired, with bootstrap intervals over pictures (of near-duplicates and of one photograph: drawn together).
"""

import argparse
import json
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from bench.probe_sets import ProbeSet, animals, cifar10, seen_of, visitors

from sightline.evaluation.verdicts import wilson
from sightline.registry import MANIFEST_FILE, read_bundle
from sightline.training import linear
from sightline.training.backbone import Backbone
from sightline.training.card import write_card
from sightline.training.checkpoint import read_log
from sightline.training.export import as_served, manifest_of, seal, write_graph
from sightline.training.recipe import load_recipe
from sightline.training.recipe_form import Recipe
from sightline.training.subjects import subject_of
from sightline.types import Float32


@dataclass(frozen=True, slots=True)
class Row:
    """One probe, in shares of 1."""

    data: str
    judged: int
    start: float
    start_interval: tuple[float, float]
    ours: float
    ours_interval: tuple[float, float]
    gain: float
    gain_interval: tuple[float, float]


def rows(item: ProbeSet, start: Float32, ours: Float32) -> Iterator[Row]:
    """From the train part to the rest; where the set says so also five folds of all, by group."""
    test = ~item.train
    yield _row(item.said, item, test, *(_learned(item, features) for features in (start, ours)))
    if item.folded:
        every = np.ones(len(item.truth), bool)
        yield _row(item.folded, item, every, *(_folded(item, features) for features in (start, ours)))


def _learned(item: ProbeSet, features: Float32) -> np.ndarray:
    probe = linear.fit(features[item.train], item.truth[item.train], len(item.classes))
    return np.asarray(probe.answers(features))


def _folded(item: ProbeSet, features: Float32) -> np.ndarray:
    def learn(train: np.ndarray) -> linear.Linear:
        return linear.fit(features[train], item.truth[train], len(item.classes))

    parts = linear.folds(item.group, 5, seed=0)
    held = linear.out_of_fold(learn, features, len(item.classes), parts)
    return np.asarray(held.argmax(1))


def _row(said: str, item: ProbeSet, judged: np.ndarray, start: np.ndarray, ours: np.ndarray) -> Row:
    right = [(answers == item.truth)[judged] for answers in (start, ours)]
    count = int(judged.sum())
    gain, low, high = linear.difference(right[1], right[0], item.group[judged])
    first, second = (wilson(int(part.sum()), count) for part in right)
    return Row(said, count, right[0].mean(), first, right[1].mean(), second, gain, (low, high))


def table(found: list[Row]) -> str:
    """Markdown, in percent."""
    lines = ["| linear probe on | judged | the start | this model | difference |", "|---|---|---|---|---|"]
    for row in found:
        cells = [
            f"{100 * value:{sign}.1f} [{100 * low:{sign}.1f}, {100 * high:{sign}.1f}]"
            for value, (low, high), sign in (
                (row.start, row.start_interval, ""),
                (row.ours, row.ours_interval, ""),
                (row.gain, row.gain_interval, "+"),
            )
        ]
        lines.append(f"| {row.data} | {row.judged:,} | {' | '.join(cells)} |")
    return "\n".join(lines)


def features_of(folder: Path, item: ProbeSet, cache: Path | None, threads: int) -> Float32:
    """(n, features), kept in ``cache`` under the digest of the model and the name of the set."""
    digest = read_bundle(folder).manifest.sha256[:16]
    kept = cache / f"{digest}-{item.name}-{len(item.truth)}.npy" if cache else None
    if kept and kept.is_file():
        return np.asarray(np.load(kept), np.float32)
    backbone = Backbone(folder, threads)
    found = backbone.features(item.pictures())
    backbone.close()
    if kept:
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.save(kept, found)
    return found


def start_of(plan: Recipe, folder: Path) -> Path:
    """The bundle of a recipe's start."""
    labels = subject_of(plan).labels(plan)
    write_graph(plan, as_served(subject_of(plan).network(plan, labels)), folder)
    seal(folder, manifest_of(plan, labels, {}).model_copy(update={"name": "start"}), "")
    return folder


def probe(folder: Path, plan: Recipe, sets: list[ProbeSet], cache: Path | None, threads: int) -> list[Row]:
    """All rows."""
    with tempfile.TemporaryDirectory(prefix="sightline-probe-") as place:
        start = start_of(plan, Path(place))
        return [
            row
            for item in sets
            for row in rows(item, *(features_of(one, item, cache, threads) for one in (start, folder)))
        ]


def main() -> None:
    """Print the table; with ``--run`` also write it into the bundle's card and manifest."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--recipe", type=Path, default=Path("features"))
    parser.add_argument("--root", type=Path, default=Path("../shared"))
    parser.add_argument("--each", type=int, default=400, help="animals per class and part")
    parser.add_argument("--cifar", type=int, default=10_000, help="pictures of each part of CIFAR-10")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--cache", type=Path, help="folder that keeps features between runs")
    parser.add_argument(
        "--run", type=Path, help="the run of the bundle: write its card, metrics into model.json"
    )
    parser.add_argument("--seen", type=Path, help="what tools/alike.py prints: visitors alone, without them")
    words = parser.parse_args()
    plan = load_recipe(words.recipe)
    if words.seen:
        sets = [visitors(words.root, seen_of(words.seen))]
    else:
        sets = [
            visitors(words.root),
            animals(words.root, words.each),
            cifar10(words.root, words.cifar, words.cifar),
        ]
    found = probe(words.bundle, plan, sets, words.cache, words.threads)
    print(table(found))
    if words.run:
        complete(words.bundle, plan, words.run, found)


def complete(folder: Path, plan: Recipe, run: Path, found: list[Row]) -> None:
    """Seal the bundle again with what was measured."""
    manifest = read_bundle(folder).manifest
    metrics = {"probes": [json.loads(json.dumps(asdict(row))) for row in found]}
    full = manifest.model_copy(update={"metrics": metrics})
    said = "Linear probes on frozen features (`python -m bench.probe`), in percent, with 95 % intervals."
    seal(folder, full, write_card(plan, full, read_log(run), (), measured=f"{said}\n\n{table(found)}"))
    assert (folder / MANIFEST_FILE).is_file()


if __name__ == "__main__":
    main()
