"""A clean process that forks a slot's children, one after the other.

Loading the libraries of the ledger takes longer than most pictures: with PostgreSQL and Redis more than half
a second of a processor. A job that kills its worker three times would cost the others three such starts. So
they are loaded once, in a process with one thread that opens nothing, and a new child is there in
milliseconds. It shares with its keeper what that has loaded.
"""

import contextlib
import gc
import json
import os
import signal

from sightline.worker.kin import end_with


def forked(orders: int, line: int) -> bool:
    """Fork a child for each byte that comes in on ``orders``; say on ``line`` who it is, and how it ended.

    Returns:
        True in a child, which has its work to do then; False here, when no more orders will come.
    """
    keeper = os.getpid()
    gc.collect()
    gc.freeze()
    while os.read(orders, 1):
        pid = os.fork()
        if not pid:
            os.close(orders)
            os.setpgid(0, 0)
            end_with(keeper, signal.SIGKILL)
            return True
        with contextlib.suppress(OSError):  # the child was faster
            os.setpgid(pid, pid)
        _tell(line, {"pid": pid})
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)  # whatever it started
        _tell(line, {"died": code})
    return False


def _tell(line: int, words: dict[str, int]) -> None:
    os.write(line, json.dumps(words).encode() + b"\n")
