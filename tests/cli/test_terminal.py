import io

import pytest

from sightline.cli.progress import Progress
from sightline.cli.terminal import clean, columns, duration, size


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ünïcode 猫", "plain ünïcode 猫"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("two\nlines", "two lines"),
        ("right\u202eleft", "right\\u202eleft"),
        ("bell\x07", "bell\\x07"),
    ],
)
def test_clean(text: str, shown: str) -> None:
    assert clean(text) == shown


def test_columns() -> None:
    rows = [["name", "size"], ["a", "10"], ["long name", "9"]]
    assert columns(rows, right=frozenset({1})) == "name       size\na            10\nlong name     9"
    assert columns([]) == ""


@pytest.mark.parametrize(
    ("count", "shown"),
    [(0, "0 B"), (999, "999 B"), (3_700_000, "3.7 MB"), (178_000_000, "178 MB"), (2e12, "2000 GB")],
)
def test_size(count: float, shown: str) -> None:
    assert size(count) == shown


@pytest.mark.parametrize(("seconds", "shown"), [(48, "48 s"), (180, "3 min"), (7200, "2.0 h")])
def test_duration(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_for_terminals_only() -> None:
    file, screen = io.StringIO(), Screen()
    for stream in (file, screen):
        bar = Progress(3, stream=stream)
        for _ in range(3):
            bar.step()
        bar.pause()
        bar.pause()
    assert file.getvalue() == ""
    assert "3/3 pictures" in screen.getvalue()
    assert screen.getvalue().endswith("\r\x1b[K")


def test_progress_of_one_picture_shows_nothing() -> None:
    screen = Screen()
    Progress(1, stream=screen).step()
    assert screen.getvalue() == ""


def test_progress_in_bytes() -> None:
    bar = Progress(2_000_000, unit="bytes", stream=Screen())
    bar.to(500_000)
    assert "500 kB of 2.0 MB" in bar.line(1.0)
    assert "3 s left" in bar.line(1.0)
    assert Progress(5, stream=Screen()).line(1.0).endswith("? left")
