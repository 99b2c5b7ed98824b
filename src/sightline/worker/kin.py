"""Start a process of ours that ends when we do, and tell it what to be.

A child that outlives its parent would go on with a job that somebody else has by then, and nobody would
end it when it overruns. So the kernel ends it: ``PR_SET_PDEATHSIG`` of prctl(2).
"""

import ctypes
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

_BOOT: Final = (
    "import json, sys; sys.path[:] = json.loads(sys.argv.pop()); "
    "from sightline.worker.inside import main; main()"
)
_PR_SET_PDEATHSIG: Final = 1
TASKS: Final = "sightline.worker.tasks:TASKS"
"""Where children find what they can do."""


def start(order: Mapping[str, Any], descriptors: Sequence[int] = ()) -> subprocess.Popen[bytes]:
    """A fresh interpreter in a process group of its own that runs ``inside.main`` with this order.

    The kernel watches the *thread* that calls this: it must live as long as the process should.
    """
    folders = [os.path.abspath(folder) for folder in sys.path]  # noqa: PTH100 - text for sys.path
    process = subprocess.Popen(  # noqa: S603 - our own interpreter and code
        [sys.executable, "-P", "-c", _BOOT, json.dumps(folders)],
        stdin=subprocess.PIPE,
        pass_fds=tuple(descriptors),
        process_group=0,
    )
    assert process.stdin is not None
    with process.stdin as line:
        line.write(json.dumps({**order, "parent": os.getpid()}).encode())
    return process


def end_with(parent: int, number: signal.Signals) -> None:
    """Get this signal when the parent ends; leave at once if it has ended already."""
    libc = ctypes.CDLL(None, use_errno=True)
    if hasattr(libc, "prctl"):
        libc.prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
