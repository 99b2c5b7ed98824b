"""The command of `tests.chaos.run` in its shortest form, so that it stays true."""

from typing import TYPE_CHECKING

import pytest
from tests.chaos import fixtures
from tests.chaos.fixtures import another, ledger, postgres, redis_server
from tests.chaos.run import Plan, killed_submitters, storm

from sightline.settings import Settings

if TYPE_CHECKING:
    from tests.chaos.servers import OwnRedis

__all__ = ["another", "ledger", "postgres", "redis_server"]


@pytest.fixture(params=["local+sqlite", "redis+postgres"])
def job_settings(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings for the two pairs that share nothing."""
    return fixtures.settings_of(request, tmp_path_factory)


@pytest.mark.slow
def test_no_job_is_lost_while_workers_are_killed(
    job_settings: Settings, request: pytest.FixtureRequest
) -> None:
    redis: OwnRedis | None = None
    if job_settings.queue != "local":
        redis = request.getfixturevalue("redis_server")
    plan = Plan(jobs=30, minutes=0.12, workers=3, kill_every_s=2, pause_s=2, lease_s=3, redis_faults=True)
    report = storm(job_settings, plan, redis, say=lambda *_args, **_more: None)
    assert report.wrong == [], "each has its one result; times are the command's business"
    assert report.states == {"done": plan.jobs}
    assert len(report.kills) >= 2


@pytest.mark.slow
def test_an_acknowledged_job_outlives_who_submitted_it(job_settings: Settings) -> None:
    said, lost, kills = killed_submitters(job_settings, 20)
    assert said >= 20
    assert kills >= 1
    assert lost == 0
