"""Asking a network in fewer bits: only where the processor multiplies them, and never in the loss."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from sightline.runtime.features import Features
from sightline.training.lesson import ask
from sightline.training.recipe_form import Optimiser

pytestmark = pytest.mark.train


class Named(NamedTuple):
    one: Tensor


@dataclass(frozen=True)
class Data:
    one: Tensor
    none: Tensor | None = None


class Network(nn.Module):
    """Says a product in one form or another."""

    def __init__(self, form: Any) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.form, self.layer = form, nn.Linear(64, 3)

    def forward(self, pixels: Tensor) -> Any:
        return self.form(self.layer(pixels))


@pytest.mark.parametrize("form", [Tensor.clone, Named, Data], ids=["tensor", "named tuple", "dataclass"])
@pytest.mark.parametrize(
    ("precision", "flags", "half"),
    [
        ("bfloat16", {"avx512_bf16"}, True),
        ("bfloat16", {"avx512_vnni"}, False),
        ("float32", {"avx512_bf16"}, False),
    ],
    ids=["asked and able", "asked, not able", "not asked"],
)
def test_what_is_said_is_float32_whatever_was_multiplied(
    form: Any, precision: Any, flags: set[str], monkeypatch: pytest.MonkeyPatch, *, half: bool
) -> None:
    monkeypatch.setattr("sightline.training.lesson.this_machine", lambda: Features("", frozenset(flags)))
    network, pixels = Network(form), torch.randn(2, 64)
    said = ask(network, pixels, Optimiser(epochs=1, rate=1, precision=precision))
    assert type(said) is (Tensor if form is Tensor.clone else form)
    value = said if isinstance(said, Tensor) else said.one
    wanted = network.layer(pixels)
    assert value.dtype == torch.float32
    assert torch.allclose(value, wanted, atol=0.05)
    assert torch.equal(value, wanted) is not half
    value.sum().backward()
    assert network.layer.weight.grad.dtype == torch.float32
