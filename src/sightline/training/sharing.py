"""Processes that learn one network together: each takes a part of every batch.

All begin with the same weights. Behind every backward pass the gradients of all are averaged, so that all
take the same step: synchronous data parallelism (Chen et al. 2016, arXiv 1604.00981). Where a step has many
small parts, which one thread does while the others wait, so many processes of one thread each are quicker
than one process of so many threads.
"""

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection

import torch
from torch import Tensor, nn

from sightline.errors import ModelFailed

_LOSSES = 32
"""Room for the parts of a loss beside the gradients."""


class Share:
    """One process's place among ``count``; the first, place 0, is the one that watches, saves and tells.

    ``rows`` (count + 1, weights and parts of the loss) float32 is memory of all: a row of each, their mean.
    """

    def __init__(self, place: int = 0, count: int = 1, rows: Tensor | None = None) -> None:
        self.place, self.count = place, count
        self._rows = torch.zeros(0, 0) if rows is None else rows
        self.links: Sequence[Connection] = ()
        """To all others for the first; to the first for each other."""

    def agree(self, model: nn.Module, parts: dict[str, Tensor]) -> dict[str, float]:
        """Make the gradients of ``model`` the mean of all, and give that of the ``parts`` of the loss.

        Raises:
            ModelFailed: Another process has ended.
            EOFError: The first process has ended.
        """
        told = torch.stack([value.detach().float() for value in parts.values()])
        if self.count > 1:
            grads = [weights.grad for weights in model.parameters() if weights.grad is not None]
            flat = self._mean(torch.cat([told, *(grad.flatten() for grad in grads)]))
            told, *means = flat.split([len(told), *(grad.numel() for grad in grads)])
            for grad, mean in zip(grads, means, strict=True):
                grad.copy_(mean.view(grad.shape))
        return dict(zip(parts, told.tolist(), strict=True))

    def _mean(self, values: Tensor) -> Tensor:
        width = len(values)
        self._rows[self.place, :width] = values
        if self.place:
            self.links[0].send(None)
            self.links[0].recv()
        else:
            self._gather(width)
        return self._rows[-1, :width]

    def _gather(self, width: int) -> None:
        try:
            for link in self.links:
                link.recv()
            self._rows[-1, :width] = self._rows[:-1, :width].mean(0)
            for link in self.links:
                link.send(None)
        except (EOFError, OSError) as error:
            raise ModelFailed(
                "One of the processes that learn together has ended: killed, perhaps for want of memory.",
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
    width = _LOSSES + sum(weights.numel() for weights in model.parameters())
    rows = torch.zeros(count + 1, width).share_memory_()
    fork = multiprocessing.get_context("fork")
    links: list[Connection] = []
    mates = []
    first = Share(0, count, rows)
    try:
        for place in range(1, count):
            here, there = fork.Pipe()
            links.append(here)
            mate = fork.Process(
                target=_mate, args=(Share(place, count, rows), there, links, work), daemon=True
            )
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
            mate.join()


def _mate(
    share: Share, link: Connection, others: Sequence[Connection], work: Callable[[Share], object]
) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the first, which ends the others
    for other in others:
        other.close()  # else nobody would hear that the first has gone
    share.links = [link]
    # The first has gone, or fails at the same step and says so.
    with suppress(EOFError, OSError, ModelFailed):
        work(share)
