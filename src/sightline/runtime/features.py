"""What this processor computes natively, read from the kernel and never guessed."""

import hashlib
import platform
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")
_BF16 = frozenset({"amx_bf16", "avx512_bf16", "bf16"})
_INT8 = frozenset({"amx_int8", "avx512_vnni", "avx_vnni", "i8mm", "asimddp"})


@dataclass(frozen=True, slots=True)
class Features:
    """One processor: its name, and the instruction sets that matter to inference."""

    model: str
    flags: frozenset[str]

    @property
    def bf16(self) -> bool:
        """Multiplies bfloat16 in hardware; elsewhere bf16 would be emulated and slower than fp32."""
        return bool(self.flags & _BF16)

    @property
    def int8(self) -> bool:
        """Has int8 dot products (VNNI, AMX, or their ARM relatives)."""
        return bool(self.flags & _INT8)

    @property
    def fingerprint(self) -> str:
        """Eight hex digits that change when the model is measured on another kind of processor."""
        text = "\n".join([platform.machine(), self.model, *sorted(self.flags)])
        return hashlib.sha256(text.encode()).hexdigest()[:8]

    def describe(self) -> str:
        """One line for people."""
        known = sorted(self.flags & (_BF16 | _INT8 | {"avx2", "avx512f"}))
        return f"{self.model or platform.machine()} ({', '.join(known) or 'no vector extensions known'})"


def read_features(cpuinfo: Path = _CPUINFO) -> Features:
    """Parse ``/proc/cpuinfo`` (x86 ``flags``, ARM ``Features``); empty where there is none."""
    try:
        text = cpuinfo.read_text("utf-8", errors="replace")
    except OSError:
        return Features(platform.processor(), frozenset())
    fields: dict[str, str] = {}
    for line in text.splitlines():
        name, _, value = line.partition(":")
        fields.setdefault(name.strip(), value.strip())
    flags = fields.get("flags") or fields.get("Features") or ""
    return Features(fields.get("model name", platform.processor()), frozenset(flags.split()))


@lru_cache(maxsize=1)
def this_machine() -> Features:
    """The features of the processor that runs this process."""
    return read_features()
