"""What a recipe names and nobody has put there."""

from pathlib import Path

from sightline.errors import BadOption


def missing(path: Path) -> BadOption:
    """The refusal of a recipe whose file or folder ``path`` is not there."""
    return BadOption(
        f"{path} does not exist.",
        next_step=(
            "Its path begins at data.root of the recipe; docs/reference/datasets.md says where data is from."
        ),
    )
