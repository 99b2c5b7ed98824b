"""A word of the command line → a job. The beginning of an id is enough where only one job has it."""

from typing import Final

from sightline.errors import BadOption, NotFound
from sightline.jobs.ledger import Ledger
from sightline.storage.job_kept import Job

SHOWN: Final = 12
"""Signs of an id that lists show: two jobs that share them do not happen."""
_LENGTH: Final = 32
_LOOKED: Final = 1000


def find(ledger: Ledger, word: str) -> Job:
    """The job whose id is, or begins with, the word.

    Raises:
        NotFound: There is none, among the newest 1000 where the word is only a beginning.
        BadOption: Several begin so.
    """
    if len(word) >= _LENGTH:
        return ledger.get(word)
    if len(word) < 4:
        raise BadOption(f"{word!r} is too short to name a job.", next_step="Give at least 4 signs of its id.")
    found = [job for job in ledger.page(limit=_LOOKED).items if job.id.startswith(word.lower())]
    if not found:
        raise NotFound(
            f"There is no job {word[:64]!r}.",
            next_step="It may have expired or been removed; `sightline jobs list` shows those there are.",
        )
    if len(found) > 1:
        raise BadOption(f"{len(found)} jobs begin with {word!r}.", next_step="Give more of the id.")
    return found[0]
