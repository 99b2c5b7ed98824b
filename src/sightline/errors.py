"""Everything that Sightline says no with.

::

    SightlineError                what went wrong, and the next step
    ├── InputError                the caller can mend it
    │   ├── NotAPicture           bytes that no allowed decoder reads
    │   ├── PictureTooLarge       bytes, pixels or sides over a limit
    │   ├── PictureTooComplex     decoding ran out of its time or memory
    │   ├── BadOption             an argument, parameter or field is off
    │   └── FetchRefused          an address that Sightline will not open, or that failed
    ├── NotFound                  no such model, result, job or picture
    ├── Conflict                  what is asked for contradicts what is there already
    ├── ModelRefused              a model file that must not be served, and why
    ├── ModelFailed               a model that was accepted broke while running
    ├── Busy                      the line is full; try again after ``retry_after_s``
    ├── Unreachable               the database is away; try again after ``retry_after_s``
    ├── DeadlineExceeded          the answer would have come too late
    ├── StorageFull               no room to keep what was asked to be kept
    └── ConfigError               a setting that cannot work

Messages are full sentences: what, wanted, got. ``next_step`` says what to do.
``code`` is stable and documented; programs may rely on it.
"""

from typing import ClassVar


def how_to_add(extra: str) -> str:
    """The next step where the libraries of an extra of ``pyproject.toml`` are missing.

    It names no package of an index: nobody knows who would own one of that name.
    """
    return (
        f"Run `make extras ADD={extra}` in the folder of Sightline; where pip installed it, "
        f"`pip install '.[{extra}]'` there."
    )


def presentable(text: str) -> str:
    r"""The text as every file, database and screen takes it: names of files need not be UTF-8.

    Python keeps the odd bytes of such a name as lone surrogates, which nothing encodes; here they become
    ``\udcff``.
    """
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


class SightlineError(Exception):
    """The root of the tree; ``str(error)`` is the sentence, ``next_step`` the advice."""

    code: ClassVar[str] = "error"
    default_next_step: ClassVar[str] = "Read the server's log for the request id and report it."

    def __init__(self, message: str, *, next_step: str | None = None, field: str = "") -> None:
        message = presentable(message)
        super().__init__(message)
        self.message = message
        self.next_step = next_step or self.default_next_step
        self.field = field
        """Which field of a request or file is off, where one is: ``actions.0.url``."""

    def __reduce__(self) -> tuple[object, ...]:
        """Errors cross process borders, so they must survive a round trip with every field."""
        return (_rebuild, (type(self), self.__dict__ | {"args": self.args}))


def _rebuild(kind: type[SightlineError], fields: dict[str, object]) -> SightlineError:
    error = kind.__new__(kind)
    fields = dict(fields)
    error.args = fields.pop("args")  # type: ignore[assignment]
    error.__dict__.update(fields)
    return error


class InputError(SightlineError):
    """The caller can mend it."""

    code = "bad_input"
    default_next_step = "Mend the input and send it again."


class NotAPicture(InputError):
    """Bytes that no allowed decoder reads."""

    code = "not_a_picture"
    default_next_step = "Send a JPEG, PNG, WebP, GIF, BMP, TIFF or AVIF file."


class PictureTooLarge(InputError):
    """Bytes, pixels or sides over a limit."""

    code = "picture_too_large"
    default_next_step = "Send a smaller copy of the picture, or raise the limit in the settings."


class PictureTooComplex(InputError):
    """Decoding ran out of its time or memory."""

    code = "picture_too_complex"
    default_next_step = "Save the picture again with an ordinary program and send that copy."


class BadOption(InputError):
    """An argument, parameter or field is off."""

    code = "bad_option"
    default_next_step = "Change the option as the message says."


class FetchRefused(InputError):
    """An address that Sightline will not open, or that did not give a picture."""

    code = "fetch_refused"
    default_next_step = "Check the address, and that its server is on."


class NotFound(SightlineError):
    """No such model, result, job or picture (or it belongs to somebody else)."""

    code = "not_found"
    default_next_step = "Check the name or the address."


class Conflict(SightlineError):
    """What is asked for contradicts what is there already."""

    code = "conflict"
    default_next_step = "Look at what is there already, then ask again."


class ModelRefused(SightlineError):
    """A model file that must not be served, and why."""

    code = "model_refused"
    default_next_step = "Use another file, or mend what the message names."


class ModelFailed(SightlineError):
    """A model that was accepted broke while running."""

    code = "model_failed"
    default_next_step = "Run `sightline models bench` on the model, or choose another one."


class Busy(SightlineError):
    """The line is full."""

    code = "busy"
    default_next_step = "Try again after the time that is given, or send fewer requests at once."

    def __init__(self, message: str, *, retry_after_s: float = 1.0, next_step: str | None = None) -> None:
        super().__init__(message, next_step=next_step)
        self.retry_after_s = retry_after_s


class Unreachable(SightlineError):
    """The database, or the store of files, is away; it may be back in a moment."""

    code = "unreachable"
    default_next_step = (
        "Check that the database runs and its address in the setting `database`; then try again."
    )
    retry_after_s: ClassVar[float] = 5.0


class DeadlineExceeded(SightlineError):
    """The answer would have come too late."""

    code = "deadline_exceeded"
    default_next_step = "Try again when the server is less busy, or allow more time."


class StorageFull(SightlineError):
    """No room to keep what was asked to be kept."""

    code = "storage_full"
    default_next_step = "Free some disk space, shorten the retention, or ask without storing."


class ConfigError(SightlineError):
    """A setting that cannot work."""

    code = "bad_configuration"
    default_next_step = "Change the setting as the message says; `sightline doctor` checks all of them."
