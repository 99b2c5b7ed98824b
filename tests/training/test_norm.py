"""Batch norm put back and folded again: what is computed stays, and what a step does changes."""

import torch
from torch import Tensor, nn

from sightline.training.models.nano_detector import Conv, NanoDetector
from sightline.training.norm import fold, normables, unfold


def _seen(draw: torch.Generator) -> Tensor:
    return torch.rand(4, 3, 64, 64, generator=draw) * 255


def _look(model: nn.Module, pixels: Tensor) -> object:
    return model(NanoDetector.normalised(pixels))


def _answers(model: nn.Module, pixels: Tensor) -> Tensor:
    model.eval()
    with torch.no_grad():
        answer = model(NanoDetector.normalised(pixels))
    return torch.cat([answer.logits, answer.spread.flatten(2), answer.coefficients], 2)


def _uneven() -> NanoDetector:
    """As folded weights are: channels of very different sizes."""
    torch.manual_seed(1)
    model = NanoDetector(3, prototypes=4)
    with torch.no_grad():
        for part in normables(model):
            part.conv.weight.mul_(torch.logspace(-0.7, 0.2, len(part.conv.weight))[:, None, None, None])
            assert part.conv.bias is not None
            part.conv.bias.normal_(std=0.1)
    return model


def test_a_network_computes_the_same_with_norms_and_without_them_again() -> None:
    draw = torch.Generator().manual_seed(0)
    model, pixels = _uneven(), _seen(draw)
    names = list(model.state_dict())
    before = _answers(model, pixels)
    unfold(model, _look, [_seen(draw) for _ in range(3)])
    scale = before.abs().max()
    assert float((_answers(model, pixels) - before).abs().max() / scale) < 1e-4
    fold(model)
    assert float((_answers(model, pixels) - before).abs().max() / scale) < 1e-4
    assert list(model.state_dict()) == names


def test_all_channels_of_a_convolution_have_the_same_size_while_it_is_trained() -> None:
    model = _uneven()
    unfold(model, _look, [_seen(torch.Generator().manual_seed(0))])
    for part in normables(model):
        size = part.conv.weight.flatten(1).square().mean(1).sqrt()
        torch.testing.assert_close(size, torch.full_like(size, part.conv.weight[0].numel() ** -0.5))
        assert part.conv.bias is None


def test_the_norm_follows_what_it_sees_and_the_fold_keeps_that() -> None:
    part = Conv(3, 5)
    pixels = torch.rand(8, 3, 16, 16)
    unfold(part, lambda model, batch: model(batch), [pixels])
    assert part.norm is not None
    part.train()
    for _ in range(5):
        part(pixels * 3 + 1)
    part.eval()
    with torch.no_grad():
        trained = part(pixels)
        fold(part)
        torch.testing.assert_close(part(pixels), trained)
