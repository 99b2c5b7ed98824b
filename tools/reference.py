"""Write the pages of docs/reference/ that follow from the code, or check that they are current.

``python tools/reference.py`` writes settings.md, cli.md and exit-codes.md; ``--check`` compares instead.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path

import click

from sightline.cli.exits import CODES, ExitCode
from sightline.cli.main import cli
from sightline.settings import Settings

PAGES = Path(__file__).resolve().parent.parent / "docs" / "reference"
_NOTE = "<!-- Written by tools/reference.py from the code: change it there, then run the tool again. -->\n"

_SETTINGS_HEAD = """# Settings

One table feeds the settings file, the environment, the flags of the command line and this page.
Later sources win:

1. the default below;
2. `sightline.toml` in the working directory, or the file that `SIGHTLINE_CONFIG` or `--config` names:
   `port = 9000`;
3. the environment: `SIGHTLINE_PORT=9000`;
4. flags: `--port 9000` where a command has one, `--set port=9000` everywhere.

An unknown name or a value of the wrong kind stops the command with a sentence and exit code 2.
`sightline config` shows every value and where it came from, and `sightline doctor` warns about unsafe ones.

| setting | default | what it does |
| --- | --- | --- |
"""

_EXIT_HEAD = """# Exit codes

Programs may rely on these numbers. Messages go to standard error, answers to standard output.

| code | name | meaning |
| --- | --- | --- |
"""

_MEANINGS = {
    ExitCode.OK: "Everything asked for was done.",
    ExitCode.SOME_FAILED: "The command ran, but something in it failed: one or more pictures, or a check of "
    "`sightline doctor`. The rest was done.",
    ExitCode.USAGE: "Usage: an unknown option, a wrong value, a setting that cannot work.",
    ExitCode.MODEL: "A model, job or rule that is not there; a model that was refused or broke.",
    ExitCode.NOT_NOW: "Not now: too busy, too late, or no disk space. The same command may work later.",
    ExitCode.BUG: "A bug in Sightline. `sightline --traceback …` shows where.",
    ExitCode.INTERRUPTED: "Interrupted with Ctrl-C.",
}


def settings_page() -> str:
    """The table of all settings."""
    rows = []
    for item in fields(Settings):
        default = f"`{item.default}`" if item.default != "" else "*empty*"
        choices = item.metadata["choices"]
        more = f" One of {', '.join(f'`{choice}`' for choice in choices)}." if choices else ""
        rows.append(f"| `{item.name}` | {default} | {item.metadata['help']}{more} |\n")
    return _SETTINGS_HEAD.replace("# Settings\n", f"# Settings\n\n{_NOTE}") + "".join(rows)


def exit_codes_page() -> str:
    """The table of exit codes, and which errors lead to which."""
    head = _EXIT_HEAD.replace("# Exit codes\n", f"# Exit codes\n\n{_NOTE}")
    rows = "".join(f"| {int(code)} | `{code.name}` | {_MEANINGS[code]} |\n" for code in ExitCode)
    errors = "".join(f"| `{kind.code}` | {int(code)} |\n" for kind, code in CODES.items())
    return (
        f"{head}{rows}\nErrors that end a command ([what they mean](errors.md)):\n\n"
        f"| error | exit code |\n| --- | --- |\n{errors}\n"
        "Every other error is about one picture: `predict` reports it, goes on, and ends with 1.\n"
    )


def cli_page() -> str:
    """Every command with its help, as the terminal shows it."""
    parts = [f"# Command line\n\n{_NOTE}\nEvery command ends with one of the [exit codes](exit-codes.md).\n"]
    for words, text in _helps(cli, ["sightline"]):
        parts.append(f"\n## {' '.join(words)}\n\n```text\n{text}\n```\n")
    return "".join(parts)


def _helps(command: click.Command, words: list[str]) -> Iterator[tuple[list[str], str]]:
    names = cli.context_settings["help_option_names"]  # as when the command is called through the group
    context = click.Context(
        command, info_name=" ".join(words), terminal_width=96, max_content_width=96, help_option_names=names
    )
    yield words, command.get_help(context)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            if inner is not None:
                yield from _helps(inner, [*words, name])


WRITERS: dict[str, Callable[[], str]] = {
    "settings.md": settings_page,
    "exit-codes.md": exit_codes_page,
    "cli.md": cli_page,
}


def stale() -> list[str]:
    """The pages that do not say what the code says."""
    return [
        name
        for name, write in WRITERS.items()
        if not (PAGES / name).is_file() or (PAGES / name).read_text("utf-8") != write()
    ]


def main() -> int:
    if "--check" in sys.argv[1:]:
        old = stale()
        if old:
            print(f"Not current: {', '.join(old)}. Run `python tools/reference.py`.", file=sys.stderr)
        return 1 if old else 0
    PAGES.mkdir(parents=True, exist_ok=True)
    for name, write in WRITERS.items():
        (PAGES / name).write_text(write(), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
