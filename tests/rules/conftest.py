"""Rules live in whatever database the settings name, so their tests run on each of them."""

from tests.chaos.fixtures import postgres

__all__ = ["postgres"]
