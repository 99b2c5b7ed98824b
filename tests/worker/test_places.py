"""Files that a job needs: a full disk is said as such, and what is none is not."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.worker.working import zipped

from sightline.errors import BadOption, StorageFull
from sightline.jobs.ledger import Ledger
from sightline.jobs.orders import Place
from sightline.settings import Settings
from sightline.storage.kept import Picture
from sightline.worker.desk import Desk
from sightline.worker.places import data_set_of, file_of


@pytest.fixture
def desk(data_settings: Settings) -> Iterator[Desk]:
    with Ledger.open(data_settings) as ledger:
        made = Desk(data_settings, ledger)
        yield made
        made.close()


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """The kernel refuses to make any file larger, as it does on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def place(desk: Desk, data: bytes, name: str = "set.zip") -> Place:
    return Place("blob", desk.ledger.keep(Picture(data, "application/zip")), name)


def test_what_the_job_does_fails_for_its_own_reasons(desk: Desk) -> None:
    where = place(desk, zipped({"a/1.jpg": b"1"}))
    with pytest.raises(OSError, match="of the job") as caught, data_set_of(desk, where, lambda: None):
        raise OSError(5, "of the job")
    assert not isinstance(caught.value, StorageFull)
    assert not [path for path in desk.settings.data_path.iterdir() if path.name.startswith(".job-")]


def test_a_copy_that_does_not_fit_is_said(desk: Desk) -> None:
    where = place(desk, bytes(50_000))
    with pytest.raises(StorageFull, match="File too large"), files_of_at_most(40_000), file_of(desk, where):
        pass


def test_an_archive_that_does_not_fit_is_said(desk: Desk) -> None:
    packed = zipped({"a/1.jpg": bytes(80_000)})
    where = place(desk, packed)
    with (
        pytest.raises(StorageFull, match="File too large"),
        files_of_at_most(40_000 if len(packed) < 40_000 else len(packed) - 1),
        data_set_of(desk, where, lambda: None),
    ):
        pass


@pytest.mark.parametrize("names", [("a.jpg", "a.jpg/b.jpg"), ("a.jpg/b.jpg", "a.jpg"), (f"{'x' * 300}.jpg",)])
def test_names_that_cannot_be_files_are_the_archives_fault(desk: Desk, names: tuple[str, ...]) -> None:
    where = place(desk, zipped(dict.fromkeys(names, b"1")))
    with (
        pytest.raises(BadOption, match=r"cannot be unpacked from set\.zip"),
        data_set_of(desk, where, lambda: None),
    ):
        pass
