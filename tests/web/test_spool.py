"""A large file of a form, while it is received: a full disk is said, whenever it shows."""

from pathlib import Path

import pytest
from tests.worker.test_places import files_of_at_most

from sightline.errors import StorageFull
from sightline.jobs.ledger import Ledger
from sightline.settings import Settings
from sightline.web.uploads import Kept, _Spool


@pytest.mark.parametrize("size", [5_000, 50_000], ids=["less than is written at once", "more"])
def test_an_upload_that_does_not_fit_is_said(data_settings: Settings, tmp_path: Path, size: int) -> None:
    spool = _Spool(tmp_path / "spool")

    def received(ledger: Ledger) -> Kept:
        spool.write(bytes(size))
        return spool.keep(ledger, "film", zipped=False)

    with Ledger.open(data_settings) as ledger:
        with pytest.raises(StorageFull, match="File too large"), files_of_at_most(4_000):
            received(ledger)
        spool.drop()
        assert ledger.blobs.digests() == []
    assert list((tmp_path / "spool").iterdir()) == []
