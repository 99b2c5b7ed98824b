"""``--save FOLDER``: annotated pictures, and the files of formats that make one a picture."""

from pathlib import Path, PurePosixPath

from sightline.errors import BadOption, StorageFull


class Folder:
    """Files under ``root``; two pictures never share a name, and nothing is written outside."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._taken: set[PurePosixPath] = set()
        try:
            root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadOption(
                f"--save {root} cannot be made: {error.strerror}.", next_step="Name another folder."
            ) from error

    def reserve(self, place: PurePosixPath) -> PurePosixPath:
        """The place without its suffix, and with a number when another picture already has it."""
        stem = place.with_suffix("")
        wanted, number = stem, 1
        while wanted in self._taken:
            number += 1
            wanted = stem.with_name(f"{stem.name}-{number}")
        self._taken.add(wanted)
        return wanted

    def write(self, stem: PurePosixPath, ending: str, data: bytes) -> Path:
        """Write one file next to its siblings of the same picture."""
        path = self.root / stem.with_name(stem.name + ending)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        except OSError as error:
            raise StorageFull(
                f"{path} cannot be written: {error.strerror}.",
                next_step="Free some space, or name another folder.",
            ) from error
        return path
