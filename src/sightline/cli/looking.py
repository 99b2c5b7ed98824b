"""The work of ``sightline predict``: every picture along the road, several at once, answers in order."""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import click

from sightline.cli.exits import words
from sightline.cli.output import Writer, open_writer, sidecar
from sightline.cli.progress import Progress
from sightline.cli.saving import Folder
from sightline.cli.sources import Picture, expand, is_many
from sightline.cli.terminal import clean
from sightline.errors import BadOption, DeadlineExceeded, InputError, SightlineError
from sightline.formats import yolo
from sightline.formats.text import as_typed
from sightline.registry import Bundle
from sightline.registry.labels import near
from sightline.serving.parallel import in_order
from sightline.serving.road import Road
from sightline.settings import Settings
from sightline.types import Ask, Result

_CLASSES = PurePosixPath("classes")
"""What the numbers in YOLO's files mean stands in classes.txt; no picture may take that name."""


@dataclass(frozen=True, slots=True)
class Order:
    """What was asked for on the command line."""

    sources: tuple[str, ...]
    ask: Ask
    kind: str
    save: Path | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one picture: an answer (and its drawing, if wanted), or an error."""

    result: Result | None = None
    drawing: bytes = b""
    digest: str = ""
    """SHA-256 of the picture's bytes."""
    error: SightlineError | None = None


def look_at(order: Order, settings: Settings) -> int:
    """Answer the order on standard output.

    Returns:
        The number of pictures that failed; each has been reported on standard error.

    Raises:
        SightlineError: The order or the model is wrong, so no picture can be answered.
    """
    writer = open_writer(order.kind, many=is_many(order.sources), saved=order.save)
    folder = Folder(order.save) if order.save else None
    if folder:
        folder.reserve(_CLASSES)
    leave = threading.Event()
    pictures = list(expand(order.sources, settings, leave))
    with _set_at_the_end(leave), Road.open(settings) as road:
        bundle = road.registry.resolve(settings.model or None)
        bundle.manifest.at(order.ask.size)  # a size that is not offered is said before any model is loaded
        check_labels(order.ask, bundle)
        road.load(bundle.reference)  # loading must not count against the deadline of the first picture
        desk = _Desk(road, bundle, order, writer, folder)
        return desk.work_off(pictures, threads=min(settings.decoder_count + 2, settings.waiting_max))


@contextmanager
def _set_at_the_end(leave: threading.Event) -> Iterator[None]:
    try:
        yield
    finally:
        leave.set()


class _Desk:
    """Pictures come in, answers go out."""

    def __init__(
        self, road: Road, bundle: Bundle, order: Order, writer: Writer, folder: Folder | None
    ) -> None:
        self.road, self.bundle, self.order = road, bundle, order
        self.writer, self.folder = writer, folder
        self.named = False
        """Whether the file that names the classes of YOLO's numbers has been written."""

    def work_off(self, pictures: list[Picture], *, threads: int) -> int:
        progress = Progress(len(pictures))
        failed = 0
        try:
            for picture, outcome in in_order(pictures, self.look, threads=threads):
                progress.pause()
                failed += outcome.error is not None
                self.hand_out(picture, outcome)
                progress.step()
        finally:
            progress.pause()
        self.writer.end()
        return failed

    def look(self, picture: Picture) -> Outcome:
        """The answer about one picture. Its own faults are outcomes; those of the model end the command."""
        try:
            data = picture.read()
        except SightlineError as error:
            return Outcome(error=error)
        try:
            result = self.road.predict(
                data, source=picture.source, model=self.bundle.reference, ask=self.order.ask
            )
            drawing = self.road.decoder.draw(data, result, _media_type(picture)) if self.folder else b""
        except (InputError, DeadlineExceeded) as error:
            return Outcome(error=error)
        return Outcome(result, drawing, hashlib.sha256(data).hexdigest())

    def hand_out(self, picture: Picture, outcome: Outcome) -> None:
        if outcome.error is not None:
            self.writer.fail(picture.source, outcome.error)
            click.echo(f"{clean(picture.source)}: {words(outcome.error)}", err=True)
        elif outcome.result is not None:
            self.writer.add(outcome.result, outcome.digest)
            self.save(picture, outcome.result, outcome.drawing)

    def save(self, picture: Picture, result: Result, drawing: bytes) -> None:
        if self.folder is None:
            return
        stem = self.folder.reserve(picture.place)
        ending = "png" if _media_type(picture) == "image/png" else "jpg"
        self.folder.write(stem, f"_annotated.{ending}", drawing)
        if self.order.kind in {"yolo", "voc"}:
            suffix, text = sidecar(self.order.kind, result)
            self.folder.write(stem, suffix, text.encode("utf-8"))
        if self.order.kind == "yolo" and not self.named:
            self.folder.write(_CLASSES, ".txt", yolo.classes(result.labels).encode("utf-8"))
            self.named = True


def check_labels(ask: Ask, bundle: Bundle) -> None:
    """A label that the model does not know would silently find nothing.

    Raises:
        BadOption: Names the labels that are near.
    """
    for label in sorted(ask.labels or ()):
        if label not in bundle.labels:
            known = [as_typed(other) for other in near(label, bundle.labels)]
            advice = (
                f"Did you mean {', '.join(known)}?"
                if known
                else f"`sightline models show {bundle.name}` lists them."
            )
            raise BadOption(f"The model {bundle.name} has no label {label!r}.", next_step=advice)


def _media_type(picture: Picture) -> str:
    return "image/png" if picture.place.suffix.lower() == ".png" else "image/jpeg"
