"""``sightline completion SHELL``."""

import click
from click.shell_completion import CompletionItem, get_completion_class

VARIABLE = "_SIGHTLINE_COMPLETE"


def files(_ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The shell's own file names, for arguments that may also be addresses, patterns or ``-``."""
    return [CompletionItem(incomplete, type="file")]


@click.command(name="completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the completion script of a shell.

    \b
    bash:  sightline completion bash > ~/.local/share/bash-completion/completions/sightline
    zsh:   sightline completion zsh > ~/.zfunc/_sightline
    fish:  sightline completion fish > ~/.config/fish/completions/sightline.fish
    """  # noqa: D301 - click's mark, a backspace, keeps the lines apart; raw, it would be two signs
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"No completion for {shell}.")
    click.echo(kind(ctx.find_root().command, {}, "sightline", VARIABLE).source())
