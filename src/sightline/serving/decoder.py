"""Pictures from strangers, decoded in warm children that can be killed.

The server process never runs an image decoder on bytes that it was sent. It hands them to a child of
``sightline.sandbox.Pool`` and gets pixels back; a child that hangs, explodes or crashes is replaced, and the
picture is to blame: ``PictureTooComplex``.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pickle import PickleBuffer
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

from sightline.errors import PictureTooComplex, SightlineError
from sightline.sandbox import ChildDied, ChildTimeout, Claim, Pool
from sightline.sandbox import Limits as JobLimits
from sightline.settings import Settings
from sightline.types import Frame, Prepared, Result
from sightline.vision import codec, tasks

if TYPE_CHECKING:
    from sightline.manifest import InputContract

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CleanPicture:
    """A picture fit for keeping: upright, sRGB, no metadata."""

    data: bytes
    media_type: str
    width: int
    height: int


class Decoder:
    """Decodes, draws and re-encodes in child processes. Thread-safe; close it when done."""

    def __init__(self, settings: Settings) -> None:
        self._limits = codec.Limits.of(settings)
        self._pool = Pool(
            settings.decoder_count,
            [tasks.__name__],
            JobLimits(settings.decode_memory_mb, settings.decode_cpu_s, settings.decode_wall_s),
            wait_s=settings.deadline_s,
        )

    def prepare(
        self,
        data: bytes | Frame,
        contract: "InputContract",
        claim: Claim | None = None,
        *,
        keep_side: int = 0,
    ) -> Prepared:
        """Decode, fit, and turn into a model's numbers; only they leave the child.

        A ``Frame`` has been decoded already (a camera, a video): it needs no child, only the rest.

        ``claim``: whoever waits for it; when nobody does any more, nothing is decoded. ``keep_side``: the
        decoded picture comes along for a stage that looks at it again, its longer side at most this.

        Raises:
            InputError: ``NotAPicture``, ``PictureTooLarge`` or ``PictureTooComplex``.
            Busy: No decoder came free in time.
            DeadlineExceeded: ``claim`` ended first.
        """
        if isinstance(data, Frame):
            done = tasks.prepare_frame(data, contract)
            return replace(done, frame=data) if keep_side else done
        # The same fields without pydantic, which the children do not load.
        plain = cast("InputContract", SimpleNamespace(**contract.__dict__))
        return self._call(tasks.prepare, data, plain, keep_side, claim=claim)

    def frame(self, data: bytes, hint: codec.Size | None = None) -> Frame:
        """Decode; errors as ``prepare``. ``hint``: smallest useful (width, height) of the upright picture."""
        return self._call(tasks.frame, data, hint)

    def clean(self, data: bytes) -> CleanPicture:
        """Encode again for keeping; errors as ``prepare``."""
        return CleanPicture(*self._call(tasks.clean, data))

    def draw(self, data: bytes, result: Result, media_type: str) -> bytes:
        """The annotated picture as a file of ``media_type``; errors as ``prepare``, and ``BadOption``."""
        return self._call(tasks.draw, data, result, media_type)

    def thumbnail(self, data: bytes, side: int) -> bytes:
        """A small JPEG whose longer side has at most ``side`` pixels; errors as ``prepare``."""
        return self._call(tasks.thumbnail, data, side)

    def close(self) -> None:
        """End the children."""
        self._pool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _call(self, task: Callable[..., T], data: bytes, *args: Any, claim: Claim | None = None) -> T:
        codec.check_bytes(data, self._limits)  # a file that is too large is not worth the way to a child
        try:
            return self._pool.call(task, PickleBuffer(data), self._limits, *args, claim=claim)
        except ChildTimeout as error:
            raise PictureTooComplex("Decoding the picture took longer than it may.") from error
        except ChildDied as error:
            if error.failed:  # not the picture's fault but ours
                raise SightlineError(f"Sightline failed on the picture. {error.message}") from error
            raise PictureTooComplex(f"Decoding the picture failed and was ended. {error.message}") from error
