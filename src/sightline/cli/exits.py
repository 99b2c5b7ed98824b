"""Exit codes, and the one place that turns an error into words on standard error.

=====  =====================================================================================
code   meaning
=====  =====================================================================================
0      everything asked for was done
1      the command ran, but something in it failed: some pictures, or a check of ``doctor``
2      usage: an unknown option, a wrong value, a setting that cannot work
3      a model, job or rule that is not there; a model that was refused or broke
4      not now: too busy, too late, out of reach, or no disk space; it may work later
70     a bug in Sightline (``--traceback`` shows where)
130    interrupted with Ctrl-C
=====  =====================================================================================
"""

import sys
import traceback
from enum import IntEnum
from typing import IO, Any

import click

from sightline.cli.terminal import clean
from sightline.errors import (
    BadOption,
    Busy,
    ConfigError,
    Conflict,
    DeadlineExceeded,
    FetchRefused,
    ModelFailed,
    ModelRefused,
    NotFound,
    SightlineError,
    StorageFull,
    Unreachable,
)


class ExitCode(IntEnum):
    """What the process answers to its shell."""

    OK = 0
    SOME_FAILED = 1
    USAGE = 2
    MODEL = 3
    NOT_NOW = 4
    BUG = 70
    INTERRUPTED = 130


CODES: dict[type[SightlineError], ExitCode] = {
    BadOption: ExitCode.USAGE,
    ConfigError: ExitCode.USAGE,
    Conflict: ExitCode.USAGE,
    NotFound: ExitCode.MODEL,
    ModelRefused: ExitCode.MODEL,
    ModelFailed: ExitCode.MODEL,
    Busy: ExitCode.NOT_NOW,
    DeadlineExceeded: ExitCode.NOT_NOW,
    FetchRefused: ExitCode.NOT_NOW,
    StorageFull: ExitCode.NOT_NOW,
    Unreachable: ExitCode.NOT_NOW,
}


def code_of(error: SightlineError) -> ExitCode:
    """The exit code of a command that ended with ``error``."""
    for kind in type(error).__mro__:
        if kind in CODES:
            return CODES[kind]
    return ExitCode.SOME_FAILED  # what is left is about one picture


def words(error: SightlineError) -> str:
    """The message and what to do about it, safe to print."""
    return f"{clean(error.message)}\n  Next: {clean(error.next_step)}"


class Failure(click.ClickException):
    """A refusal of Sightline on its way to the terminal."""

    def __init__(self, error: SightlineError) -> None:
        super().__init__(error.message)
        self.error = error
        self.exit_code = int(code_of(error))  # type: ignore[misc]  # click lets instances differ

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(f"Error: {words(self.error)}", file=file, err=file is None)


class Bug(click.ClickException):
    """An exception that nobody foresaw: short words for people, the trace on request."""

    exit_code = int(ExitCode.BUG)

    def __init__(self, error: Exception, *, traced: bool) -> None:
        super().__init__(f"{type(error).__name__}: {error}")
        self.error = error
        self.traced = traced

    def show(self, file: IO[Any] | None = None) -> None:
        stream = file or sys.stderr
        if self.traced:
            traceback.print_exception(self.error, file=stream)
        click.echo(
            f"Error: this is a bug in Sightline: {clean(self.message)}\n"
            "  Next: run it again as `sightline --traceback …` and report what it prints.",
            file=stream,
        )
