"""Pages that follow from the code are current, and what pages promise exists."""

import importlib.util
import re
import shlex
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import click
import pytest

from sightline.cli.exits import ExitCode
from sightline.cli.main import cli
from sightline.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")] + sorted(
    path for path in (ROOT / "docs").rglob("*.md") if path.parent.name != "decisions"
)


def test_generated_pages_are_current() -> None:
    place = importlib.util.spec_from_file_location("reference", ROOT / "tools" / "reference.py")
    assert place is not None
    assert place.loader is not None
    reference = importlib.util.module_from_spec(place)
    place.loader.exec_module(reference)
    for name, write in reference.WRITERS.items():
        current = (ROOT / "docs/reference" / name).read_text("utf-8")
        assert current == write(), f"{name} is not current: run `python tools/reference.py`."


def test_every_setting_and_every_exit_code_is_documented() -> None:
    settings = (ROOT / "docs/reference/settings.md").read_text("utf-8")
    assert [item.name for item in fields(Settings) if f"| `{item.name}` |" not in settings] == []
    codes = (ROOT / "docs/reference/exit-codes.md").read_text("utf-8")
    assert [code for code in ExitCode if f"| {int(code)} | `{code.name}` |" not in codes] == []


def _commands() -> Iterator[tuple[str, str]]:
    """(page, command line) of every ``$ …`` line in a console block."""
    for page in PAGES:
        for block in re.findall(
            r"^ *```console\n(.*?)^ *```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL
        ):
            for line in re.findall(r"^ *\$ (.*?)(?:\s{2,}#.*)?$", block, re.MULTILINE):
                yield page.relative_to(ROOT).as_posix(), line


def _resolve(words: list[str]) -> None:
    """Follow the words to a command and check that each option exists."""
    command: click.Command = cli
    context = click.Context(cli)
    rest = list(words)
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        inner = command.get_command(context, rest[0])
        assert inner is not None, f"there is no command {rest[0]!r}"
        command = inner
        rest.pop(0)
    known = {name for parameter in command.params for name in parameter.opts}
    known |= {"--help", "-h"}
    for word in rest:
        if word.startswith("-") and word != "-":
            assert word.partition("=")[0] in known, f"{command.name} has no option {word}"


@pytest.mark.parametrize(("page", "line"), list(_commands()))
def test_commands_in_the_docs_exist(page: str, line: str) -> None:
    del page
    for part in re.split(r"\s[|>]\s?", line):
        words = shlex.split(part, comments=True)
        while words and "=" in words[0] and not words[0].startswith("-"):
            words.pop(0)
        if words and words[0] == "make":
            targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
            assert all(word in targets or "=" in word for word in words[1:])
        if words[:1] == ["sightline"]:
            _resolve(words[1:])
        if words[1:3] == ["-m", "sightline"]:
            _resolve(words[3:])


def test_the_docs_name_only_settings_that_exist() -> None:
    known = {item.name.upper() for item in fields(Settings)} | {"CONFIG"}
    for page in PAGES:
        for name in re.findall(r"SIGHTLINE_([A-Z_]+[A-Z])\b", page.read_text("utf-8")):
            assert name in known, f"{page.name} names SIGHTLINE_{name}"


def test_links_between_pages_lead_somewhere() -> None:
    for page in [*PAGES, *(ROOT / "docs/decisions").glob("*.md")]:
        for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
