"""The card of a model: what it is, where it comes from, how good it is, what it cannot do."""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sightline.evaluation import Report
from sightline.manifest import Manifest
from sightline.training.machine import machine
from sightline.training.recipe import Recipe
from sightline.training.subjects import subject_of

_SHOWN = (
    *("AP", "AP50", "AP75", "AR100", "AP_small", "AP_medium", "AP_large", "mask_AP", "mask_AP50"),
    *("top1", "top5"),
)
_BY_CLASS = ("", ".")
_BY_BOX = (
    " (boxes by the reference COCO implementation)",
    "; those of AP lean upwards, so compare models on the same pictures only.",
)
"""Who judges, and what to know about the intervals."""
_OPTIMISERS = {"adamw": "AdamW", "muon": "Muon for kernels, Nesterov momentum for the rest"}


@dataclass(frozen=True, slots=True)
class Judgement:
    """One model on one data set; ``model`` is what the card calls it."""

    model: str
    report: Report


def write_card(
    plan: Recipe,
    manifest: Manifest,
    log: Sequence[Mapping[str, Any]],
    judged: Sequence[Judgement],
    *,
    command: str = "",
    measured: str = "",
) -> str:
    """Markdown. Every figure in it was measured; nothing is said that is not known.

    ``command`` is what made the model, see `command_of`; without it the shipped recipe of this name did.
    ``measured`` stands in for the figures of ``judged`` where a task is judged in another way.
    """
    parts = (
        f"# {manifest.title or manifest.name}, version {manifest.version}",
        manifest.description or f"A model for the task {manifest.task!r}.",
        _what(plan, manifest),
        "## Data\n\n" + _list(plan.bundle.data, "The recipe does not describe its data."),
        "## Training\n\n" + _training(plan, manifest, log, command),
        "## Measured\n\n" + (measured or _measured(judged)),
        *_notes(plan),
        "## Limits\n\n" + _list(plan.bundle.limits, "Nobody has written down its limits yet."),
    )
    return "\n\n".join(parts) + "\n"


def command_of(
    recipe: Path, plan: Recipe, overrides: Mapping[str, Any] | None = None, sets: Sequence[Path] = ()
) -> str:
    """The command that makes the model and measures it, as somebody else can type it.

    A card tells nobody how the folders of this machine are called: of a whole path only what lies inside the
    recipe's data folder is told, else the last name, and where that folder lay is left out.
    """
    words = ["sightline", "train", _place(recipe, plan)]
    for key, value in (overrides or {}).items():
        if key != "data.root":
            words += ["--change", f"{key}={_toml(value, plan)}"]
    for path in sets:
        words += ["--judge", _place(path, plan)]
    return shlex.join(words)


def metrics_of(reports: Sequence[Report]) -> dict[str, Any]:
    """What the manifest keeps: the figures of the first report, those of the others under ``also``."""
    tables = [
        {"data": report.dataset, "pictures": report.pictures}
        | ({"size": report.size} if report.size else {})
        | {
            name.lower(): {"value": round(figure.value, 6)}
            | (
                {}
                if figure.low is None
                else {"interval": [round(figure.low, 6), round(figure.high or 0.0, 6)]}
            )
            for name, figure in report.figures.items()
        }
        for report in reports
    ]
    return (tables[0] | ({"also": tables[1:]} if tables[1:] else {})) if tables else {}


def _what(plan: Recipe, manifest: Manifest) -> str:
    return _list(
        (
            f"Task: {manifest.task}, {len(manifest.labels)} labels.",
            f"Input: {plan.input.color}, {plan.input.width} x {plan.input.height}, {plan.input.resize}"
            + (f"; also {', '.join(map(str, plan.input.sizes))} square" if plan.input.sizes else "")
            + "".join(f"; at {side} it looks once more at {side // 2}" for side in plan.input.half_looks)
            + ".",
            f"Licence of the weights: {manifest.licence}.",
            f"Start: {manifest.initialisation}.",
            f"Origin: {manifest.origin or 'trained by Sightline'}.",
        ),
        "",
    )


def _place(path: Path, plan: Recipe) -> str:
    if not path.is_absolute():
        return str(path)
    root = Path(plan.data.root)
    if not path.resolve().is_relative_to(root.resolve()):
        return path.name
    inside = path.resolve().relative_to(root.resolve())
    return str(inside if root.is_absolute() else root / inside)


def _toml(value: Any, plan: Recipe) -> str:
    """A value as ``--change`` reads it."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} = {_toml(item, plan)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(item, plan) for item in value) + "]"
    if isinstance(value, str):
        return json.dumps(_place(Path(value), plan) if value.startswith("/") else value, ensure_ascii=False)
    return json.dumps(value)


def _training(plan: Recipe, manifest: Manifest, log: Sequence[Mapping[str, Any]], command: str) -> str:
    options = plan.optimiser
    hours = sum(float(record["seconds"]) for record in log) / 3600
    unit = " of each tensor's size" if options.relative else ""
    epochs = f"{options.stop} of {options.epochs}" if options.stop else f"{options.epochs}"
    lines = [
        f"Command: `{command or f'sightline train {manifest.name}'}` (seed {plan.seed}).",
        f"{epochs} epochs, batches of {options.batch}, peak rate {options.rate:g}{unit}, cosine.",
        f"Optimiser: {_OPTIMISERS[options.kind]}.",
        f"Weights averaged over time ({options.average:g}).",
        f"Loss: {subject_of(plan).loss(plan)}.",
    ]
    if plan.bundle.members > 1:
        seeds = f"{plan.seed} to {plan.seed + plan.bundle.members - 1}"
        lines.append(
            f"{plan.bundle.members} networks of seeds {seeds} answer together (their mean counts), "
            "each trained so by itself; hours are of all."
        )
    if plan.bundle.bits < 16:
        lines.append(f"Kernels are kept in {plan.bundle.bits} bits, with a scale for each channel.")
    if plan.bundle.blend < 1:
        lines.append(
            f"The bundle is {plan.bundle.blend:.0%} of the way from the start, weight by weight; "
            "parts that the start lacks are whole."
        )
    if log:
        places = "; ".join(dict.fromkeys(record.get("machine") or machine() for record in log))
        workers = (
            f"{options.processes} processes of one thread"
            if options.processes > 1
            else f"{options.threads} threads"
        )
        lines.append(f"It took {hours:.2f} hours: {places}; {workers}.")
        halves = sum(record.get("precision") == "bfloat16" for record in log)
        lines += [f"Multiplied in bfloat16 in {halves} of {len(log)} epochs."] * bool(halves)
    return _list(lines, "")


def _measured(judged: Sequence[Judgement]) -> str:
    if not judged:
        return "Not measured yet: run `sightline evaluate`."
    ours = judged[0].report
    parts = [_explained(ours), _figures(judged)]
    if len(ours.classes) > 1:
        names = list(ours.classes[0].figures)
        rows = [f"| label | count | {' | '.join(names)} |", "|---|---|" + "---|" * len(names)]
        for row in ours.classes:
            values = " | ".join(f"{100 * value:.1f}" for value in row.figures.values())
            rows.append(f"| {row.label} | {row.count} | {values} |")
        parts += [f"Per label on {ours.dataset} (figures of rare labels are noise):", "\n".join(rows)]
        if ours.confusion:
            parts += [f"What is taken for what on {ours.dataset}:", "\n".join(ours.crossings())]
    return "\n\n".join(parts)


def _explained(report: Report) -> str:
    judge, caution = _BY_CLASS if report.task == "classify" else _BY_BOX
    return (
        f"Judged through the served pipeline{judge}, in percent. Brackets are 95 % bootstrap intervals "
        f"over pictures{caution} ONNX Runtime fp32, scores from 0.01; another engine or precision "
        "may differ in the last digit."
    )


def _notes(plan: Recipe) -> tuple[str, ...]:
    return ("## Notes\n\n" + _list(plan.bundle.notes, ""),) if plan.bundle.notes else ()


def _figures(judged: Sequence[Judgement]) -> str:
    names = [name for name in _SHOWN if name in judged[0].report.figures]
    lines = [f"| model | data set | pictures | {' | '.join(names)} |", "|---|---|---|" + "---|" * len(names)]
    for item in judged:
        figures = " | ".join(str(item.report.figures.get(name, "")) for name in names)
        size = f" at {item.report.size}" if item.report.size else ""
        lines.append(f"| {item.model}{size} | {item.report.dataset} | {item.report.pictures} | {figures} |")
    return "\n".join(lines)


def _list(lines: Sequence[str], otherwise: str) -> str:
    return "\n".join(f"- {line}" for line in lines) or otherwise
