"""``sightline models import SOURCE``."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sightline.cli.jobs.submitting import Work, job_options, place_of, submit_order
from sightline.cli.options import with_settings
from sightline.cli.terminal import clean, columns
from sightline.errors import BadOption
from sightline.settings import Settings

if TYPE_CHECKING:
    from sightline.registry import Bundle

_WANTED = {"--size": "WIDTHxHEIGHT, as in 416x416", "--sizes": "whole numbers, as in 320,416,640"}


@click.command(name="import")
@click.argument("source", type=click.Path(path_type=Path, exists=True))
@with_settings()
@click.option("--name", help="What the model shall be called.")
@click.option("--version", "model_version", help="Its version.")
@click.option("--title", help="Its name for people.")
@click.option("--task", type=click.Choice(["classify", "detect", "segment"]), help="What it does.")
@click.option(
    "--labels",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="File with one label a line.",
)
@click.option("--licence", help="SPDX id of its licence.")
@click.option("--origin", help="Where it comes from.")
@click.option("--head", help="How its outputs are read (docs/reference/heads.md).")
@click.option("--size", "canvas", metavar="WxH", help="Input size, when the file leaves it free.")
@click.option("--sizes", metavar="A,B,...", help="Square sizes that requests may choose from.")
@click.option("--layout", type=click.Choice(["NCHW", "NHWC", "CHW"]), help="Order of the input axes.")
@click.option("--color", type=click.Choice(["RGB", "BGR"]), help="Order of the colour channels.")
@click.option(
    "--resize",
    type=click.Choice(["letterbox", "stretch", "crop", "short_side"]),
    help="How a picture is fitted.",
)
@click.option("--scale", type=float, help="Factor on pixels 0..255 before mean and std.")
@click.option("--mean", metavar="R,G,B", help="Subtracted after the scale.")
@click.option("--std", metavar="R,G,B", help="Divided by, last.")
@click.option("--min-score", type=click.FloatRange(0, 1), help="Default threshold.")
@click.option("--sha256", help="What the file must hash to, as its publisher says.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@job_options
@click.pass_context
def command(
    ctx: click.Context, /, settings: Settings, source: Path, as_json: bool, work: Work, **given: Any
) -> None:
    """Take in an ONNX file, a bundle folder or its zip, or a pipeline (a folder or .toml file).

    What is not said is proposed from the file: its shapes, names and known families. Then the model
    has to prove itself in a child process before it is taken; if it cannot, nothing has changed.
    """
    if work.elsewhere:
        from sightline.jobs.orders import ImportOrder  # noqa: PLC0415

        ctx.exit(submit_order(ImportOrder(place_of(source), _told(given)), settings, work, as_json=as_json))
    from sightline.registry import Registry  # noqa: PLC0415 - the importer and its libraries stay out of --help
    from sightline.serving.importer import import_model  # noqa: PLC0415
    from sightline.serving.pipelines import import_pipeline, is_pipeline  # noqa: PLC0415

    if is_pipeline(source):
        _refuse_hints(given)
        named = {"name": given["name"], "version": given["model_version"]}
        _say_pipeline(import_pipeline(source, Registry(settings), **named), as_json=as_json)
        return
    report = import_model(source, Registry(settings), settings, **hints(given))
    bundle = report.bundle
    if as_json:
        proposals = [{"field": name, "value": value, "why": why} for name, value, why in report.proposals]
        answer = {
            "name": bundle.name,
            "version": bundle.version,
            "digest": bundle.digest,
            "proposals": proposals,
        }
        click.echo(json.dumps(answer, indent=2, ensure_ascii=False, default=str))
        return
    if report.proposals:
        click.echo("Proposed from the file:")
        rows = [[clean(str(cell)) for cell in proposal] for proposal in report.proposals]
        click.echo(columns(rows, indent="  "))
    click.echo(
        f"Imported {bundle.reference}: {bundle.task}, {len(bundle.labels)} labels, proven by a dry run."
    )
    click.echo(f"Try it: sightline predict PHOTO --model {bundle.name}")


def _refuse_hints(given: dict[str, Any]) -> None:
    """Options that say how a picture is fitted mean nothing to a pipeline."""
    said = [
        name for name, value in given.items() if value is not None and name not in ("name", "model_version")
    ]
    if said:
        raise BadOption(
            f"A pipeline has no {said[0].replace('_', '-')}: its models have their own.",
            next_step="Leave the option out, or write it into pipeline.toml if it belongs there.",
        )


def _say_pipeline(bundle: "Bundle", *, as_json: bool) -> None:
    if as_json:
        answer = {"name": bundle.name, "version": bundle.version, "digest": bundle.digest, "proposals": []}
        click.echo(json.dumps(answer, indent=2))
        return
    click.echo(
        f"Imported {bundle.reference}: a pipeline of {' and '.join(bundle.stages)}, checked against them."
    )
    click.echo(f"Try it: sightline predict PHOTO --model {bundle.name}")


def _told(given: dict[str, Any]) -> dict[str, Any]:
    """Hints as JSON holds them; a file of labels is read now, for later it may not be there."""
    from sightline.serving.hints import read_labels  # noqa: PLC0415

    return {name: list(read_labels(it)) if isinstance(it, Path) else it for name, it in hints(given).items()}


def hints(given: dict[str, Any]) -> dict[str, Any]:
    """Options as the importer's hints; what was not given is left out."""
    found = {name: value for name, value in given.items() if value is not None}
    if "model_version" in found:
        found["version"] = found.pop("model_version")
    if "canvas" in found:
        found["width"], found["height"] = _numbers(found.pop("canvas").lower().split("x"), 2, "--size", int)
    if "sizes" in found:
        words = found["sizes"].split(",")
        found["sizes"] = tuple(_numbers(words, len(words), "--sizes", int))
    for name in ("mean", "std"):
        if name in found:
            found[name] = tuple(_numbers(found[name].split(","), 3, f"--{name}", float))
    return found


def _numbers(words: list[str], count: int, option: str, kind: type[Any]) -> list[Any]:
    try:
        numbers = [kind(word) for word in words]
    except ValueError:
        numbers = []
    if len(numbers) != count:
        raise BadOption(f"{option} wants {_WANTED.get(option, 'three numbers, as in 0.5,0.5,0.5')}.")
    return numbers
