from importlib import import_module

import pytest
from tests.cli.conftest import Run

from sightline import __version__
from sightline.cli.lazy import LazyGroup
from sightline.cli.main import cli
from sightline.cli.models.group import command as models


def test_help_names_every_command(run: Run) -> None:
    shown = run("--help")
    assert shown.exit_code == 0
    for name in ("predict", "serve", "models", "train", "evaluate", "doctor", "config", "completion"):
        assert f"  {name} " in shown.stdout


def test_version(run: Run) -> None:
    assert run("--version").stdout == f"sightline {__version__}\n"


@pytest.mark.parametrize("group", [cli, models], ids=["sightline", "models"])
def test_the_listing_says_what_each_command_says(group: LazyGroup) -> None:
    """The listing is written down so that nothing has to be imported for it; it must not drift."""
    for name, (module, summary) in group.table.items():
        command = import_module(module).command
        assert command.name == name
        if name != "list":
            first = " ".join((command.help or "").split("\n\n")[0].split())
            assert first.startswith(summary.rstrip(".")), name


def test_an_unknown_command_is_a_usage_error(run: Run) -> None:
    done = run("predikt")
    assert done.exit_code == 2
    assert "No such command 'predikt'" in done.stderr


def test_a_table_that_names_something_else_is_an_error() -> None:
    import click  # noqa: PLC0415

    group = LazyGroup("wrong", table={"x": ("tests.cli.wrong_command", "")})
    with pytest.raises(ModuleNotFoundError):
        group.get_command(click.Context(group), "x")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(run: Run, shell: str) -> None:
    done = run("completion", shell)
    assert done.exit_code == 0
    assert "_SIGHTLINE_COMPLETE" in done.stdout


def test_the_help_of_completion_has_a_line_for_each_shell(run: Run) -> None:
    text = run("completion", "-h").stdout
    lines = [line.strip() for line in text.splitlines()]
    for shell in ("bash", "zsh", "fish"):
        (line,) = (line for line in lines if line.startswith(f"{shell}:"))
        assert f"completion {shell} > ~/" in line
        assert line.count("sightline completion") == 1
    assert "\\b" not in text


def test_a_model_is_asked_for_in_the_words_of_a_command(run: Run) -> None:
    for name in ("predict", "watch"):
        words = " ".join(run(name, "-h").stdout.split())
        assert "NAME or NAME@VERSION; default: the setting `model`." in words
        assert "when a request names none" not in words


def test_models_are_completed(run: Run, yolox_data: object) -> None:
    words = {
        "COMP_WORDS": "sightline predict --model yo",
        "COMP_CWORD": "3",
        "_SIGHTLINE_COMPLETE": "bash_complete",
    }
    done = run(data=yolox_data, env=words)
    assert done.stdout.strip() == "plain,yolox-nano"


def test_sources_are_completed_by_the_shell_itself(run: Run) -> None:
    words = {
        "COMP_WORDS": "sightline predict READ",
        "COMP_CWORD": "2",
        "_SIGHTLINE_COMPLETE": "bash_complete",
    }
    assert run(env=words).stdout.strip() == "file,READ"
