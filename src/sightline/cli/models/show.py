"""``sightline models show NAME``."""

import json
from typing import TYPE_CHECKING

import click

from sightline.cli.options import with_settings
from sightline.cli.terminal import clean, columns, size
from sightline.settings import Settings

if TYPE_CHECKING:
    from sightline.manifest import Variant
    from sightline.registry import Bundle

_LABELS_SHOWN = 20
_JUDGED_ON = {"data": "", "pictures": " pictures", "size": " pixels a side"}


@click.command(name="show")
@click.argument("name")
@with_settings()
@click.option("--json", "as_json", is_flag=True, help="The whole manifest, for machines.")
@click.option("--card", is_flag=True, help="Only the model card.")
@click.option("--labels", "only_labels", is_flag=True, help="Only the labels, one a line.")
def command(settings: Settings, name: str, as_json: bool, card: bool, only_labels: bool) -> None:
    """Show one model: labels, input, licence, card.

    NAME is a name, or name@version.
    """
    from sightline.cli.models import listing  # noqa: PLC0415 - pydantic stays out of --help
    from sightline.registry import Registry  # noqa: PLC0415

    registry = Registry(settings)
    bundle = registry.find(name)
    if as_json:
        facts = listing.summary(bundle, default=listing.default_name(registry))
        facts["versions"] = [version.version for version in registry.versions(bundle.name)]
        facts["manifest"] = bundle.manifest.model_dump(mode="json")
        click.echo(json.dumps(facts, indent=2, ensure_ascii=False))
    elif card:
        click.echo(_lines(bundle.card) or "This model has no card.")
    elif only_labels:
        click.echo("\n".join(clean(label) for label in bundle.labels))
    else:
        versions = [version.version for version in registry.versions(bundle.name)]
        click.echo(columns(_rows(bundle, versions)))
        click.echo("\nLabels: " + _labels(bundle))


def _rows(bundle: "Bundle", versions: list[str]) -> list[list[str]]:
    manifest, wanted = bundle.manifest, bundle.manifest.input
    if bundle.stages:
        return _pipeline_rows(bundle, versions)
    rows = [
        ["name", bundle.reference],
        ["title", bundle.title],
        ["about", manifest.description],
        ["task", bundle.task],
        ["input", f"{wanted.width} x {wanted.height} {wanted.color}, {wanted.resize}"],
        ["sizes", f"{', '.join(map(str, wanted.sizes))}; {wanted.size} unless asked" if wanted.sizes else ""],
        ["tensor", f"{wanted.layout} {wanted.dtype}"],
        ["head", manifest.head.kind],
        ["default score", f"{manifest.thresholds.min_score:g}"],
        ["size", size(bundle.size)],
        *(["variant", _variant(item)] for item in manifest.variants),
        ["licence", bundle.licence],
        ["origin", manifest.origin],
        ["trained from", manifest.initialisation],
        *(["" if place else "metrics", words] for place, words in enumerate(_figures(bundle))),
        ["versions", ", ".join(versions)],
        ["digest", bundle.digest],
        ["folder", str(bundle.folder)],
    ]
    return [[name, clean(value)] for name, value in rows if value]


def _pipeline_rows(bundle: "Bundle", versions: list[str]) -> list[list[str]]:
    """What there is to say of a pipeline; its stages are on another page."""
    rows = [
        ["name", bundle.reference],
        ["title", bundle.title],
        ["about", bundle.manifest.description],
        ["task", f"{bundle.task} of {' and '.join(bundle.stages)}"],
        ["stages", f"sightline pipelines show {bundle.name}"],
        ["licence", bundle.licence],
        ["origin", bundle.manifest.origin],
        ["versions", ", ".join(versions)],
        ["digest", bundle.digest],
        ["folder", str(bundle.folder)],
    ]
    return [[name, clean(value)] for name, value in rows if value]


def _figures(bundle: "Bundle") -> list[str]:
    """What it was judged on, and the figures that matter: those with an interval, if any has one.

    Metrics are whatever a manifest says; further data, sizes of things and probes are for the card.
    """
    metrics = bundle.metrics
    found = {name: figure for name, value in metrics.items() if (figure := _figure(value))}
    sure = {name: figure for name, figure in found.items() if " to " in figure} or found
    on = [f"{metrics[name]}{word}" for name, word in _JUDGED_ON.items() if name in metrics]
    lines = [", ".join(on)] * bool(on) + [f"{name} {figure}" for name, figure in sure.items()]
    more = metrics.keys() - sure - _JUDGED_ON.keys()
    return [*lines, f"in full: sightline models show {bundle.reference} --card"] if more else lines


def _figure(value: object) -> str:
    """``0.333 (0.314 to 0.380)``, ``0.5``, or nothing if it is no figure."""
    match value:
        case {"value": float(middle), "interval": [float(low), float(high)]}:
            return f"{middle:.3f} ({low:.3f} to {high:.3f})"
        case {"value": float(figure)} | float(figure):
            return f"{figure:.4g}"
        case _:
            return ""


def _variant(item: "Variant") -> str:
    loses = "not judged" if item.loses is None else f"loses {item.loses:.2f} points on {item.judged_on}"
    return f"{item.precision}, {size(item.bytes)}, {loses}; {', '.join(item.engines)}; {item.calibration}"


def _labels(bundle: "Bundle") -> str:
    between = "; " if any("," in label for label in bundle.labels) else ", "
    shown = between.join(clean(label) for label in bundle.labels[:_LABELS_SHOWN])
    more = len(bundle.labels) - _LABELS_SHOWN
    return f"{shown}{between}and {more} more (--labels lists them all)" if more > 0 else shown


def _lines(text: str) -> str:
    return "\n".join(clean(line) for line in text.splitlines())
