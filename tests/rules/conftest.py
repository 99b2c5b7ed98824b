"""Rules live in whatever database the settings name, so their tests run on each of them."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from tests.chaos.fixtures import postgres
from tests.rules.receiver import Inbox, receiving

from sightline.rules import RuleDesk
from sightline.settings import Settings
from sightline.storage.database import Database
from sightline.storage.kept import DATABASE, FOLDER
from sightline.storage.rule_kept import Delivery

__all__ = ["postgres"]

Opening = Callable[..., RuleDesk]


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    with receiving() as here:
        yield here


@pytest.fixture(params=["sqlite", "postgres"])
def settings(data_settings: Settings, inbox: Inbox, request: pytest.FixtureRequest) -> Settings:
    """One conformance suite: what rules promise, they promise on each database."""
    wanted = replace(data_settings, fetch_allow=inbox.allow)
    if request.param == "sqlite":
        return wanted
    return replace(wanted, database=request.getfixturevalue("postgres").database())


@pytest.fixture
def opened(settings: Settings) -> Iterator[Opening]:
    """Desks over one database, as processes that come and go; attempts follow each other at once."""
    desks = []

    def make(waits_s: tuple[float, ...] = (0.01,) * 7, **more: Any) -> RuleDesk:
        file = settings.data_path / FOLDER / DATABASE
        desks.append(RuleDesk(settings, Database(settings.database, file), waits_s=waits_s, **more))
        return desks[-1]

    yield make
    for desk in desks:
        desk.close()


def rule(*actions: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"what": "person", "min_score": 0.8, "actions": list(actions)} | more


def ended(desk: RuleDesk, count: int = 1) -> tuple[Delivery, ...]:
    """The deliveries, once all of them have come to an end."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        found = desk.deliveries()
        if len(found) == count and all(one.finished for one in found):
            return found
        time.sleep(0.02)
    raise AssertionError(desk.deliveries())
