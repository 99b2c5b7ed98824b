"""A training run as a job: ``sightline train`` in a process of its own, followed by what it prints.

It goes on from its last finished epoch when the job is handed back, or its worker dies and another one of
this machine takes the job: the run's folder is named after the job.
"""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any, Final

from sightline.errors import BadOption, ConfigError, SightlineError, how_to_add
from sightline.jobs.orders import TrainOrder, read
from sightline.private import private_folder
from sightline.storage.job_kept import Claim, Item
from sightline.worker.desk import Desk

RUNS: Final = "runs"
LOG: Final = "log.jsonl"
"""A line for each epoch, written by the run."""
_EPOCH: Final = re.compile(r"epoch (\d+)/(\d+)\b")
_IMPORTED: Final = re.compile(r"Imported (\S+?)\.?(?:\s|$)")
_LOOK_S: Final = 0.2
_GRACE_S: Final = 8.0
"""After SIGINT: less than what a worker gets itself when its job is taken away."""
_TAIL: Final = 30
_BOOT: Final = (
    "import signal, sys; from sightline.worker.kin import end_with; "
    "end_with(int(sys.argv.pop(1)), signal.SIGINT); from sightline.__main__ import main; main()"
)


class TrainingFailed(SightlineError):
    """The run ended with an error; its last words say which."""

    code = "training_failed"
    default_next_step = "Mend what the last lines name, then retry the job: it goes on where it stopped."


def train(desk: Desk, claim: Claim) -> Mapping[str, Any]:
    """Train by the job's recipe.

    Raises:
        ConfigError: torch is not installed here.
        TrainingFailed: The run ended with an error.
        Stop: The job was cancelled or taken away, or the worker is being stopped.
    """
    order: TrainOrder = read(TrainOrder, claim.job.payload)
    if order.recipe.startswith("-") or any(word.startswith("-") for word in order.judge):
        raise BadOption(
            f"{order.recipe!r} is no recipe.", next_step="Name one, or give the path of a TOML file."
        )
    if find_spec("torch") is None:
        raise ConfigError(
            "Training needs torch, which is not installed where this worker runs.",
            next_step=how_to_add("train"),
        )
    folder = desk.settings.data_path / RUNS / claim.root
    private_folder(folder)
    epochs = _Epochs(desk, claim, folder / LOG)
    run = _Run(_words(desk, order, folder), folder / "job.log")
    try:
        while (code := run.process.poll()) is None:
            time.sleep(_LOOK_S)
            desk.check(claim)
            epochs.tell()
            _tell(desk, claim, run)
    except BaseException:
        run.end()
        raise
    run.finish()
    epochs.tell()
    _tell(desk, claim, run)
    if code:
        raise TrainingFailed(f"The training run ended with exit code {code}. {_last(run)}"[:1500])
    return {"epochs": run.epoch[0], "folder": str(folder / "bundle"), "model": run.model, "log": run.tail()}


def _words(desk: Desk, order: TrainOrder, folder: Path) -> list[str]:
    words = ["train", order.recipe, "--out", str(folder), "--data-dir", str(desk.settings.data_path)]
    for change in order.changes:
        words += ["--change", change]
    for place in order.judge:
        words += ["--judge", place]
    return [*words, "--add"] if order.add else words


def _tell(desk: Desk, claim: Claim, run: "_Run") -> None:
    if run.epoch != run.told:
        run.told = run.epoch
        desk.ledger.progress(claim, *run.epoch)


class _Epochs:
    """Losses and figures of each finished epoch, as items of the job as soon as the run has written them."""

    def __init__(self, desk: Desk, claim: Claim, log: Path) -> None:
        self._desk, self._claim, self._log = desk, claim, log
        self._read = 0

    def tell(self) -> None:
        """Keep what is new; the same epoch again takes the place of the one before."""
        if not self._log.is_file() or self._log.stat().st_size <= self._read:
            return
        with self._log.open("rb") as file:
            file.seek(self._read)
            whole, _, _ = file.read().rpartition(b"\n")  # a line that is being written comes next time
        if not whole:
            return
        self._read += len(whole) + 1
        found = {one["number"]: one for one in map(json.loads, whole.splitlines())}
        root = self._claim.root
        items = [Item(root, n - 1, f"epoch {n}", "done", result=one) for n, one in sorted(found.items())]
        self._desk.ledger.put_items(self._claim, items)


def _last(run: "_Run") -> str:
    return " | ".join(run.tail()[-5:])


class _Run:
    """The process, and a thread that reads its lines."""

    def __init__(self, words: list[str], log: Path) -> None:
        self.epoch, self.told = (0, 0), (0, 0)
        self.model: str | None = None
        self._lines: deque[str] = deque(maxlen=_TAIL)
        self.process = subprocess.Popen(  # noqa: S603 - our own interpreter and code
            [sys.executable, "-P", "-c", _BOOT, str(os.getpid()), *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        assert self.process.stdout is not None
        self._reader = threading.Thread(
            target=self._read, args=(self.process.stdout, log), name="training", daemon=True
        )
        self._reader.start()

    def tail(self) -> list[str]:
        """The last lines."""
        return list(self._lines)

    def finish(self) -> None:
        """It has ended: read what is left."""
        self._reader.join(_GRACE_S)

    def end(self) -> None:
        """As Ctrl-C would: the last finished epoch stays."""
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.finish()

    def _read(self, lines: IO[str], log: Path) -> None:
        with lines, log.open("a", encoding="utf-8") as file:
            for line in lines:
                file.write(line)
                file.flush()
                self._note(line.rstrip())

    def _note(self, line: str) -> None:
        self._lines.append(line[:300])
        if found := _EPOCH.match(line):
            self.epoch = int(found[1]), int(found[2])
        elif imported := _IMPORTED.match(line):
            self.model = imported[1]
