"""``sightline pipelines show NAME``."""

import click

from sightline.cli.options import with_settings
from sightline.cli.terminal import clean, columns
from sightline.errors import BadOption
from sightline.settings import Settings


@click.command(name="show")
@click.argument("name")
@with_settings()
def command(settings: Settings, name: str) -> None:
    """Show one pipeline, stage by stage.

    NAME is a name, or name@version. `sightline models show NAME --json` has every number.
    """
    from sightline.registry import Registry  # noqa: PLC0415 - pydantic stays out of --help

    bundle = Registry(settings).find(name)
    pipeline = bundle.manifest.pipeline
    if pipeline is None:
        raise BadOption(f"{bundle.reference} is no pipeline.", next_step="See `sightline pipelines list`.")
    first, second, told = pipeline.first, pipeline.second, pipeline.verdicts
    rule = second.rule
    doubt = f", not sure from {first.unsure_from:g}" if first.unsure_from is not None else ""
    rows = [
        ["name", bundle.reference],
        ["title", bundle.title],
        ["about", bundle.manifest.description],
        ["first stage", f"{first.model}: {', '.join(first.labels)} from {first.min_score:g}{doubt}"],
        ["crop", "" if rule else f"{pipeline.crop.of}, margin {pipeline.crop.margin:g}"],
        ["second stage", second.model or f"a rule, no network: {rule.says if rule else ''}"],
        *(
            ["  sign", f"{', '.join(sign.labels)} in {sign.zone}, weight {sign.weight:g}"]
            for sign in (rule.signs if rule else ())
        ),
        *(["  label", f"{label} -> {verdict}"] for label, verdict in second.verdicts.items()),
        *(["sure from", f"{verdict} {least:g}"] for verdict, least in second.sure.items()),
        *(["verdict", f"{verdict}: {told.titles.get(verdict, verdict)}"] for verdict in pipeline.names),
        ["several", f"the first of {', '.join(told.order)} is the picture's"],
        ["digest", bundle.digest],
        ["folder", str(bundle.folder)],
    ]
    click.echo(columns([[word, clean(value)] for word, value in rows if value]))
