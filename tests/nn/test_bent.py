"""ReLU and PReLU with their dropout in one pass: values and gradients against torch's own layers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from ethogram.nn.bent import Bent
from ethogram.nn.dropout import draw


def ours_and_torchs(p: float, channels: int | None, seed: int = 3) -> list[tuple[torch.Tensor, ...]]:
    """(value, gradient of z, gradient of alpha) of the layer, and of torch's operations with the same draw."""
    z = torch.randn(40, 12, generator=torch.Generator().manual_seed(seed))
    weight = torch.randn(40, 12, generator=torch.Generator().manual_seed(seed + 1))
    layer = Bent(p, channels).train()
    mine = z.clone().requires_grad_()
    torch.manual_seed(seed)
    out = layer(mine)
    (out * weight).sum().backward()
    torch.manual_seed(seed)
    below = round(p * 256)
    kept = (draw(z.numel()) >= below).view(z.shape).float() * 256 / (256 - below) if below else torch.ones_like(z)
    theirs = z.clone().requires_grad_()
    alpha = torch.full((12,), 0.25, requires_grad=True)
    expected = kept * (F.relu(theirs) if channels is None else F.prelu(theirs, alpha))
    (expected * weight).sum().backward()
    found = [(out, expected), (mine.grad, theirs.grad)]
    if channels is not None:
        found.append((layer.weight.grad, alpha.grad))
    return found


@pytest.mark.parametrize("channels", [None, 12], ids=["relu", "prelu"])
@pytest.mark.parametrize("p", [0.0, 0.3])
def test_one_pass_equals_torchs_layers(p: float, channels: int | None) -> None:
    for mine, theirs in ours_and_torchs(p, channels):
        torch.testing.assert_close(mine, theirs)


@pytest.mark.parametrize("channels", [None, 12])
def test_nothing_is_dropped_outside_training(channels: int | None) -> None:
    layer, z = Bent(0.5, channels).eval(), torch.randn(5, 12)
    with torch.no_grad():
        torch.testing.assert_close(layer(z), F.leaky_relu(z, 0.0 if channels is None else 0.25))


def test_bytes_are_even_follow_the_seed_and_do_not_repeat() -> None:
    torch.manual_seed(1)
    first, second = draw(1 << 18), draw(1 << 18)
    torch.manual_seed(1)
    assert torch.equal(draw(1 << 18), first)
    assert not torch.equal(first, second)
    counts = np.bincount(first.numpy(), minlength=256)
    # chi-square of 255 degrees of freedom: 99.9% lie in 190..332
    assert 190 < float(((counts - 1024) ** 2 / 1024).sum()) < 332
    assert abs(float(np.corrcoef(first.numpy(), second.numpy())[0, 1])) < 0.01


def test_splitmix_gives_the_published_numbers() -> None:
    from ethogram.nn.dropout import splitmix

    out = np.empty(3, np.uint64)
    splitmix(np.uint64(1234567), out)
    # the reference values that implementations of SplitMix64 are tested with, seed 1234567
    assert out.tolist() == [6457827717110365317, 3203168211198807973, 9817491932198370423]
