"""A finished run -> a bundle: ``model.onnx``, ``model.json``, ``CARD.md``."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sightline.errors import ModelRefused, NotFound
from sightline.manifest import Manifest
from sightline.registry import CARD_FILE, MANIFEST_FILE, MODEL_FILE
from sightline.training.averaging import blend
from sightline.training.card import command_of, write_card
from sightline.training.checkpoint import WEIGHTS, fingerprint, read_checkpoint, read_log
from sightline.training.graph import Parity, export_graph, prove
from sightline.training.members import runs_of
from sightline.training.models.together import Together
from sightline.training.packing import pack
from sightline.training.recipe import Recipe, load_recipe
from sightline.training.subjects import subject_of

SIZE_STEP = 32
"""Pixels between the sizes that a graph with free sizes takes."""
_BATCHES = 3
"""How many batches at least the graph is compared on, each of one picture more."""


def export(
    recipe: Path,
    out: Path,
    folder: Path,
    *,
    overrides: Mapping[str, Any] | None = None,
    card: str = "",
    metrics: Mapping[str, Any] | None = None,
) -> Parity:
    """Write the bundle of the run in ``out`` to ``folder``.

    ``recipe`` and ``overrides`` must be those of the run. ``metrics`` go into the manifest as they are;
    without a ``card`` one is written that says what is known without judging the model.

    Raises:
        NotFound: The run is not finished.
        ConfigError: The recipe is off, or the weights are damaged.
        ModelRefused: The weights are another recipe's, or the graph does not compute what torch does.
    """
    plan = load_recipe(recipe, overrides)
    labels = subject_of(plan).labels(plan)
    parity = write_graph(plan, finished(plan, out, labels), folder)
    manifest = manifest_of(plan, labels, dict(metrics or {}))
    command = command_of(recipe, plan, overrides)
    seal(folder, manifest, card or write_card(plan, manifest, read_log(out), (), command=command))
    return parity


def write_graph(plan: Recipe, network: nn.Module, folder: Path) -> Parity:
    """``model.onnx`` alone: any batch size at the recipe's input size, or at each of its sizes."""
    subject = subject_of(plan)
    served = subject.served(plan, network).eval()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / MODEL_FILE
    draw = torch.Generator().manual_seed(0)
    usual = (plan.input.height, plan.input.width)
    sides = [(side, side) for side in plan.input.sizes] or [usual]
    rows = range(max(_BATCHES, len(sides)))
    cases = [torch.rand(n + 1, 3, *sides[n % len(sides)], generator=draw) * 255 for n in rows]
    cases = [_as_seen(case, plan) for case in cases]
    names = (plan.input.tensor or "pixels", subject.outputs(plan))
    export_graph(served, cases[1], path, names=names, step=SIZE_STEP if plan.input.sizes else 0)
    pack(path)
    return prove(served, path, cases)


def _as_seen(pixels: Tensor, plan: Recipe) -> Tensor:
    """Planes of 0..255 as the contract hands them to the network."""
    contract = plan.input
    mean, std = (torch.tensor(values)[:, None, None] for values in (contract.mean, contract.std))
    return (pixels * contract.scale - mean) / std


def finished(plan: Recipe, out: Path, labels: tuple[str, ...]) -> nn.Module:
    """The network of a finished run, or all its networks as one, with averaged weights.

    Each is blended with the start as the recipe says.
    """
    networks = [
        _finished(plan.model_copy(update={"seed": seed}), folder, labels)
        for seed, folder in runs_of(plan, out)
    ]
    return as_served(Together(networks) if len(networks) > 1 else networks[0])


def _finished(plan: Recipe, out: Path, labels: tuple[str, ...]) -> nn.Module:
    path = out / WEIGHTS
    if not path.is_file():
        raise NotFound(
            f"{out} holds no finished run.",
            next_step="Train first: sightline train RECIPE. It trains what is missing.",
        )
    state = read_checkpoint(path)
    if state["recipe"] != fingerprint(plan):
        raise ModelRefused(
            f"{path} was trained by another recipe, or by an earlier form of this one.",
            next_step="Export with the recipe that trained it, or train again.",
        )
    subject = subject_of(plan)
    network = subject.network(plan, labels)
    network.load_state_dict(state["model"])
    if plan.bundle.blend < 1:
        blend(network, subject.network(plan, labels), plan.bundle.blend)
    return network


def as_served(network: nn.Module) -> nn.Module:
    """Evaluation mode, channels first in memory as exported graphs have it."""
    return network.to(memory_format=torch.contiguous_format).eval()


def manifest_of(plan: Recipe, labels: tuple[str, ...], metrics: dict[str, Any]) -> Manifest:
    """The manifest that a recipe promises, without digest and size."""
    words = plan.bundle
    return Manifest(
        name=plan.name,
        version=plan.version,
        title=words.title,
        description=words.description,
        task=subject_of(plan).task(plan),
        labels=labels,
        input=plan.input,
        head=subject_of(plan).head(plan),
        thresholds=words.thresholds,
        licence=words.licence,
        origin=words.origin,
        initialisation=words.initialisation,
        metrics=metrics,
    )


def seal(folder: Path, manifest: Manifest, card: str) -> Manifest:
    """Write ``model.json`` with the digest and size of ``model.onnx``, and the card."""
    data = (folder / MODEL_FILE).read_bytes()
    sealed = manifest.model_copy(update={"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)})
    (folder / MANIFEST_FILE).write_text(sealed.model_dump_json(indent=2) + "\n", encoding="utf-8")
    if card:
        (folder / CARD_FILE).write_text(card, encoding="utf-8")
    return sealed
