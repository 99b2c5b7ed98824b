"""The two pairs that share nothing: processes take seconds to start; the ledger's suite takes all four."""

import pytest
from tests.chaos import fixtures
from tests.chaos.fixtures import another, ledger, postgres, redis_server
from tests.storage.object_store import bucket, s3

from sightline.settings import Settings

__all__ = ["another", "bucket", "ledger", "postgres", "redis_server", "s3"]


@pytest.fixture(params=["local+sqlite", "redis+postgres"])
def job_settings(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings for such a pair."""
    return fixtures.settings_of(request, tmp_path_factory)
