"""Pictures on the road: several at once, in order, and without a gap between two parts of a job.

At the end of a part the engines would run dry: the last pictures are read out and written down while nothing
new comes in. So the first pictures of the next part are on their way by then, if the line has one.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from sightline.errors import DeadlineExceeded, InputError, SightlineError
from sightline.jobs.inputs import PredictOrder
from sightline.jobs.pictures import Entry, Pictures
from sightline.registry import Bundle
from sightline.serving.keeping import THUMBNAIL_SIDE
from sightline.storage.job_kept import Claim
from sightline.vision.tasks import thumbnail_of
from sightline.worker.desk import Desk

_DEADLINE_S: Final = 120.0
"""Of one picture on the road: nobody waits for it at the other end of a line."""
_WINDOW: Final = 4
"""Pictures under way or not yet handed on, for each thread: a slow one must not pile up the others."""


@dataclass(frozen=True, slots=True)
class Part:
    """What a claim is about."""

    bundle: Bundle
    order: PredictOrder
    first: int
    entries: list[Entry]


@dataclass(frozen=True, slots=True)
class Seen:
    """What became of one picture."""

    body: Mapping[str, Any] | None = None
    """The result's JSON."""
    thumbnail: bytes = b""
    fetched: bytes = b""
    """The picture itself, where it could not be had again."""
    error: SightlineError | None = None


Row = tuple[int, Entry, Seen]
"""Index in the whole job, what was to be looked at, and what came of it."""


class _Run:
    """The pictures of one part: those under way, and those that have not begun."""

    def __init__(self, part: Part, todo: Iterable[tuple[int, Entry]]) -> None:
        self.part = part
        self.waiting: deque[tuple[int, Entry, Future[Seen]]] = deque()
        self.rest = iter(todo)
        self.all_begun = False


class Looker:
    """One for each worker process; its threads stay from one part to the next."""

    def __init__(self, desk: Desk) -> None:
        """Nothing is read yet."""
        self._desk = desk
        self._reader = Pictures(desk.settings, desk.ledger.blobs)
        wanted = desk.settings.decoder_count + desk.settings.scribe_count + 2
        self._threads = min(wanted, desk.settings.waiting_max)
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="look")
        self._early: dict[tuple[str, int], _Run] = {}

    @property
    def reader(self) -> Pictures:
        """Lists and reads; archives stay open from one part of a job to the next."""
        return self._reader

    def begin(self, claim: Claim, part: Part) -> None:
        """Let the first pictures of a part that was taken ahead go; `each` will go on with them."""
        run = _Run(part, self._todo(claim, part))
        self._fill(run, 2 * self._threads)
        self._early[claim.job.id, claim.fence] = run

    def each(self, claim: Claim, part: Part) -> Iterator[tuple[Row, bool]]:
        """What became of each picture that no earlier attempt has done, in order.

        The flag says that few are left: time to `begin` the next part.
        """
        run = self._early.pop((claim.job.id, claim.fence), None) or _Run(part, self._todo(claim, part))
        try:
            self._fill(run, _WINDOW * self._threads)
            while run.waiting:
                index, entry, future = run.waiting.popleft()
                seen = future.result()
                self._fill(run, _WINDOW * self._threads)
                yield (index, entry, seen), run.all_begun and len(run.waiting) <= 2 * self._threads
        finally:
            for _, _, future in run.waiting:
                future.cancel()

    def close(self) -> None:
        """Begin nothing more; what is under way ends when the road does."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._reader.close()

    def _todo(self, claim: Claim, part: Part) -> list[tuple[int, Entry]]:
        done = self._desk.ledger.done_indexes(claim, part.first, len(part.entries))
        return [pair for pair in enumerate(part.entries, part.first) if pair[0] not in done]

    def _fill(self, run: _Run, most: int) -> None:
        while len(run.waiting) < most:
            pair = next(run.rest, None)
            if pair is None:
                run.all_begun = True
                return
            run.waiting.append((*pair, self._pool.submit(self._see, run.part, pair[1])))

    def _see(self, part: Part, entry: Entry) -> Seen:
        """One picture. Its own faults are part of the answer; those of the model end the attempt."""
        try:
            data = self._reader.read(entry)
        except SightlineError as error:
            return Seen(error=error)
        try:
            result, shown = self._desk.road.predict_shown(
                data,
                side=THUMBNAIL_SIDE,
                source=entry.source,
                model=part.bundle.reference,
                ask=part.order.ask,
                deadline_s=_DEADLINE_S,
            )
        except (InputError, DeadlineExceeded) as error:
            return Seen(error=error)
        assert shown is not None
        fetched = data if entry.kind == "url" else b""
        return Seen(self._desk.scribe.body(result), thumbnail_of(shown, THUMBNAIL_SIDE), fetched)
