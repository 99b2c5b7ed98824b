"""Work that may hang, crash or explode, in processes that can be killed.

Three doors, one wire:

- ``run_once``: one importable function in a fresh interpreter, for rare and heavy work (a stranger's model);
- ``Stream``: one importable generator in a fresh interpreter that answers for hours (a camera, a video);
- ``Pool``: a few warm children for short work (pictures), replaced when they die or overrun.

What every child has: limits of memory, file size, processor time and wall time, no environment but a few
harmless variables, no descriptors but its own, no core dumps, no new privileges, and it ends when its parent
ends.
A child of a pool can also open nothing, no file and no socket, and start nothing.

A child is not believed either. Its answers are unpickled with a list of harmless types (``wire``), never run.
"""

from sightline.sandbox.once import run_once
from sightline.sandbox.pool import Claim, Pool
from sightline.sandbox.stream import Over, Stream
from sightline.sandbox.wire import ChildDied, ChildTimeout, Limits

__all__ = ["ChildDied", "ChildTimeout", "Claim", "Limits", "Over", "Pool", "Stream", "run_once"]
