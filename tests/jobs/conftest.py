"""Every database and every queue that jobs may have."""

from tests.chaos.fixtures import another, job_settings, ledger, postgres, redis_server

__all__ = ["another", "job_settings", "ledger", "postgres", "redis_server"]
