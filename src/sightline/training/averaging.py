"""The learning rate, the average of weights over time, and that of a start and what became of it."""

import copy
import math

import torch
from torch import nn

from sightline.training.recipe_form import Optimiser


def rate_at(step: float, steps: int, warmup: float, last: float) -> float:
    """Share of the peak rate: a straight rise over ``warmup`` steps, then half a cosine down to ``last``."""
    if step < warmup:
        return (step + 1) / (warmup + 1)
    done = (step - warmup) / max(1.0, steps - warmup)
    return last + (1 - last) * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))


def rate_share(options: Optimiser, done: int, steps: int) -> float:
    """Share of the peak rate after ``done`` steps, ``steps`` of which are an epoch.

    With several cycles the rate rises and falls again (Loshchilov and Hutter, arXiv 1608.03983): then the
    end of each cycle is a finished network, and one that was trained too briefly can be trained on.
    """
    peak, begun = 1.0, 0
    for epochs in options.cycles:
        if done < begun + epochs * steps:
            break
        begun += epochs * steps
        peak *= options.again
    else:
        epochs = options.epochs
    return peak * rate_at(done - begun, epochs * steps, options.warmup_epochs * steps, options.last_rate)


class Average:
    """Exponential moving average of a model's weights (Polyak and Juditsky 1992).

    The share kept grows from 0.1 to ``keep`` so that early steps are forgotten quickly.
    """

    def __init__(self, model: nn.Module, keep: float) -> None:
        self.model = copy.deepcopy(model).eval().requires_grad_(requires_grad=False)
        self.keep = keep
        self.steps = 0

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Take one step towards ``model``."""
        self.steps += 1
        keep = min(self.keep, self.steps / (self.steps + 9.0))
        state = model.state_dict()
        for name, value in self.model.state_dict().items():
            if value.dtype.is_floating_point:
                value.lerp_(state[name], 1 - keep)
            else:
                value.copy_(state[name])


@torch.no_grad()
def blend(learned: nn.Module, start: nn.Module, share: float) -> None:
    """Move ``learned`` back towards ``start``, weight by weight: hardly anything is forgotten.

    Wortsman et al., "Robust fine-tuning of zero-shot models" (arXiv 2109.01903).

    Args:
        learned: A network that began as ``start``; changed in place.
        start: The same network with the weights it began with. Parts whose names begin with one of its
            ``fresh`` came with random weights: what they learned stays whole.
        share: Of what was learned, in 0..1; 1 changes nothing.
    """
    fresh = tuple(getattr(start, "fresh", ()))
    before = start.state_dict()
    for name, weights in learned.state_dict().items():
        if weights.dtype.is_floating_point and not name.startswith(fresh or ("\0",)):
            weights.lerp_(before[name].to(weights), 1 - share)
