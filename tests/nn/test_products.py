"""Products under autocast: the same numbers to fewer bits, in as few shapes as possible."""

import torch

from ethogram.nn.products import ROWS, filled, product


def test_only_the_product_has_fewer_bits():
    layer = torch.nn.Linear(8, 5)
    x = torch.randn(ROWS + 3, 8, generator=torch.Generator().manual_seed(0), requires_grad=True)
    whole = product(layer, x)
    torch.testing.assert_close(whole, layer(x))
    with torch.autocast("cpu", torch.bfloat16):
        low = product(layer, x)
    assert (low.dtype, low.shape) == (torch.float32, whole.shape)
    assert not torch.equal(low, whole)
    torch.testing.assert_close(low, whole, rtol=0.02, atol=0.02)
    low.sum().backward()
    torch.testing.assert_close(x.grad, layer.weight.sum(0).expand_as(x).detach(), rtol=0.02, atol=0.02)


def test_rows_are_filled_with_nothing():
    x = torch.ones(3, 2)
    assert filled(x).shape == (ROWS, 2)
    assert filled(x).sum() == 6
    assert filled(torch.ones(3)).shape == (ROWS,)
    assert filled(torch.ones(2 * ROWS, 4)).shape == (2 * ROWS, 4)
