"""Processes that learn one network together: each takes a part of every batch.

All begin with the same weights. Behind every backward pass the gradients of all are averaged, so that all
take the same step: synchronous data parallelism (Chen et al. 2016, arXiv 1604.00981). Where a step has many
small parts, which one thread does while the others wait, so many processes of one thread each are quicker
than one process of so many threads.

A loss that is divided by what its part of the batch holds (objects, say) stays so: the mean over parts is
then near to the loss of the whole batch, and not equal to it.
"""

import mmap
import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection

import torch
from torch import Tensor, nn

from sightline.errors import ModelFailed

_LOSSES = 32
"""Room for the parts of a loss."""
_PATIENCE_S = 5.0
"""How long a process may take to end."""


class _Gone(Exception):
    """The first process has ended."""


class Share:
    """One process's place among ``count``; the first, place 0, is the one that watches, saves and tells.

    ``rows`` (count + 1, room for parts of the loss and gradients) float32 is memory of all: a row of each,
    and their mean.
    """

    def __init__(self, place: int = 0, count: int = 1, rows: Tensor | None = None) -> None:
        self.place, self.count = place, count
        self._rows = torch.zeros(0, 0) if rows is None else rows
        self.links: Sequence[Connection] = ()
        """To all others for the first; to the first for each other."""

    def agree(self, model: nn.Module, parts: dict[str, Tensor]) -> dict[str, float]:
        """Make the gradients of ``model`` the mean of all, and give that of the ``parts`` of the loss.

        A weight that has no gradient in one process counts as zero there; in none, it stays without.

        Raises:
            ModelFailed: Another process has ended.
        """
        told = torch.stack([value.detach().float() for value in parts.values()])
        if self.count > 1:
            weights = list(model.parameters())
            has = torch.tensor([float(one.grad is not None) for one in weights])
            grads = [torch.zeros(one.numel()) if one.grad is None else one.grad.flatten() for one in weights]
            mean = self._mean(torch.cat([told, has, *grads]))
            told, has, *means = mean.split([len(told), len(has), *(len(grad) for grad in grads)])
            for one, had, new in zip(weights, has.tolist(), means, strict=True):
                if had:
                    one.grad = torch.empty_like(one) if one.grad is None else one.grad
                    one.grad.copy_(new.view(one.shape))
        return dict(zip(parts, told.tolist(), strict=True))

    def _mean(self, values: Tensor) -> Tensor:
        width = len(values)
        self._rows[self.place, :width] = values
        if self.place:
            self._follow(width)
        else:
            self._gather(width)
        return self._rows[-1, :width]

    def _follow(self, width: int) -> None:
        try:
            self.links[0].send(width)
            self.links[0].recv()
        except (EOFError, OSError) as error:
            raise _Gone from error

    def _gather(self, width: int) -> None:
        try:
            said = [link.recv() for link in self.links]
            for word in said:
                if word != width:
                    raise ModelFailed(
                        f"One of the processes that learn together has failed: {word}.",
                        next_step="Train again: it goes on from the last finished epoch.",
                    )
            self._rows[-1, :width] = self._rows[:-1, :width].mean(0)
            for link in self.links:
                link.send(None)
        except (EOFError, OSError) as error:
            raise ModelFailed(
                "One of the processes that learn together was killed, perhaps for want of memory.",
                next_step="Train again: it goes on from the last finished epoch. Lower optimiser.processes.",
            ) from error


@contextmanager
def together(count: int, model: nn.Module, work: Callable[[Share], object]) -> Iterator[Share]:
    """The first share, while ``work`` runs with each of the others in a process of its own until this ends.

    The processes are forks: what is in memory, pictures above all, is there once for all.
    """
    if count == 1:
        yield Share()
        return
    rows = _memory(count + 1, _LOSSES + sum(weights.numel() + 1 for weights in model.parameters()))
    fork = multiprocessing.get_context("fork")
    links: list[Connection] = []
    mates = []
    first = Share(0, count, rows)
    try:
        for place in range(1, count):
            here, there = fork.Pipe()
            links.append(here)
            share = Share(place, count, rows)
            mate = fork.Process(target=_mate, args=(share, there, links, work), daemon=True)
            mate.start()
            mates.append(mate)
            there.close()
        first.links = links
        yield first
    finally:
        for link in links:
            link.close()
        for mate in mates:
            mate.terminate()  # it keeps nothing
            mate.join(_PATIENCE_S)
            mate.kill()
            mate.join()


def _memory(rows: int, width: int) -> Tensor:
    """(rows, width) float32 zeros that forks share; not a file in /dev/shm, which is small in containers."""
    return torch.frombuffer(mmap.mmap(-1, 4 * rows * width), dtype=torch.float32).view(rows, width)


def _mate(
    share: Share, link: Connection, others: Sequence[Connection], work: Callable[[Share], object]
) -> None:
    """All that another process does; what goes wrong in it is said by the first."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the first, which ends the others
    for other in others:
        other.close()  # else nobody would hear that the first has gone
    share.links = [link]
    try:
        work(share)
    except _Gone:
        return
    except Exception as error:  # noqa: BLE001 - whatever it is, the first says it
        _tell(link, f"{type(error).__name__}: {error}")


def _tell(link: Connection, words: str) -> None:
    try:
        link.send(words)
    except OSError:
        return  # the first has gone
