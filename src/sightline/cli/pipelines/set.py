"""``sightline pipelines set NAME --second MODEL``."""

import click

from sightline.cli.options import with_settings
from sightline.errors import BadOption
from sightline.settings import Settings


@click.command(name="set")
@click.argument("name")
@with_settings()
@click.option(
    "--second", required=True, metavar="MODEL", help="A classifier that is here, name or name@version."
)
@click.option(
    "--verdict",
    "verdicts",
    metavar="LABEL=VERDICT",
    multiple=True,
    help="What one of its labels means, where it is not called like the verdict; may be repeated.",
)
@click.option(
    "--sure",
    "scores",
    metavar="VERDICT=SCORE",
    multiple=True,
    help="Least score for a verdict, else it is not sure; may be repeated.",
)
def command(
    settings: Settings, name: str, second: str, verdicts: tuple[str, ...], scores: tuple[str, ...]
) -> None:
    """Give a pipeline another second stage, as its next version.

    The version before stays: `sightline models promote NAME@VERSION` is the way back.
    """
    from sightline.registry import Registry  # noqa: PLC0415 - the importer stays out of --help
    from sightline.serving.pipelines import set_second  # noqa: PLC0415

    sure = {verdict: _score(verdict, text) for verdict, text in (_pair("--sure", one) for one in scores)}
    meant = dict(_pair("--verdict", one) for one in verdicts)
    bundle = set_second(Registry(settings), name, second, verdicts=meant, sure=sure)
    assert bundle.manifest.pipeline is not None
    click.echo(f"{bundle.reference} answers now; its second stage is {second}.")
    for label, verdict in bundle.manifest.pipeline.second.verdicts.items():
        click.echo(f"  {label} -> {verdict}")
    click.echo(f"Measure it: sightline evaluate {bundle.name} FOLDER")


def _pair(option: str, text: str) -> tuple[str, str]:
    left, equals, right = text.rpartition("=")
    if not equals or not left:
        raise BadOption(f"{option} wants NAME=VALUE, got {text!r}.")
    return left, right


def _score(verdict: str, text: str) -> float:
    try:
        score = float(text)
    except ValueError as error:
        raise BadOption(f"--sure {verdict} wants a score between 0 and 1, got {text!r}.") from error
    if not 0 <= score <= 1:
        raise BadOption(f"--sure {verdict} wants a score between 0 and 1, got {text!r}.")
    return score
