"""From a job's inputs to a list of pictures, and from an item back to its picture."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.worker.working import zipped

from sightline.errors import BadOption, NotFound
from sightline.jobs import pictures as listing
from sightline.jobs.inputs import Inputs, listed_name, pictures_blob, shared_name, urls_blob
from sightline.jobs.ledger import Ledger
from sightline.jobs.pictures import Entry, Pictures, RefusedEntry, unique
from sightline.settings import Settings
from sightline.storage.blobs import Blobs
from sightline.storage.job_kept import Item


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs(tmp_path / "blobs")


@pytest.fixture
def pictures(blobs: Blobs) -> Iterator[Pictures]:
    with Pictures(Settings(), blobs) as made:
        yield made


def _files(blobs: Blobs, *words: object) -> Inputs:
    return Inputs("files", blobs.put(urls_blob([str(word) for word in words])))


def _uploads(blobs: Blobs, *files: tuple[str, bytes]) -> Inputs:
    pairs = [(blobs.put(data), name) for name, data in files]
    return Inputs("pictures", blobs.put(pictures_blob(pairs)), len(pairs))


def test_words_of_the_command_line(tmp_path: Path, blobs: Blobs, pictures: Pictures) -> None:
    (tmp_path / "trip").mkdir()
    for name in ("b.jpg", "a.png", "notes.txt"):
        (tmp_path / "trip" / name).write_bytes(name.encode())
    (tmp_path / "old.zip").write_bytes(zipped({"x/y.jpg": b"y", "z.jpg": b"z"}))
    entries = pictures.listed(
        _files(
            blobs, tmp_path / "trip", tmp_path / "old.zip", "https://example.org/p.jpg", f"{tmp_path}/t*/b.*"
        )
    )
    assert [entry.source for entry in entries] == [
        f"{tmp_path}/trip/a.png",
        f"{tmp_path}/trip/b.jpg",
        f"{tmp_path}/old.zip/x/y.jpg",
        f"{tmp_path}/old.zip/z.jpg",
        "https://example.org/p.jpg",
        f"{tmp_path}/trip/b.jpg",
    ]
    assert [pictures.read(entry) for entry in entries[:4]] == [b"a.png", b"b.jpg", b"y", b"z"]
    assert [Entry.from_json(entry.to_json()) for entry in entries] == entries


def test_every_item_leads_back_to_its_picture(tmp_path: Path, blobs: Blobs, pictures: Pictures) -> None:
    (tmp_path / "a.jpg").write_bytes(b"a")
    (tmp_path / "old.zip").write_bytes(zipped({"x/y.jpg": b"y", "z.jpg": b"z"}))
    uploads = _uploads(blobs, ("p.jpg", b"1"), ("p.jpg", b"2"), ("trip.zip", zipped({"in/q.jpg": b"q"})))
    for inputs in (_files(blobs, tmp_path / "a.jpg", tmp_path / "old.zip"), uploads):
        for entry in pictures.listed(inputs):
            assert pictures.locate(inputs, entry.source) == pictures.read(entry)
    assert pictures.locate(uploads, "p (2).jpg") == b"2"


def test_a_name_that_is_not_utf_8_is_told_and_found_again(
    tmp_path: Path, blobs: Blobs, pictures: Pictures, data_settings: Settings
) -> None:
    odd = tmp_path / os.fsdecode(b"caf\xe9")
    odd.mkdir()
    (odd / os.fsdecode(b"\xff.jpg")).write_bytes(b"a")
    (odd / "old.zip").write_bytes(zipped({"z.jpg": b"z"}))
    (tmp_path / "real\\ud.jpg").write_bytes(b"b")
    inputs = _files(blobs, odd, odd / "old.zip", tmp_path / "real\\ud.jpg", odd / "none.jpg", odd / "*.gif")
    entries = pictures.listed(inputs)
    assert [entry.source.removeprefix(f"{tmp_path}/") for entry in entries] == [
        "caf\\udce9/\\udcff.jpg",
        "caf\\udce9/old.zip/z.jpg",
        "real\\ud.jpg",
        "caf\\udce9/none.jpg",
        "caf\\udce9/*.gif",
    ]
    assert [pictures.locate(inputs, entry.source) for entry in entries[:3]] == [b"a", b"z", b"b"]
    with Ledger.open(data_settings) as ledger:
        ledger.submit("work", {})
        claim = ledger.claim("test", ("work",))
        assert claim is not None
        ledger.put_items(
            claim, [Item(claim.root, number, entry.source, "done") for number, entry in enumerate(entries)]
        )
        assert [item.source for item in ledger.items(claim.root).items] == [one.source for one in entries]
    with pytest.raises(NotFound) as caught:
        pictures.read(entries[3])
    assert caught.value.message.encode("utf-8")
    listed_name([str(odd), str(odd)]).encode("utf-8")
    shared_name([str(odd)]).encode("utf-8")


def test_names_of_uploads_never_open_files_of_this_machine(
    tmp_path: Path, blobs: Blobs, pictures: Pictures
) -> None:
    secret = tmp_path / "secret.jpg"
    secret.write_bytes(b"secret")
    uploads = _uploads(blobs, ("p.jpg", b"1"))
    with pytest.raises(NotFound):
        pictures.locate(uploads, str(secret))
    with pytest.raises(NotFound):
        pictures.locate(Inputs("urls", blobs.put(urls_blob(["https://example.org"]))), str(secret))
    named = _uploads(blobs, (str(secret), b"1"))
    (entry,) = pictures.listed(named)
    assert (pictures.read(entry), pictures.locate(named, str(secret))) == (b"1", b"1")


def test_a_zip_without_pictures_and_a_prefix_that_is_not_allowed_say_so(
    blobs: Blobs, pictures: Pictures
) -> None:
    for inputs, code in (
        (_uploads(blobs, ("trip.zip", zipped({"notes.txt": b""}))), "not_found"),
        (_uploads(blobs, ("trip.zip", b"junk")), "bad_option"),
        (Inputs("prefix", place="s3://secret/"), "bad_option"),
        (_files(blobs, "s3://secret/a.jpg"), "bad_option"),
    ):
        (entry,) = pictures.listed(inputs)
        with pytest.raises(RefusedEntry) as error:
            pictures.read(Entry.from_json(entry.to_json()))
        assert listing.words_of(error.value)["code"] == code


def test_archives_do_not_pile_up(tmp_path: Path, blobs: Blobs, pictures: Pictures) -> None:
    for number in range(9):
        (tmp_path / f"{number}.zip").write_bytes(zipped({"a.jpg": bytes([number])}))
    entries = pictures.listed(_files(blobs, *(tmp_path / f"{number}.zip" for number in range(9))))
    for _ in range(2):
        assert [pictures.read(entry) for entry in entries] == [bytes([number]) for number in range(9)]
        assert len(pictures._open) <= listing._OPEN_MAX
    (tmp_path / "0.zip").write_bytes(zipped({"b.jpg": b"other"}))
    assert pictures.read(entries[0]) == b"other", "another file under the same name is not the old one"
    (tmp_path / "0.zip").unlink()
    with pytest.raises(NotFound):
        pictures.read(entries[0])


def test_a_job_has_an_end(blobs: Blobs, pictures: Pictures, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "PICTURES_MAX", 2)
    inputs = Inputs("urls", blobs.put(urls_blob(["https://example.org"] * 3)))
    with pytest.raises(BadOption, match="more than 2"):
        pictures.listed(inputs)


def test_listing_can_be_ended(blobs: Blobs, pictures: Pictures) -> None:
    inputs = Inputs("urls", blobs.put(urls_blob(["https://example.org"] * 3)))
    with pytest.raises(ZeroDivisionError):
        pictures.listed(inputs, lambda: 1 // 0)  # type: ignore[arg-type]


@given(st.lists(st.sampled_from(["a.jpg", "a (2).jpg", "b", "b (2)", "x.zip"]), max_size=9))
def test_no_two_uploads_share_a_name(names: list[str]) -> None:
    made = [name for _, name in unique([("", name) for name in names])]
    assert len(set(made)) == len(made)
    assert [
        name for name, old in zip(made, names, strict=True) if names.count(old) == 1 and name != old
    ] == []
