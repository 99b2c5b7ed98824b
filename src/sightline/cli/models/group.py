"""``sightline models``."""

import click

from sightline.cli.lazy import LazyGroup

_HERE = "sightline.cli.models"
_COMMANDS = {
    "list": (f"{_HERE}.list", "List the models here, or what `pull` can fetch."),
    "show": (f"{_HERE}.show", "Show one model: labels, input, licence, card."),
    "import": (f"{_HERE}.importing", "Take in an ONNX file, a bundle folder or its zip."),
    "pull": (f"{_HERE}.pull", "Download a model of the catalogue and import it."),
    "remove": (f"{_HERE}.remove", "Delete an imported model or one version of it."),
    "promote": (f"{_HERE}.promote", "Make a version the one that answers; also the way back."),
    "bench": (f"{_HERE}.bench", "Measure models on this machine and choose their engines."),
    "quantize": (f"{_HERE}.quantize", "Make an int8 version with calibration pictures."),
    "export-torchvision": (f"{_HERE}.export", "Export one of torchvision's networks to a bundle."),
}


@click.group(name="models", cls=LazyGroup, table=_COMMANDS)
def command() -> None:
    """List, import, pull, measure and remove models."""
