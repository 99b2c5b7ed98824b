"""The two pairs that share nothing: processes take seconds to start; the ledger's suite takes all four."""

import pytest
from tests.chaos import fixtures
from tests.chaos.fixtures import another, ledger, postgres, redis_server

from sightline.settings import Settings

__all__ = ["another", "ledger", "postgres", "redis_server"]


@pytest.fixture(params=["local+sqlite", "redis+postgres"])
def job_settings(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings for such a pair."""
    return fixtures.settings_of(request, tmp_path_factory)
