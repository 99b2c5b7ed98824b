"""What is past its time goes, also on a server beside which nobody works."""

import time
from pathlib import Path

from sqlalchemy import text
from tests.web import tiny
from tests.web.conftest import end, start

from sightline.errors import NotFound
from sightline.jobs.ledger import Ledger
from sightline.settings import load_settings
from sightline.storage.kept import Picture


def test_jobs_and_uploads_expire_without_a_worker(tmp_path: Path) -> None:
    settings = load_settings({"data_dir": str(tmp_path / "data"), "disk_reserve_mb": 0}, environment={})
    tiny.install(settings, tmp_path / "bundles")
    with Ledger.open(settings) as ledger:
        theirs, loose, fresh = (
            ledger.keep(Picture(word, "image/jpeg")) for word in (b"theirs", b"loose", b"fresh")
        )
        job = ledger.submit("predict", {}, blobs=[theirs])
        ledger.cancel(job.id)
        past = text("UPDATE jobs SET expires = 1")
        hour = text("UPDATE blobs SET kept = 1 WHERE digest IN (:one, :two)")
        ledger.database.write(lambda it: it.execute(past))
        ledger.database.write(lambda it: it.execute(hour, {"one": theirs, "two": loose}))
        running = start(settings.data_path, workers=0)
        try:
            until = time.monotonic() + 60
            while _kept(ledger, theirs) or _kept(ledger, loose):
                assert time.monotonic() < until, "".join(running.log)
                time.sleep(0.05)
        finally:
            end(running)
        assert _kept(ledger, fresh), "it is kept for an hour"
        assert ledger.was_here(job.id)


def _kept(ledger: Ledger, digest: str) -> bool:
    try:
        return bool(ledger.blobs.get(digest))
    except NotFound:
        return False
