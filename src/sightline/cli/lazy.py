"""A click group that imports a command only when it is called, so that ``--help`` stays instant."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click

from sightline.cli.exits import Bug, ExitCode, Failure
from sightline.errors import SightlineError


class LazyGroup(click.Group):
    """``table`` maps a name to the module that holds its ``command``, and the one line for the listing."""

    def __init__(self, *args: Any, table: Mapping[str, tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.table = table

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in self.table:
            return None
        command = import_module(self.table[cmd_name][0]).command
        if not isinstance(command, click.Command):
            raise TypeError(f"{self.table[cmd_name][0]}.command must be a click command.")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in self.table.items()])


class Root(LazyGroup):
    """The outermost group: the border where every error becomes words and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except SightlineError as error:
            raise Failure(error) from error
        except KeyboardInterrupt:
            click.echo("Interrupted.", err=True)
            ctx.exit(int(ExitCode.INTERRUPTED))
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise  # click's own ways to end a command
        except Exception as error:
            raise Bug(error, traced=bool(ctx.params.get("traceback"))) from error
