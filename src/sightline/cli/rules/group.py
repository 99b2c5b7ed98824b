"""``sightline rules``."""

import click

from sightline.cli.lazy import LazyGroup

_HERE = "sightline.cli.rules"
_COMMANDS = {
    "list": (f"{_HERE}.list", "List the rules, the oldest first."),
    "add": (f"{_HERE}.add", "Add a rule: from a TOML file or from options."),
    "remove": (f"{_HERE}.remove", "Remove a rule and its deliveries."),
    "test": (f"{_HERE}.test", "Do a rule's actions once, now."),
    "deliveries": (f"{_HERE}.deliveries", "Show what was sent and what came back."),
}


@click.group(name="rules", cls=LazyGroup, table=_COMMANDS)
def command() -> None:
    """Do something when something is seen: webhook, command, e-mail, notification, log."""
