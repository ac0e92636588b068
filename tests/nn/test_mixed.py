import pytest
import torch

from ethogram.nn.mixed import mixed


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("rows", "readers", "experts", "width"), [(9, 3, 4, 5), (1, 1, 1, 1), (0, 2, 3, 4)])
def test_values_and_gradients_are_those_of_the_sum_written_out(rows, readers, experts, width, dtype):
    chance = torch.Generator().manual_seed(0)
    shares = torch.randn(readers, experts, rows, generator=chance, dtype=dtype, requires_grad=True)
    said = torch.randn(rows, experts, width, generator=chance, dtype=dtype, requires_grad=True)
    wanted = torch.randn(rows, readers, width, generator=chance, dtype=dtype)
    found = mixed(shares, said)
    expected = (shares.permute(2, 0, 1).unsqueeze(3) * said.unsqueeze(1)).sum(2)
    torch.testing.assert_close(found, expected)
    ours = torch.autograd.grad((found * wanted).sum(), (shares, said))
    for a, b in zip(ours, torch.autograd.grad((expected * wanted).sum(), (shares, said)), strict=True):
        torch.testing.assert_close(a, b)
