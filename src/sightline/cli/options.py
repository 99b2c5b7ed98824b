"""Options made from the settings table, so a setting has one name, one help text and one check."""

from collections.abc import Callable
from dataclasses import fields
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from sightline.errors import ConfigError
from sightline.settings import Settings, load_settings

_Command = TypeVar("_Command", bound=Callable[..., Any])
_TABLE = {item.name: item for item in fields(Settings)}
_PREFIX = "setting_"
SIZE_HELP = "Side of the square that the model sees; one of its sizes."
"""Of ``--size`` where a model looks."""
MODEL_HELP = "NAME or NAME@VERSION; default: the setting `model`."
"""Of ``--model`` where one command looks with it."""
OVERRIDES = "sightline.overrides"
CONFIG_FILE = "sightline.config_file"
"""Where `with_settings` leaves what the command line said, in ``click.Context.meta``."""


def with_settings(*names: str, **helps: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add ``--name`` for each named setting, ``--data-dir``, ``--set`` and ``--config``.

    The decorated command gets one argument ``settings``, merged from all four sources. ``helps`` says in
    other words than the table's what a flag means to this command.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def command(*args: Any, **kwargs: Any) -> Any:
            file, pairs = kwargs.pop("config_file"), kwargs.pop("pairs")
            overrides = dict(_split(pair) for pair in pairs)
            for name in list(kwargs):
                if name.startswith(_PREFIX) and (value := kwargs.pop(name)) is not None:
                    overrides[name.removeprefix(_PREFIX)] = value
            meta = click.get_current_context().meta
            meta[OVERRIDES], meta[CONFIG_FILE] = overrides, file
            return function(*args, settings=load_settings(overrides, file=file), **kwargs)

        wrapped: Callable[..., Any] = command
        for option in (
            *_common_options(),
            *(_option(name, helps.get(name)) for name in reversed((*names, "data_dir"))),
        ):
            wrapped = option(wrapped)
        return wrapped

    return decorate


def _common_options() -> tuple[Callable[[_Command], _Command], ...]:
    return (
        click.option(
            "--config",
            "config_file",
            type=click.Path(path_type=Path, exists=True, dir_okay=False),
            help="Settings file, instead of $SIGHTLINE_CONFIG or ./sightline.toml.",
        ),
        click.option(
            "--set",
            "pairs",
            metavar="NAME=VALUE",
            multiple=True,
            help="Any other setting of `sightline config`; may be repeated.",
        ),
    )


def _option(name: str, words: str | None = None) -> Callable[[_Command], _Command]:
    item = _TABLE[name]
    choices: tuple[str, ...] = item.metadata["choices"]
    shown = "" if item.default == "" else f"  [default: {item.default}]"
    about = words or item.metadata["help"] + shown
    if isinstance(item.default, bool):
        flag = item.name.replace("_", "-")
        return click.option(
            f"--{flag}/--no-{flag}", _PREFIX + name, default=None, help=words or item.metadata["help"]
        )
    return click.option(
        f"--{name.replace('_', '-')}",
        _PREFIX + name,
        type=click.Choice(choices) if choices else type(item.default),
        help=about,
        shell_complete=_model_names if name == "model" else None,
    )


def _split(pair: str) -> tuple[str, str]:
    name, equals, value = pair.partition("=")
    if not equals:
        raise ConfigError(
            f"--set wants NAME=VALUE, got {pair!r}.", next_step="Write it as in `--set memory_mb=1024`."
        )
    return name.strip().replace("-", "_"), value


def _model_names(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    del ctx, parameter
    from sightline.registry import Registry  # noqa: PLC0415 - only when a shell asks for completion

    names = {bundle.name for bundle in Registry(load_settings()).list()}
    return sorted(name for name in names if name.startswith(incomplete))
