"""The store: rows and pictures together, owners apart, nothing kept for ever."""

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from sightline.errors import BadOption, NotFound, StorageFull
from sightline.storage.kept import Draft, Picture, Search
from sightline.storage.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "results", retention_days=30)
    yield opened
    opened.close()


@pytest.fixture(params=["sqlite", "postgres"])
def either(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A store over each database."""
    url = request.getfixturevalue("postgres").database() if request.param == "postgres" else ""
    opened = Store(tmp_path / "results", database=url, retention_days=30)
    yield opened
    opened.close()


def payload(result_id: str, source: str = "cat.jpg") -> dict[str, Any]:
    return {
        "id": result_id,
        "source": source,
        "model": {"name": "tiny", "version": "1", "digest": "sha256:" + "0" * 64},
        "task": "detect",
        "image": {"width": 20, "height": 10},
        "predictions": [{"label": "cat", "label_id": 0, "score": 0.9}],
    }


def draft(result_id: str, *, image: bytes = b"picture", owner: str = "me", source: str = "cat.jpg") -> Draft:
    return Draft(
        id=result_id,
        payload=payload(result_id, source),
        min_score=0.35,
        counts={"cat": 1},
        input_sha256="f" * 64,
        image=Picture(image, "image/jpeg"),
        thumbnail=Picture(b"small " + image, "image/webp"),
        owner=owner,
    )


def test_a_kept_result_comes_back_whole(either: Store) -> None:
    record = either.keep(draft("a1"))
    again = either.get("a1")
    assert again == record
    assert again.payload == payload("a1")
    assert (again.min_score, again.counts, again.width) == (0.35, {"cat": 1}, 20)
    assert either.image("a1") == Picture(b"picture", "image/jpeg")
    assert either.thumbnail("a1") == Picture(b"small picture", "image/webp")
    assert abs(again.created - time.time()) < 60
    assert either.expires(again.created) == again.created + 30 * 86_400


def test_nobody_reads_or_deletes_anothers(either: Store) -> None:
    either.keep(draft("a1", owner="somebody"))
    for act in (either.get, either.image, either.thumbnail, either.remove):
        with pytest.raises(NotFound):
            act("a1")
    assert either.page(Search()).total == 0
    assert either.get("a1", owner="somebody").id == "a1"


def test_a_shared_picture_lives_as_long_as_its_last_result(either: Store) -> None:
    either.keep(draft("a1"))
    either.keep(draft("a2"))
    assert len(either.blobs.digests()) == 2
    either.remove("a1")
    assert either.image("a2").data == b"picture"
    either.remove("a2")
    assert either.blobs.digests() == []
    with pytest.raises(NotFound):
        either.remove("a2")


def test_pictures_of_the_same_input_are_found(either: Store) -> None:
    assert either.pictures_of("f" * 64) is None
    either.keep(draft("a1"))
    assert either.pictures_of("f" * 64) == (
        Picture(b"picture", "image/jpeg"),
        Picture(b"small picture", "image/webp"),
    )


def test_an_id_is_taken_once(either: Store) -> None:
    either.keep(draft("a1"))
    with pytest.raises(Exception, match=r"(?i)unique"):
        either.keep(draft("a1", image=b"other"))
    either.remove("a1")
    either.prune()
    assert either.page(Search()).total == 0


def test_the_history_goes_on_where_the_page_ended(either: Store) -> None:
    for number in range(7):
        either.keep(draft(f"id{number}"))
    first = either.page(Search(limit=3))
    second = either.page(Search(limit=3, before=first.next or ""))
    third = either.page(Search(limit=3, before=second.next or ""))
    ids = [item.id for page in (first, second, third) for item in page.items]
    assert ids == [f"id{number}" for number in range(6, -1, -1)]
    assert (first.total, third.next) == (7, None)


def test_the_history_is_searched(either: Store) -> None:
    either.keep(draft("a1", source="beach 100%.jpg"))
    either.keep(replace(draft("a2"), counts={"dog": 2}))
    wishes = (Search(label="dog"), Search(text="100%"), Search(model="tiny"), Search(model="other"))
    found = [[item.id for item in either.page(wish).items] for wish in wishes]
    assert found == [["a2"], ["a1"], ["a2", "a1"], []]


@pytest.mark.parametrize("cursor", ["x", "_", "'; drop table results"])
def test_a_wrong_cursor_is_a_sentence(store: Store, cursor: str) -> None:
    with pytest.raises(BadOption, match="before"):
        store.page(Search(before=cursor))


def test_retention_and_count_prune(tmp_path: Path) -> None:
    store = Store(tmp_path, retention_days=1 / 86_400, results_max=2)
    store.keep(draft("old"))
    time.sleep(1.1)
    for number in range(3):
        store.keep(draft(f"new{number}", image=b"%d" % number))
    assert store.prune() == 2
    assert [item.id for item in store.page(Search()).items] == ["new2", "new1"]
    assert len(store.blobs.digests()) == 4
    store.close()


def test_without_retention_nothing_expires(tmp_path: Path) -> None:
    store = Store(tmp_path, retention_days=0)
    store.keep(draft("a1"))
    assert store.prune() == 0
    assert store.expires(0.0) is None
    store.close()


def test_a_full_disk_keeps_nothing_and_reads_go_on(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.keep(draft("a1"))
    store.close()
    full = Store(tmp_path, reserve_mb=10**9)
    with pytest.raises(StorageFull):
        full.keep(draft("a2", image=b"new"))
    assert [item.id for item in full.page(Search()).items] == ["a1"]
    assert full.image("a1").data == b"picture"
    full.remove("a1")
    full.close()


def _fill(store: Store) -> None:
    for number in range(200):
        store.keep(draft(f"b{number}", source="x" * 300))


def test_a_full_database_is_storage_full(store: Store) -> None:
    store.keep(draft("a1"))

    def stop_growing(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute("PRAGMA max_page_count=1")  # SQLite takes the present size as the least

    event.listen(store.engine, "connect", stop_growing)
    store.engine.pool.dispose()
    with pytest.raises(StorageFull, match="full"):
        _fill(store)
    assert store.get("a1").id == "a1"


def test_a_lost_file_is_not_found_and_can_be_deleted(store: Store) -> None:
    record = store.keep(draft("a1"))
    store.blobs.delete(record.image)
    with pytest.raises(NotFound, match="gone"):
        store.image("a1")
    store.remove("a1")


def test_orphans_are_swept_after_an_hour(either: Store, tmp_path: Path) -> None:
    kept = either.keep(draft("a1"))
    orphan = either.blobs.put(b"nobody's")
    for digest in (orphan, kept.image):
        path = tmp_path / "results" / "blobs" / digest[:2] / digest
        os.utime(path, (time.time() - 7200,) * 2)
    either.prune()
    assert orphan not in either.blobs.digests()
    assert kept.image in either.blobs.digests()


def test_many_threads_share_one_picture(either: Store) -> None:
    failures: list[Exception] = []

    def work(number: int) -> None:
        try:
            for turn in range(6):
                name = f"t{number}-{turn}"
                either.keep(draft(name))
                assert either.image(name).data == b"picture"
                either.remove(name)
        except Exception as error:  # noqa: BLE001 - handed to the test
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert either.blobs.digests() == []
    assert either.page(Search()).total == 0


def test_nothing_is_made_before_the_first_use(tmp_path: Path) -> None:
    Store(tmp_path / "results").close()
    assert not (tmp_path / "results").exists()


def test_the_database_is_durable_and_private(store: Store, tmp_path: Path) -> None:
    store.keep(draft("a1"))
    folder = tmp_path / "results"
    assert folder.stat().st_mode & 0o077 == 0
    copy = sqlite3.connect(folder / "results.sqlite")
    assert copy.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert copy.execute("SELECT owner FROM results").fetchone() == ("me",)
    copy.close()


def test_a_lost_file_is_healed_by_keeping_the_picture_again(either: Store) -> None:
    either.keep(draft("a1"))
    assert either.pictures_of("f" * 64) is not None
    either.blobs.delete(either.get("a1").image)
    assert either.pictures_of("f" * 64) is None
    either.keep(draft("a2"))
    assert either.image("a1") == either.image("a2") == Picture(b"picture", "image/jpeg")


def test_files_go_only_after_their_rows_are_gone(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.keep(draft("a1"))
    image = store.get("a1").image

    def killed(_digest: str) -> None:
        with pytest.raises(NotFound):
            store.get("a1")
        raise KeyboardInterrupt

    monkeypatch.setattr(store.blobs, "delete", killed)
    with pytest.raises(KeyboardInterrupt):
        store.remove("a1")
    monkeypatch.undo()
    assert store.blobs.get(image) == b"picture", "a file without a row"
    old = time.time() - 7200
    for path in (store._folder / "blobs").rglob("*"):
        os.utime(path, (old, old))
    store.prune()
    assert store.blobs.digests() == []


def test_halves_of_dead_writers_are_swept(store: Store) -> None:
    store.keep(draft("a1"))
    digest = store.get("a1").image
    half = store._folder / "blobs" / digest[:2] / f".{digest}.0123abcd"
    half.write_bytes(b"half")
    store.prune()
    assert half.exists(), "somebody may be writing it"
    old = time.time() - 7200
    os.utime(half, (old, old))
    store.prune()
    assert not half.exists()
    assert store.image("a1").data == b"picture"


def test_pictures_beyond_the_bytes_are_pruned_the_oldest_first(tmp_path: Path) -> None:
    store = Store(tmp_path, results_max=0, results_mb=2.5)
    for number in range(4):
        store.keep(draft(f"a{number}", image=bytes([number]) * (1 << 20)))
        time.sleep(0.002)
    assert store.prune() == 3
    assert [item.id for item in store.page(Search()).items] == ["a3"]
    store.close()


def test_a_prune_ends_when_the_store_is_closed(tmp_path: Path) -> None:
    store = Store(tmp_path, results_max=1)
    for number in range(3):
        store.keep(draft(f"a{number}"))
    store.close()
    assert store.prune() == 0
    store.close()
