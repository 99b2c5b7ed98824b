"""The quick convolution computes what the plain one does, forward and backward."""

import pytest
import torch
from torch import nn

from sightline.training.models.quick_convolution import QuickConv

pytestmark = pytest.mark.train


@pytest.mark.parametrize(
    ("inner", "outer", "size", "count"),
    [
        (128, 96, (8, 8), 3),
        (128, 16, (4, 12), 2),
        (130, 8, (16, 16), 40),
        (128, 8, (6, 8), 2),
        (16, 8, (8, 8), 2),
    ],
    ids=["square", "one tile high", "in parts", "no whole tiles", "few channels"],
)
def test_it_is_the_convolution(inner: int, outer: int, size: tuple[int, int], count: int) -> None:
    torch.manual_seed(0)
    quick = QuickConv(inner, outer)
    plain = nn.Conv2d(inner, outer, 3, padding=1, bias=False)
    plain.load_state_dict(quick.state_dict())
    x = torch.randn(count, inner, *size).contiguous(memory_format=torch.channels_last)
    seen = [x.clone().requires_grad_(), x.clone().requires_grad_()]
    grad = torch.randn(count, outer, *size)
    found, wanted = quick(seen[0]), plain(seen[1])
    found.backward(grad)
    wanted.backward(grad)
    for one, other in ((found, wanted), (seen[0].grad, seen[1].grad), (quick.weight.grad, plain.weight.grad)):
        assert one.shape == other.shape
        assert (one - other).abs().max() < 1e-4 * other.abs().max()


@pytest.mark.parametrize("inner", [16, 64, 128])
def test_in_bfloat16_it_is_the_convolution_but_for_rounding(inner: int) -> None:
    """Sums of rounded tiles: about 3 % of the length of each tensor, where the plain one has 0.3 %."""
    torch.manual_seed(0)
    quick, plain = QuickConv(inner, 32), nn.Conv2d(inner, 32, 3, padding=1, bias=False)
    plain.load_state_dict(quick.state_dict())
    x = torch.randn(8, inner, 8, 8).contiguous(memory_format=torch.channels_last)
    seen = [x.clone().requires_grad_(), x.clone().requires_grad_()]
    grad = torch.randn(8, 32, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        found = quick(seen[0])
    assert found.dtype == torch.bfloat16
    found.backward(grad.bfloat16())
    wanted = plain(seen[1])
    wanted.backward(grad)
    assert quick.weight.grad.dtype == torch.float32
    for one, other in ((found, wanted), (seen[0].grad, seen[1].grad), (quick.weight.grad, plain.weight.grad)):
        assert (one.float() - other).norm() < 0.05 * other.norm()


def test_it_is_only_quick_in_training() -> None:
    torch.manual_seed(0)
    quick = QuickConv(128, 8)
    x = torch.randn(1, 128, 8, 8)
    assert quick(x).grad_fn.name() != quick.eval()(x).grad_fn.name()
