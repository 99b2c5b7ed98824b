"""CSV: one row per object or class, one row with empty fields for a picture without any.

UTF-8, decimal points, text in quotes, numbers bare. A text cell that a spreadsheet would run as a
formula gets a leading apostrophe (CVE-2022-24770 in another program shows why).
"""

import csv as _csv
import io
from collections.abc import Iterable, Mapping

from sightline.formats import native
from sightline.types import Result

COLUMNS = (
    "image", "image_sha256", "width", "height", "label", "score", "x1", "y1", "x2", "y2",
    "model", "model_sha256",
)  # fmt: skip
_SIDES = ("x1", "y1", "x2", "y2")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def csv(results: Iterable[Result], digests: Mapping[str, str] | None = None) -> str:
    """The table of all results; ``digests``: result id -> SHA-256 of its picture, where it is known."""
    text = io.StringIO()
    writer = _csv.writer(text, quoting=_csv.QUOTE_NONNUMERIC, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for result in results:
        picture = [_safe(result.source), (digests or {}).get(result.id, ""), result.width, result.height]
        model = [f"{result.model.name}@{result.model.version}", result.model.digest.removeprefix("sha256:")]
        for row in _rows(result) or [[""] * 6]:
            writer.writerow([*picture, *row, *map(_safe, model)])
    return text.getvalue()


def _rows(result: Result) -> list[list[str | float]]:
    found = native.plain(result)
    return [
        [_safe(row["label"]), row["score"], *(row["box"][side] if "box" in row else "" for side in _SIDES)]
        for row in found
    ]


def _safe(cell: str) -> str:
    return f"'{cell}" if cell.lstrip(" ").startswith(_FORMULA) else cell
