"""Start a fresh, bare interpreter on our own code."""

import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Final

_BOOT: Final = (
    "import sys; sys.path[:] = sys.argv.pop().split(':'); "
    "from sightline.sandbox.inside import main; main(sys.argv[1:])"
)
_KEPT: Final = ("PATH", "LD_LIBRARY_PATH", "TMPDIR", "TZ")
_SET: Final = {
    "LANG": "C.UTF-8",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "1",  # an arena per thread would count against the address space
    "MALLOC_MMAP_THRESHOLD_": str(16 << 20),  # buffers of ordinary pictures are reused, not faulted in anew
    "MALLOC_TRIM_THRESHOLD_": str(16 << 20),
}


def start(arguments: Sequence[str], descriptors: Sequence[int]) -> subprocess.Popen[bytes]:
    """Run ``inside.main(arguments)`` in a new session, with these descriptors and a bare environment.

    ``-I -S`` keep the working directory, the user's packages and site hooks out; the folders where this
    process finds its own modules are handed over instead.
    """
    folders = ":".join(folder for folder in sys.path if folder.startswith("/") and ":" not in folder)
    environment = _SET | {name: os.environ[name] for name in _KEPT if name in os.environ}
    return subprocess.Popen(  # noqa: S603 - our own interpreter and code
        [sys.executable, "-I", "-S", "-c", _BOOT, *arguments, folders],
        pass_fds=tuple(descriptors),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        env=environment,
        cwd="/",
        start_new_session=True,
    )
