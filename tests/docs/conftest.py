"""The README's commands run as those of the command line's own tests."""

from tests.cli.conftest import run

__all__ = ["run"]
