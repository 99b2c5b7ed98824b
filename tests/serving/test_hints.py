"""Label files as people write them."""

from pathlib import Path

import pytest

from sightline.errors import BadOption
from sightline.serving.hints import Hints, parse_labels, read_labels


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("cat\ndog\n", ("cat", "dog")),
        ("  cat \r\n\r\n dog", ("cat", "dog")),
        ('["cat", " dog"]', ("cat", "dog")),
        ('{"0": "cat", "1": "dog", "10": "z", "2": "cow"}', ("cat", "dog", "cow", "z")),
        ("n01440764 tench, Tinca tinca\nn01443537 goldfish", ("tench, Tinca tinca", "goldfish")),
        ("0: cat\n1: dog", ("cat", "dog")),
        ("0 cat\n1 dog", ("cat", "dog")),
        ("0,cat\n1,dog", ("cat", "dog")),
        ("1 cent\n2 cents", ("1 cent", "2 cents")),
        ("3d glasses\nhat", ("3d glasses", "hat")),
        ("[not json", ("[not json",)),
        ("", ()),
    ],
)
def test_labels_are_read_as_they_were_meant(text: str, labels: tuple[str, ...]) -> None:
    assert parse_labels(text) == labels


def test_a_file_is_read_with_or_without_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_bytes(b"\xef\xbb\xbfk\xc3\xa4tzchen\nhund")
    assert read_labels(path) == ("k\u00e4tzchen", "hund")
    assert Hints.of({"labels": path}).label_list == ("k\u00e4tzchen", "hund")


@pytest.mark.parametrize("data", [b"", b"\xff\xfe\x00", b"x" * (5 << 20)])
def test_a_file_that_is_no_list_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "labels.txt"
    path.write_bytes(data)
    with pytest.raises(BadOption):
        read_labels(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadOption, match="cannot be read"):
        read_labels(tmp_path / "none.txt")
