"""``sightline rules add``."""

import tomllib
from pathlib import Path
from typing import Any

import click

from sightline.cli.options import with_settings
from sightline.errors import BadOption
from sightline.settings import Settings


@click.command(name="add")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False), required=False)
@with_settings()
@click.option("--name", help="What it is called.")
@click.option("--what", help="The label or verdict that it waits for.")
@click.option("--min-score", type=click.FloatRange(0, 1), help="Least score.  [default: 0.5]")
@click.option("--hits", type=click.IntRange(1, 100), help="In so many captures …  [default: 1]")
@click.option("--of", type=click.IntRange(1, 100), help="… of the last so many.  [default: the same]")
@click.option("--quiet", "quiet_s", type=click.FloatRange(0), help="Seconds of quiet then.  [default: 600]")
@click.option("--source", "sources", multiple=True, help="Only captures of this source; may be repeated.")
@click.option("--webhook", "urls", multiple=True, metavar="URL", help="Send a signed POST there.")
@click.option("--email", "mails", multiple=True, metavar="ADDRESS", help="Send mail (setting mail_server).")
@click.option("--command", "commands", multiple=True, help="Run this program, without a shell.")
@click.option("--log", is_flag=True, help="Write a line to the server's log.")
@click.option("--browser", is_flag=True, help="Show a notification in browsers that want it.")
def command(settings: Settings, file: Path | None, **given: Any) -> None:
    """Add a rule: from a TOML file or from options.

    The secret that signs its webhooks is printed, this once.
    """
    from sightline.rules import RuleDesk  # noqa: PLC0415 - the database stays out of --help

    wanted = _from_file(file) if file else {}
    wanted |= _from_options(given, had=bool(file))
    desk = RuleDesk.open(settings)
    try:
        rule = desk.add(wanted, trusted=True)
    finally:
        desk.close()
    click.echo(f"Added rule {rule.id}: {rule.name}.")
    if any(action.kind == "webhook" for action in rule.actions):
        click.echo(f"Secret of its webhooks (not shown again): {rule.secret}")
    click.echo(f"Try it: sightline rules test {rule.id}")


def _from_file(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadOption(
            f"{file.name} cannot be read as TOML: {error}.",
            next_step="docs/how-to/rules.md shows whole rules.",
        ) from error


def _from_options(given: dict[str, Any], *, had: bool) -> dict[str, Any]:
    import shlex  # noqa: PLC0415 - only where a command is given

    names = ("name", "what", "min_score", "hits", "of", "quiet_s")
    found = {name: given[name] for name in names if given[name] is not None}
    if "hits" in found and "of" not in found and not had:
        found["of"] = found["hits"]
    if given["sources"]:
        found["sources"] = list(given["sources"])
    actions: list[dict[str, Any]] = [{"kind": "webhook", "url": url} for url in given["urls"]]
    actions += [{"kind": "email", "to": address} for address in given["mails"]]
    actions += [{"kind": "command", "argv": shlex.split(words)} for words in given["commands"]]
    actions += [{"kind": kind} for kind in ("log", "browser") if given[kind]]
    return found | ({"actions": actions} if actions else {})
