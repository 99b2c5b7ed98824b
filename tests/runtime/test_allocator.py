import os
import subprocess
import sys

_PROGRAM = """
import numpy as np
from sightline.runtime.allocator import keep_little, trim
keep_little()
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * {page} >> 20
before = resident()
for _ in range(3):  # glibc's own rule would keep the blocks from the second round on
    blocks = [np.ones(2 << 20, np.uint8) for _ in range(40)]
    pins = [bytearray(100) for _ in range(1000)]
    del blocks
trim()
print(resident() - before)
"""


def test_freed_tensors_are_given_back() -> None:
    program = _PROGRAM.format(page=os.sysconf("SC_PAGE_SIZE"))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 20
