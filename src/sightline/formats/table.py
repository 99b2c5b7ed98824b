"""CSV: one row per object or class, one row with empty fields for a picture without any.

The last two columns are what a pipeline says of the row and of the picture; empty from other models.

UTF-8, decimal points, text in quotes, numbers bare. A text cell that a spreadsheet would run as a
formula gets a leading apostrophe (CVE-2022-24770 in another program shows why).
"""

import csv as _csv
import io
from collections.abc import Iterable, Mapping

from sightline.formats import native
from sightline.types import Result, Staged

COLUMNS = (
    "image", "image_sha256", "width", "height", "label", "score", "x1", "y1", "x2", "y2",
    "model", "model_sha256", "verdict", "picture_verdict",
)  # fmt: skip
_SIDES = ("x1", "y1", "x2", "y2")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def csv(results: Iterable[Result], digests: Mapping[str, str]) -> str:
    """The table of all results; ``digests``: result id -> SHA-256 of its picture's bytes, where it is known.

    Of pictures out of a zip or a bucket only the place is known.
    """
    text = io.StringIO()
    writer = _csv.writer(text, quoting=_csv.QUOTE_NONNUMERIC, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for result in results:
        picture = [safe(result.source), digests.get(result.id, ""), result.width, result.height]
        model = [f"{result.model.name}@{result.model.version}", result.model.digest.removeprefix("sha256:")]
        told = safe(result.prediction.verdict) if isinstance(result.prediction, Staged) else ""
        for row, verdict in _rows(result) or [([""] * 6, "")]:
            writer.writerow([*picture, *row, *map(safe, model), safe(verdict), told])
    return text.getvalue()


def _rows(result: Result) -> list[tuple[list[str | float], str]]:
    """Label, score and box of each row, and what a pipeline says of it."""
    return [
        (
            [
                safe(row["label"]),
                row["score"],
                *(row.get("box", {}).get(side, "") for side in _SIDES),
            ],
            row.get("verdict", ""),
        )
        for row in native.plain(result)
    ]


def safe(cell: str) -> str:
    """A text cell that no spreadsheet runs as a formula."""
    return f"'{cell}" if cell.lstrip(" ").startswith(_FORMULA) else cell
