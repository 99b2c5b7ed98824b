"""Python, processor, memory, engines, disk, cameras."""

import os
import shutil
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from sightline.cli.checks.finding import Finding, ok
from sightline.cli.terminal import size
from sightline.runtime.features import this_machine
from sightline.settings import Settings

_MEBIBYTE = 1 << 20
FLOORS = {
    "pillow": (12, 3),
    "starlette": (1, 3),
    "python-multipart": (0, 0, 31),
    "h11": (0, 16),
    "onnx": (1, 21),
}
"""Older releases have known holes that Sightline would be exposed to."""


def python(settings: Settings) -> Iterator[Finding]:
    """The interpreter and the libraries with known holes."""
    del settings
    yield ok("python", f"Python {sys.version.split()[0]} at {sys.prefix}")
    for name, floor in FLOORS.items():
        version = metadata.version(name)
        if tuple(int(part) for part in version.split(".")[: len(floor)] if part.isdigit()) < floor:
            wanted = ".".join(map(str, floor))
            yield Finding(
                "python",
                "problem",
                f"{name} {version} has known security holes; {wanted} is the oldest that may be used.",
                "Remove .venv and run `make run` again: it installs the versions of requirements/core.txt.",
            )


def processor(settings: Settings) -> Iterator[Finding]:
    """What the processor can do, and how much of it this process may use."""
    features = this_machine()
    allowed, present = len(os.sched_getaffinity(0)), os.cpu_count() or 1
    yield ok("processor", f"{features.describe()}; {allowed} of {present} cores may be used")
    if settings.threads > allowed:
        yield Finding(
            "processor",
            "warning",
            f"threads is {settings.threads}, but only {allowed} cores may be used.",
            f"Set threads to {allowed}, or to 0.",
        )


def memory(settings: Settings) -> Iterator[Finding]:
    """Room for the models that may be loaded together."""
    total, available = _memory()
    limit = _container_limit()
    room = min(available, limit) if limit else available
    yield ok(
        "memory",
        f"{size(available)} free of {size(total)}" + (f", at most {size(limit)} here" if limit else ""),
    )
    if room < settings.memory_mb * _MEBIBYTE:
        yield Finding(
            "memory",
            "warning",
            f"Loaded models may take {settings.memory_mb} MiB (memory_mb), but only {size(room)} are free.",
            f"Set memory_mb to {max(256, int(room / _MEBIBYTE * 0.6))}, or end other programs.",
        )


def _memory() -> tuple[int, int]:
    lines = Path("/proc/meminfo").read_text("ascii").splitlines()
    table = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines}
    return table["MemTotal"], table["MemAvailable"]


def _container_limit() -> int:
    try:
        text = Path("/sys/fs/cgroup/memory.max").read_text("ascii").strip()
    except OSError:
        return 0
    return int(text) if text.isdigit() else 0


def engines(settings: Settings) -> Iterator[Finding]:
    """Which engines are installed, and whether the one that is asked for is among them."""
    found = {}
    for name in ("onnxruntime", "openvino"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            yield Finding(
                "engines",
                "problem" if name in {settings.engine, "onnxruntime"} else "warning",
                f"{name} is not installed.",
                "Remove .venv and run `make run` again: it installs both engines.",
            )
    if found:
        yield ok("engines", ", ".join(f"{name} {version}" for name, version in found.items()))
    if settings.precision == "bf16" and not this_machine().bf16:
        yield Finding(
            "engines",
            "warning",
            "precision is bf16, but this processor has no bf16 arithmetic: it is emulated and slow.",
            "Set precision to auto or fp32.",
        )


def disk(settings: Settings) -> Iterator[Finding]:
    """The data folder: can it be written, and is there room."""
    folder = settings.data_path
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        yield Finding(
            "disk",
            "problem",
            f"The data folder {folder} cannot be written.",
            "Set data_dir to a folder of yours, or change who may write there.",
        )
        return
    free, reserve = shutil.disk_usage(existing).free, settings.disk_reserve_mb * _MEBIBYTE
    if free < reserve:
        yield Finding(
            "disk",
            "problem",
            f"{size(free)} are free at {folder}; below {size(reserve)} (disk_reserve_mb) nothing is stored.",
            "Free some space, shorten retention_days, or move data_dir to a larger disk.",
        )
    else:
        yield ok("disk", f"{size(free)} free at {folder}")


def cameras(settings: Settings) -> Iterator[Finding]:
    """Video devices of this machine. The page uses the camera of the visitor's browser, not these."""
    del settings
    devices = sorted(Path("/dev").glob("video*"))
    if not devices:
        yield ok("cameras", "none on this machine (the page uses the camera of the browser)")
    for device in devices:
        if os.access(device, os.R_OK | os.W_OK):
            yield ok("cameras", f"{device} can be opened")
        else:
            yield Finding(
                "cameras",
                "warning",
                f"{device} is there, but this user may not open it.",
                "Add the user to the group video: `sudo usermod -aG video $USER`, then sign in again.",
            )
