"""``sightline models export-torchvision``."""

import tempfile
from pathlib import Path
from typing import Any

import click

from sightline.cli.extra import need_torch
from sightline.cli.options import with_settings
from sightline.errors import BadOption
from sightline.settings import Settings

_MASK = ("maskrcnn_resnet50_fpn", "maskrcnn_resnet50_fpn_v2")
_CLASS = ("resnet50", "mobilenet_v2", "vgg16")


@click.command(name="export-torchvision")
@click.argument("variant", type=click.Choice([*_MASK, *_CLASS]), default=_MASK[0])
@with_settings()
@click.option(
    "--weights",
    default="default",
    show_default=True,
    help="default downloads torchvision's own, none means random ones; or a file with a state dict.",
)
@click.option("--name", help="What the model shall be called.  [default: the network's name]")
@click.option("--version", "model_version", default="1", show_default=True, help="Its version.")
@click.option(
    "--short-side", type=click.IntRange(64, 2048), help="Mask R-CNN: short side of the input.  [800]"
)
@click.option(
    "--proposals",
    type=click.IntRange(10, 2000),
    help="Mask R-CNN: regions looked at; fewer need less memory.  [1000]",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Only write the bundle here; without it, the bundle is imported.",
)
def command(
    settings: Settings,
    variant: str,
    weights: str,
    name: str | None,
    model_version: str,
    short_side: int | None,
    proposals: int | None,
    out: Path | None,
) -> None:
    """Export one of torchvision's networks to a bundle, and prove that it computes the same.

    Mask R-CNN gives boxes and masks, the others classify. Needs the extra `train` (torch).
    """
    need_torch("models export-torchvision")
    with tempfile.TemporaryDirectory(prefix="sightline-export-") as scratch:
        folder = out or Path(scratch) / "bundle"
        named = {"name": name or variant.replace("_", "-"), "version": model_version}
        limits = {"short_side": short_side, "proposals": proposals}
        _export(
            folder, variant, _weights(weights), named, {key: value for key, value in limits.items() if value}
        )
        if out:
            click.echo(f"Wrote {folder}")
            return
        from sightline.registry import Registry  # noqa: PLC0415 - pydantic stays out of --help
        from sightline.serving.importer import import_model  # noqa: PLC0415

        bundle = import_model(folder, Registry(settings), settings).bundle
        click.echo(f"Imported {bundle.reference}. Try it: sightline predict PHOTO --model {bundle.name}")


def _weights(word: str) -> Any:
    if word.lower() in {"default", "none"}:
        return "DEFAULT" if word.lower() == "default" else None
    path = Path(word)
    if not path.is_file():
        raise BadOption(f"--weights: there is no file {word}.", next_step="Give default, none, or a file.")
    return path


def _export(folder: Path, variant: Any, weights: Any, named: dict[str, str], limits: dict[str, int]) -> None:
    from sightline.training import torchvision_export as road  # noqa: PLC0415 - torch loads only here

    if variant in _MASK:
        parity = road.export_maskrcnn(
            folder, variant=variant, weights=weights, options=road.Options(**limits), **named
        )
    elif limits:
        raise BadOption("--short-side and --proposals are for Mask R-CNN.", next_step="Leave them out.")
    else:
        parity = road.export_classifier(folder, variant=variant, weights=weights, **named)
    click.echo(f"The graph computes what torch does: {parity}")
