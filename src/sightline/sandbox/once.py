"""One function, one fresh child."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar, cast

from sightline.sandbox.start import start
from sightline.sandbox.wire import Channel, ChildDied, ChildTimeout, Hangup, Limits

T = TypeVar("T")

_DEFAULT = Limits()


def run_once(function: Callable[..., T], *args: Any, limits: Limits = _DEFAULT) -> T:
    """Run ``function(*args)`` in a fresh interpreter and return what it returns.

    The function is named by module, so it must be importable; arguments and answer are pickled. The answer
    may hold plain values, arrays and frozen values of Sightline. The memory limit counts from after the
    import of the function's module; libraries that the function imports later count against it.

    Raises:
        SightlineError: Whatever of that family the function raised.
        ChildTimeout: It took longer than ``limits.wall_s``, the start of the interpreter included.
        ChildDied: It ended by a signal or ran out of memory or processor time, or raised something else.
    """
    ours, theirs = Channel.pair()
    process = start(["once", *map(str, theirs.descriptors), str(limits.memory_mb)], theirs.descriptors)
    theirs.close()
    deadline = time.monotonic() + limits.wall_s
    try:
        ours.send((function, args, limits.cpu_s))
        answer = ours.receive(timeout_s=limits.wall_s, largest=limits.memory_mb << 20, trusted=False)
    except TimeoutError as error:
        raise ChildTimeout(f"The child was killed after {limits.wall_s:g} s without an answer.") from error
    except Hangup as error:
        raise died(_end(process, deadline - time.monotonic())) from error
    finally:
        ours.close()
        _end(process, 0)
    return cast("T", read(answer))


def read(answer: Any) -> Any:
    """The value of a child's answer, or the error that it stands for."""
    match answer:
        case ("done", value):
            return value
        case ("refused", Exception() as error):
            raise error
        case ("memory", _):
            error = ChildDied("The child ran out of its memory.")
            error.memory = True
            raise error
        case ("failed", str() as reason):
            error = ChildDied(f"The function failed: {reason}")
            error.failed = True
            raise error
    raise ChildDied("The child gave an answer that makes no sense.")


def died(returncode: int) -> ChildDied:
    """The error for a child that ended without an answer; negative codes are signals."""
    number = -returncode if returncode < 0 else 0
    if number == signal.SIGXCPU:
        error = ChildDied("The child used up its processor time.")
    elif number:
        name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
        error = ChildDied(f"The child was ended by {name}.")
    else:
        error = ChildDied(f"The child ended without an answer (exit status {returncode}).")
    error.signal = number
    return error


def _end(process: subprocess.Popen[bytes], grace_s: float) -> int:
    """Wait a little, then kill the child and all that it started."""
    if grace_s > 0:
        with suppress(subprocess.TimeoutExpired):
            return process.wait(grace_s)
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    return process.wait()
