"""Where a job's events stand, for those who begin to listen."""

from sqlalchemy import Connection, select

from sightline.errors import NotFound
from sightline.storage.job_tables import jobs


def last_seq(connection: Connection, owner: str, job_id: str) -> int:
    """The number of the newest event of a whole job.

    Raises:
        NotFound: No such job of this owner.
    """
    mine = select(jobs.c.seq).where(jobs.c.id == job_id, jobs.c.owner == owner, jobs.c.parent.is_(None))
    found = connection.execute(mine).scalar_one_or_none()
    if found is None:
        raise NotFound(f"There is no job {job_id[:64]!r}.")
    return int(found)
