"""``sightline doctor``."""

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from sightline.cli.exits import ExitCode
from sightline.cli.options import with_settings
from sightline.cli.terminal import clean
from sightline.settings import Settings

if TYPE_CHECKING:
    from sightline.cli.checks.finding import Finding

_MARKS = {"ok": "ok     ", "note": "note   ", "warning": "WARNING", "problem": "PROBLEM"}
_COLOURS = {"ok": "green", "note": "blue", "warning": "yellow", "problem": "red"}


@click.command(name="doctor")
@with_settings("host", "port", "model", "engine", "precision", "threads", "memory_mb")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@click.pass_context
def command(ctx: click.Context, settings: Settings, as_json: bool) -> None:
    """Check this machine and this installation; every finding names its fix.

    The exit code is 1 when something will not work.
    """
    from sightline.cli.checks.rounds import rounds  # noqa: PLC0415 - the engines stay out of --help

    findings = []
    for finding in rounds(settings):
        findings.append(finding)
        if not as_json:
            _show(finding)
    problems = sum(finding.level == "problem" for finding in findings)
    if as_json:
        click.echo(
            json.dumps({"healthy": not problems, "findings": [asdict(one) for one in findings]}, indent=2)
        )
    else:
        warnings = sum(finding.level == "warning" for finding in findings)
        click.echo(f"\nFound {_count(problems, 'problem')} and {_count(warnings, 'warning')}.")
    if problems:
        ctx.exit(int(ExitCode.SOME_FAILED))


def _show(finding: "Finding") -> None:
    mark = click.style(_MARKS[finding.level], fg=_COLOURS[finding.level])
    click.echo(f"{mark}  {finding.area:<10} {clean(finding.words)}")
    if finding.fix:
        click.echo(f"         {'':<10} → {clean(finding.fix)}")
    sys.stdout.flush()


def _count(number: int, word: str) -> str:
    return f"{number or 'no'} {word}{'' if number == 1 else 's'}"
