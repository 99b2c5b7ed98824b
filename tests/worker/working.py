"""Working jobs off in this process: what a worker does, without the processes around it."""

import io
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image

from sightline.errors import SightlineError
from sightline.jobs.inputs import LIST_TYPE, PREDICT, Inputs, PredictOrder, pictures_blob, urls_blob
from sightline.storage.job_kept import Item, Job
from sightline.storage.kept import Picture
from sightline.types import Ask
from sightline.worker.desk import Desk
from sightline.worker.tasks import TASKS


def work_off(desk: Desk, check: Callable[[str], None] = lambda _: None) -> int:
    """Do all that waits; how many rows that were. ``check`` is called with each kind before its work."""
    count = 0
    while claim := desk.ledger.claim("test", tuple(TASKS)):
        check(claim.job.kind)
        count += 1
        try:
            desk.ledger.finish(claim, TASKS[claim.job.kind](desk, claim))
        except SightlineError as error:
            words = {"code": error.code, "message": error.message, "next_step": error.next_step}
            desk.ledger.fail(claim, words, retry=False)
    return count


def submit_files(desk: Desk, *words: object, model: str | None = None, ask: Ask | None = None) -> Job:
    """A job as the command line submits it."""
    digest = desk.ledger.keep(Picture(urls_blob([str(word) for word in words]), LIST_TYPE))
    order = PredictOrder(Inputs("files", digest), model, ask or Ask())
    return desk.ledger.submit(PREDICT, order.to_json(), blobs=[digest])


def submit_uploads(desk: Desk, *files: tuple[str, bytes]) -> Job:
    """A job as HTTP submits it: (name, bytes) of each."""
    pairs = [(desk.ledger.keep(Picture(data, "application/octet-stream")), name) for name, data in files]
    digest = desk.ledger.keep(Picture(pictures_blob(pairs), LIST_TYPE))
    order = PredictOrder(Inputs("pictures", digest, len(pairs)))
    return desk.ledger.submit(PREDICT, order.to_json(), blobs=[digest, *(it for it, _ in pairs)])


def items_of(desk: Desk, job: Job) -> tuple[Item, ...]:
    """All of them."""
    return desk.ledger.items(job.id, limit=10_000).items


def square(colour: tuple[int, int, int] = (255, 0, 0), kind: str = "PNG") -> bytes:
    """A picture with a square of one colour in the middle of black."""
    image = Image.new("RGB", (64, 64))
    image.paste(colour, (16, 16, 48, 48))
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()


def album(folder: Path, count: int, *, broken: Sequence[int] = ()) -> Path:
    """Pictures ``000.png`` …, each a little different; those in ``broken`` are no pictures."""
    folder.mkdir(parents=True)
    for number in range(count):
        data = b"no picture" if number in broken else square((255 - number, number, 0))
        (folder / f"{number:03d}.png").write_bytes(data)
    return folder


def zipped(files: dict[str, bytes]) -> bytes:
    """A zip of them."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return file.getvalue()
