"""The list of members of a zip is counted before anything is made of it."""

import io
import struct
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from sightline.errors import BadOption
from sightline.storage import archive
from sightline.storage.archive import MEMBERS_MAX, Archive, open_zip

_MB = 1 << 20


def _listing(entries: int, *, said: int | None = None, padding: int = 0) -> bytes:
    """A zip that is nothing but a list of members, all without a name, and its end record."""
    entry = struct.pack("<4s4B4HL2L5H2L", b"PK\x01\x02", *(20, 3, 20, 0), *[0] * 14)
    body = entry * entries + bytes(padding)
    count = min(0xFFFF, entries if said is None else said)
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, count, count, len(body), 0, 0)
    return body + end


def _listing64(entries: int) -> bytes:
    """The same with the records of ZIP64, which the usual one leaves everything to."""
    entry = struct.pack("<4s4B4HL2L5H2L", b"PK\x01\x02", *(20, 3, 20, 0), *[0] * 14)
    body = entry * entries
    end64 = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, entries, entries, len(body), 0)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, len(body), 1)
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    return body + end64 + locator + end


@pytest.mark.parametrize(
    "data",
    [_listing(100_000), _listing(100_000, said=1), _listing64(100_000)],
    ids=["honest", "lie", "zip64"],
)
def test_a_hundred_thousand_entries_cost_their_bytes_and_no_objects(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "many.zip"
    path.write_bytes(data)
    tracemalloc.start()
    try:
        with pytest.raises(BadOption, match="100000 members, and at most 20000"):
            Archive(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 12 * _MB, "an object of each entry would be 40 MB"


def test_a_list_that_is_too_long_is_not_even_read() -> None:
    class Watched(io.BytesIO):
        longest = 0

        def read(self, size: int | None = -1, /) -> bytes:
            self.longest = max(self.longest, size or 0)
            return super().read(size)

    body = bytes(20 * _MB)
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, len(body), 0, 0)
    stream = Watched(body + end)
    with pytest.raises(BadOption, match="a list of members of more than 10240000 bytes"):
        open_zip(stream, "a.zip")
    assert stream.longest <= 512 * MEMBERS_MAX + 1


def test_as_many_as_may_be_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MEMBERS_MAX", 300)
    path = tmp_path / "names.zip"
    with zipfile.ZipFile(path, "w") as made:
        for number in range(300):
            made.writestr(f"{'folder/' * 20}{number:03d}.jpg", b"x")
        made.comment = b"a comment " * 5000
    with Archive(path) as opened:
        members = opened.members(frozenset({".jpg"}))
        assert len(members) == 300
        assert opened.read(members[7].number, 10) == b"x"


def test_a_file_that_may_not_be_opened_is_a_refusal(tmp_path: Path) -> None:
    with pytest.raises(BadOption, match="cannot be read as a zip: No such file"):
        Archive(tmp_path / "none.zip")
