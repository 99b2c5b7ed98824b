"""Kinds for tests: work whose result can be checked, and work that does everything wrong."""

import hashlib
import os
import signal
import time
from collections.abc import Mapping
from typing import Any, Final

from sightline.errors import BadOption
from sightline.storage.job_kept import Claim, Item
from sightline.worker.desk import Desk
from sightline.worker.tasks import Task


def checksum(desk: Desk, claim: Claim) -> Mapping[str, Any]:
    """Take ``seconds`` in small steps, keep one item for each of ``items``, answer the hash of ``text``."""
    wanted = claim.job.payload
    count = int(wanted.get("items", 1))
    done = desk.ledger.done_indexes(claim, 0, count)
    for index in range(count):
        _wait(desk, claim, float(wanted.get("seconds", 0)) / count)
        if index not in done:
            item = Item(
                claim.root, index, f"{index}", "done", result={"sha256": digest(f"{wanted['text']}/{index}")}
            )
            desk.ledger.put_items(claim, [item])
    return {"sha256": digest(wanted["text"])}


def digest(text: str) -> str:
    """What the result must be."""
    return hashlib.sha256(text.encode()).hexdigest()


def _wait(desk: Desk, claim: Claim, seconds: float) -> None:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        desk.check(claim)
        time.sleep(min(0.05, left))


def split(desk: Desk, claim: Claim) -> None:
    """Be split into ``parts`` checksums."""
    texts = [{**claim.job.payload, "text": f"part {number}"} for number in range(claim.job.payload["parts"])]
    desk.ledger.split(claim, "part", texts, total=len(texts))


def part(desk: Desk, claim: Claim) -> Mapping[str, Any]:
    """One part of it: one item, whose index stands in its name."""
    _wait(desk, claim, float(claim.job.payload.get("seconds", 0)))
    index = int(claim.job.payload["text"].split()[1])
    desk.ledger.put_items(claim, [Item(claim.root, index, f"{index}", "done", result={"index": index})])
    return {}


def where(desk: Desk, claim: Claim) -> Mapping[str, Any]:
    """Which process did it, and how often it has."""
    del claim
    desk.seen = getattr(desk, "seen", 0) + 1  # type: ignore[attr-defined]
    return {"pid": os.getpid(), "times": desk.seen}  # type: ignore[attr-defined]


def poison(desk: Desk, claim: Claim) -> None:
    """Kill the process that does it."""
    del desk, claim
    os.kill(os.getpid(), signal.SIGKILL)


def greedy(desk: Desk, claim: Claim) -> None:
    """Take the next job ahead; then kill the process, or wait for ``seconds``."""
    desk.take_ahead()
    seconds = float(claim.job.payload.get("seconds", 0))
    if not seconds:
        os.kill(os.getpid(), signal.SIGKILL)
    desk.ledger.progress(claim, 1)
    _wait(desk, claim, seconds)


def deaf(desk: Desk, claim: Claim) -> None:
    """Look at nothing for a long time, as a long call into an engine would."""
    del desk
    time.sleep(float(claim.job.payload["seconds"]))


def defect(desk: Desk, claim: Claim) -> None:
    """Raise what nobody foresaw, with a secret in it."""
    del desk
    raise ValueError(f"secret {claim.job.id}")


def refuse(desk: Desk, claim: Claim) -> None:
    """Say no."""
    del desk, claim
    raise BadOption("This is not what was wanted.")


TASKS: Final[dict[str, Task]] = {
    "checksum": checksum,
    "split": split,
    "part": part,
    "where": where,
    "poison": poison,
    "greedy": greedy,
    "deaf": deaf,
    "defect": defect,
    "refuse": refuse,
}
ENTRY: Final = "tests.chaos.tasks:TASKS"
