"""``--job``: the same work, written down for a worker instead of done here."""

import glob
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from sightline.errors import BadOption, NotFound
from sightline.settings import Settings

if TYPE_CHECKING:
    from sightline.jobs.ledger import Ledger
    from sightline.jobs.orders import Order, Place
    from sightline.storage.job_kept import Job
    from sightline.types import Ask


@dataclass(frozen=True, slots=True)
class Work:
    """How a command's work is to be done."""

    job: bool = False
    wait: bool = False
    run: bool = False
    priority: int | None = None
    """``None``: the usual one, 0."""

    @property
    def elsewhere(self) -> bool:
        """Whether it becomes a job at all; waiting for one makes it one."""
        return self.job or self.wait or self.run


def job_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--job``, ``--wait``, ``--run`` and ``--priority``; the command gets one argument ``work``."""

    @wraps(function)
    def command(*args: Any, **kwargs: Any) -> Any:
        work = Work(
            kwargs.pop("job"), kwargs.pop("job_wait"), kwargs.pop("job_run"), kwargs.pop("job_priority")
        )
        if work.priority is not None and not work.elsewhere:
            raise BadOption("--priority is for jobs.", next_step="Add --job, or leave --priority out.")
        return function(*args, work=work, **kwargs)

    wrapped: Callable[..., Any] = click.option(
        "--priority",
        "job_priority",
        type=click.IntRange(-100, 100),
        help="Of the job; higher goes first.  [default: 0]",
    )(command)
    for name, key, words in (
        ("--run", "job_run", "As --wait, with a worker here that ends with this command."),
        ("--wait", "job_wait", "As --job, and wait until it has ended."),
        ("--job", "job", "Submit it as a job for a worker, print the job's id, and end."),
    ):
        wrapped = click.option(name, key, is_flag=True, help=words)(wrapped)
    return wrapped


def submit_pictures(
    sources: Sequence[str], ask: "Ask", settings: Settings, work: Work, *, as_json: bool
) -> int:
    """A job of pictures; the exit code.

    Raises:
        SightlineError: A source, a wish or the model is off, or no more jobs may wait.
    """
    from sightline.jobs.inputs import (  # noqa: PLC0415
        LIST_TYPE,
        PREDICT,
        Inputs,
        PredictOrder,
        listed_name,
        urls_blob,
    )
    from sightline.jobs.ledger import Ledger  # noqa: PLC0415
    from sightline.jobs.video import SUFFIXES  # noqa: PLC0415
    from sightline.storage.kept import Picture  # noqa: PLC0415

    videos = [word for word in sources if Path(word).suffix.lower() in SUFFIXES and Path(word).is_file()]
    if videos:
        return _submit_video(videos, sources, ask, settings, work, as_json=as_json)
    words = [_word(source, settings) for source in sources]
    model = _model(settings, ask)
    with Ledger.open(settings) as ledger:
        listed = ledger.keep(Picture(urls_blob(words), LIST_TYPE))
        called = listed_name([_called(source) for source in sources[:3]])
        payload = PredictOrder(Inputs("files", listed, 0, name=called), model, ask).to_json()
        job = ledger.submit(PREDICT, payload, priority=work.priority or 0, blobs=[listed])
        return _follow(ledger, job, settings, work, as_json=as_json)


def _called(source: str) -> str:
    """What a list of jobs shows of a source: the end of a path, or an address without name and query."""
    parts = urlsplit(source)
    if parts.netloc:
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"[:200]
    return Path(source).absolute().name[:200]


def _submit_video(
    videos: Sequence[str],
    sources: Sequence[str],
    ask: "Ask",
    settings: Settings,
    work: Work,
    *,
    as_json: bool,
) -> int:
    """A job of a video: each is a job of its own, for objects go on from frame to frame."""
    from sightline.jobs.ledger import Ledger  # noqa: PLC0415
    from sightline.jobs.video import LIMIT_S, VIDEO, VideoOrder  # noqa: PLC0415

    if len(sources) > 1:
        raise BadOption(
            f"{videos[0]} is a video, and a job takes one video or any number of pictures.",
            next_step="Submit each video by itself.",
        )
    path = Path(videos[0])
    order = VideoOrder("file", str(path.absolute()), path.name, _model(settings, ask), ask)
    with Ledger.open(settings) as ledger:
        job = ledger.submit(VIDEO, order.to_json(), priority=work.priority or 0, limit_s=LIMIT_S)
        return _follow(ledger, job, settings, work, as_json=as_json)


def submit_order(order: "Order", settings: Settings, work: Work, *, as_json: bool) -> int:
    """A job of one piece; the exit code.

    Raises:
        SightlineError: No more jobs may wait, or the database cannot be written.
    """
    from sightline.jobs.ledger import Ledger  # noqa: PLC0415
    from sightline.jobs.orders import LIMITS_S, blobs_of, kind_of, to_json  # noqa: PLC0415

    kind = kind_of(order)
    with Ledger.open(settings) as ledger:
        job = ledger.submit(
            kind,
            to_json(order),
            priority=work.priority or 0,
            limit_s=LIMITS_S[kind],
            blobs=blobs_of(order),
        )
        return _follow(ledger, job, settings, work, as_json=as_json)


def place_of(path: Path) -> "Place":
    """A file of this machine, by its whole path."""
    from sightline.jobs.orders import Place  # noqa: PLC0415

    return Place("path", str(path.absolute()), path.name)


def _word(source: str, settings: Settings) -> str:
    """A source as a worker understands it: it runs in another folder."""
    from sightline.cli.sources import is_address  # noqa: PLC0415
    from sightline.storage import folders, prefixes  # noqa: PLC0415

    if source == "-":
        raise BadOption("A job cannot read standard input.", next_step="Give files, or leave out --job.")
    if is_address(source):
        return source
    if prefixes.is_prefix(source):
        prefixes.check(source, settings.job_prefixes)
        return source
    path = Path(source)
    folders.check(source)
    if path.exists():
        return str(path.absolute())
    if not glob.has_magic(source):
        raise NotFound(f"There is no file {source}.", next_step="Check the name.")
    return source if path.is_absolute() else f"{glob.escape(str(Path.cwd()))}/{source}"


def _model(settings: Settings, ask: "Ask") -> str | None:
    """The model; what is off with it or the wishes is said now, unless workers elsewhere have their own."""
    if settings.database:
        return settings.model or None
    from sightline.registry import Registry  # noqa: PLC0415
    from sightline.vision import heads  # noqa: PLC0415

    bundle = Registry(settings).resolve(settings.model or None)
    bundle.manifest.at(ask.size)
    heads.need(bundle.manifest, ask)
    return bundle.reference


def _follow(ledger: "Ledger", job: "Job", settings: Settings, work: Work, *, as_json: bool) -> int:
    from sightline.cli.jobs import waiting  # noqa: PLC0415

    if work.wait or work.run:
        click.echo(f"Job {job.id}", err=True)
        job = waiting.wait(ledger, job, settings, run=work.run)
        return int(waiting.say_how_it_ended(job, as_json=as_json))
    body: Mapping[str, Any] = job.to_json()
    click.echo(json.dumps(body, indent=2) if as_json else job.id)
    if not waiting.is_taken(ledger, job, settings):
        waiting.say_that_nobody_works(job)
    return 0
