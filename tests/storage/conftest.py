"""A database server for the tests that need one."""

from tests.chaos.fixtures import postgres, redis_server

__all__ = ["postgres", "redis_server"]
