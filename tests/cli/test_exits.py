import click
import pytest
from click.testing import CliRunner

from sightline import errors
from sightline.cli.exits import CODES, Bug, ExitCode, Failure, code_of, words
from sightline.cli.lazy import Root
from sightline.errors import (
    Busy,
    ConfigError,
    FetchRefused,
    ModelRefused,
    NotAPicture,
    NotFound,
    SightlineError,
)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NotAPicture("x"), ExitCode.SOME_FAILED),
        (ConfigError("x"), ExitCode.USAGE),
        (NotFound("x"), ExitCode.MODEL),
        (ModelRefused("x"), ExitCode.MODEL),
        (Busy("x"), ExitCode.NOT_NOW),
        (FetchRefused("x"), ExitCode.NOT_NOW),
    ],
    ids=lambda value: type(value).__name__,
)
def test_code_of(error: SightlineError, code: ExitCode) -> None:
    assert code_of(error) == code


def test_every_error_has_a_code() -> None:
    kinds = [
        kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, SightlineError)
    ]
    assert all(code_of(kind("x")) != ExitCode.OK for kind in kinds)
    assert set(CODES) <= set(kinds)


def test_words_cannot_command_the_terminal() -> None:
    shown = words(NotFound("no \x1b]0;owned\x07 file\nhere", next_step="do\x1b[2J that"))
    assert shown == "no \\x1b]0;owned\\x07 file here\n  Next: do\\x1b[2J that"


def _root(raised: BaseException) -> click.Group:
    @click.command()
    def fail() -> None:
        raise raised

    class One(Root):
        def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command:
            del ctx, cmd_name
            return fail

    return One("sightline", table={}, params=[click.Option(["--traceback"], is_flag=True)])


def test_a_refusal_becomes_words_and_a_code() -> None:
    done = CliRunner().invoke(_root(ModelRefused("It is a pickle.", next_step="Export it.")), ["fail"])
    assert done.exit_code == 3
    assert done.stderr == "Error: It is a pickle.\n  Next: Export it.\n"
    assert done.stdout == ""


def test_a_bug_is_short_unless_the_trace_is_wanted() -> None:
    done = CliRunner().invoke(_root(ZeroDivisionError("by zero")), ["fail"])
    assert done.exit_code == 70
    assert "this is a bug in Sightline: ZeroDivisionError: by zero" in done.stderr
    assert "Traceback" not in done.stderr
    traced = CliRunner().invoke(_root(ZeroDivisionError("by zero")), ["--traceback", "fail"])
    assert "Traceback (most recent call last)" in traced.stderr


def test_ctrl_c_is_130_and_one_word() -> None:
    done = CliRunner().invoke(_root(KeyboardInterrupt()), ["fail"])
    assert done.exit_code == 130
    assert done.stderr == "Interrupted.\n"


def test_errors_show_on_a_given_stream(capsys: pytest.CaptureFixture[str]) -> None:
    import sys  # noqa: PLC0415

    Failure(NotFound("gone")).show(sys.stdout)
    Bug(ValueError("odd"), traced=False).show(sys.stdout)
    shown = capsys.readouterr()
    assert "gone" in shown.out
    assert "odd" in shown.out
    assert shown.err == ""
