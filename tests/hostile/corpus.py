"""The hostile pictures of the shared material, for every test that feeds them to some door.

Handle with care: never open them outside a child process.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FILES = 763
"""How many there are; a test that saw fewer has proved less."""


@dataclass(frozen=True, slots=True)
class Hostile:
    """One file: its name inside the corpus and its bytes."""

    name: str
    data: bytes


def hostile_pictures(shared: Path) -> Iterator[Hostile]:
    """All files of ``shared/badimages``, in a fixed order.

    Args:
        shared: The folder of shared material (the fixture ``shared``).
    """
    folder = shared / "badimages"
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.parent != folder:
            yield Hostile(path.relative_to(folder).as_posix(), path.read_bytes())


def percentile(values: list[float], share: float) -> float:
    """The value below or at which ``share`` (0..1) of the values lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def memory_of(pid: int) -> int:
    """Resident bytes of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024
