import pytest
import torch

from ethogram.errors import OptionError
from ethogram.nn.dropout import Dropout, dropout


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_share_scale_and_gradient(p):
    torch.manual_seed(0)
    x = torch.full((200, 1001), 3.0, requires_grad=True)
    out = dropout(x, p, True)
    kept = out != 0
    assert kept.float().mean().item() == pytest.approx(1 - p, abs=0.005)
    assert kept.float().mean(1).std() < 0.03  # no row and no column is spared
    assert kept.float().mean(0).std() < 0.06
    assert out.mean().item() == pytest.approx(3.0, rel=0.03)
    assert len(out[kept].unique()) == 1
    (out * 2).sum().backward()
    torch.testing.assert_close(x.grad, 2 * out.detach() / 3)


def test_every_byte_decides_alike():
    torch.manual_seed(0)
    by_place = dropout(torch.ones(100_000, 8), 0.5, True).ne(0).float().mean(0)
    assert by_place.sub(0.5).abs().max() < 0.01


def test_seeded_and_off_outside_training():
    x = torch.randn(3, 5)
    with torch.random.fork_rng():
        torch.manual_seed(7)
        a = dropout(x, 0.5, True)
        torch.manual_seed(7)
        b = dropout(x, 0.5, True)
        assert torch.equal(a, b)
        assert not torch.equal(a, dropout(x, 0.5, True))
    assert dropout(x, 0.5, False) is x
    layer = Dropout(0.5).eval()
    assert layer(x) is x
    assert dropout(x, 1.0, True).eq(0).all()
    assert dropout(x.T, 0.5, True).shape == (5, 3)
    assert dropout(x.double(), 0.5, True).dtype == torch.float64
    with pytest.raises(OptionError, match="not a probability"):
        Dropout(1.5)


def test_strided_input_keeps_its_places():
    torch.manual_seed(0)
    x = torch.randn(40, 30)
    out = dropout(x.T, 0.3, True)
    kept = out != 0
    torch.testing.assert_close(out[kept], x.T[kept] * (256 / (256 - 77)))
