"""From a finished run to a bundle that can be believed: export, judge by the served road, write the card.

The start is judged in the same run, on the same pictures, by the same code.
"""

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from sightline.evaluation import Report, Rules, evaluate
from sightline.manifest import Manifest
from sightline.registry import MODEL_FILE, Registry, read_bundle
from sightline.serving.road import Road
from sightline.settings import load_settings
from sightline.training.card import Judgement, command_of, metrics_of, write_card
from sightline.training.checkpoint import read_log
from sightline.training.export import as_served, export, manifest_of, seal, write_graph
from sightline.training.recipe import Recipe, load_recipe
from sightline.training.subjects import subject_of


def release(
    recipe: Path,
    out: Path,
    folder: Path,
    sets: Sequence[Path],
    *,
    overrides: Mapping[str, Any] | None = None,
    rules: Rules | None = None,
) -> list[Judgement]:
    """Write the bundle of the run in ``out`` to ``folder``, with measured metrics and a full card.

    Args:
        recipe: The run's recipe.
        out: The run.
        folder: Where the bundle goes.
        sets: Data sets to judge on, none of which was trained on; the first one gives the per-label table.
        overrides: The run's overrides.
        rules: How to judge.

    Raises:
        SightlineError: As ``export`` and ``evaluate``.
    """
    plan = load_recipe(recipe, overrides)
    export(recipe, out, folder, overrides=overrides)
    manifest = read_bundle(folder).manifest
    with tempfile.TemporaryDirectory(prefix="sightline-release-") as place:
        bundles = {manifest.name: _renamed(folder, manifest, Path(place) / "candidate")}
        if subject_of(plan).start(plan):
            bundles["the start"] = _start(plan, manifest.labels, Path(place) / "start")
        judged = [
            Judgement(name, report)
            for place_in_list, path in enumerate(sets)
            for size in _sizes(plan, everything=place_in_list == 0)
            for name, report in _judge(bundles, path, Path(place), replace(rules or Rules(), size=size))
        ]
    ours = [item.report for item in judged if item.model == manifest.name]
    complete = manifest.model_copy(update={"metrics": metrics_of(ours)})
    command = command_of(recipe, plan, overrides, sets)
    seal(folder, complete, write_card(plan, complete, read_log(out), judged, command=command))
    return judged


def _sizes(plan: Recipe, *, everything: bool) -> tuple[int | None, ...]:
    """The usual size first; all of them on the first set."""
    usual = plan.input.width
    return (
        (usual, *(size for size in plan.input.sizes if size != usual and everything))
        if plan.input.sizes
        else (None,)
    )


def _renamed(folder: Path, manifest: Manifest, copy: Path) -> Path:
    """A copy under another name: the version to be replaced may be bundled, and must not be in the way."""
    copy.mkdir()
    shutil.copyfile(folder / MODEL_FILE, copy / MODEL_FILE)
    seal(copy, manifest.model_copy(update={"name": "candidate"}), "")
    return copy


def _start(plan: Recipe, labels: tuple[str, ...], folder: Path) -> Path:
    write_graph(plan, as_served(subject_of(plan).network(plan, labels)), folder)
    seal(folder, manifest_of(plan, labels, {}).model_copy(update={"name": "start"}), "")
    return folder


def _judge(
    bundles: Mapping[str, Path], path: Path, place: Path, rules: Rules
) -> Iterator[tuple[str, Report]]:
    for name, folder in bundles.items():
        with _road(place, folder) as (road, reference):
            yield name, evaluate(road, reference, path, rules=rules)


@contextmanager
def _road(place: Path, folder: Path) -> Iterator[tuple[Road, str]]:
    settings = load_settings(
        {"data_dir": str(place), "engine": "onnxruntime", "precision": "fp32"}, environment={}
    )
    reference = Registry(settings).add(folder).reference
    with Road.open(settings) as road:
        yield road, reference
