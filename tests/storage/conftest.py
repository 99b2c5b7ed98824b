"""A database server, and an object store, for the tests that need one."""

from tests.chaos.fixtures import postgres, redis_server
from tests.storage.object_store import bucket, s3, s3_place

__all__ = ["bucket", "postgres", "redis_server", "s3", "s3_place"]
