import pytest
import torch
import torch.nn.functional as F

from ethogram.nn import affine as module
from ethogram.nn.affine import Linear, affine
from ethogram.nn.crossnet import CrossNet, CrossNetwork


@pytest.fixture(params=[True, False], ids=["numpy", "torch"])
def library(request, monkeypatch):
    monkeypatch.setattr(module, "wider", lambda: request.param)


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).requires_grad_()


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("rows", "inputs", "outputs"), [(7, 5, 3), (1, 5, 1), (0, 5, 3)])
def test_values_and_gradients_of_a_layer(library, rows, inputs, outputs, bias):
    given = [drawn(rows, inputs), drawn(outputs, inputs, seed=1)] + ([drawn(outputs, seed=2)] if bias else [])
    found, expected = affine(*given), F.linear(*given)
    torch.testing.assert_close(found, expected)
    for a, b in zip(*(torch.autograd.grad(x.sin().sum(), given) for x in (found, expected)), strict=True):
        torch.testing.assert_close(a, b)


def test_rows_that_lie_across_and_other_types(library):
    x, layer = drawn(5, 7), Linear(5, 3)
    torch.testing.assert_close(layer(x.T), F.linear(x.T, layer.weight, layer.bias))
    assert layer(drawn(2, 4, 5)).shape == (2, 4, 3)
    assert layer.double()(drawn(4, 5).double()).dtype == torch.float64
    with torch.autocast("cpu", torch.bfloat16):
        assert Linear(5, 3)(drawn(4, 5)).dtype == torch.bfloat16


def test_gradients_of_cross_layers_are_those_of_their_formula(library):
    network, start = CrossNetwork(6, CrossNet(layers=2)), drawn(9, 6)
    x = start
    for layer in network.layers:
        with torch.no_grad():
            layer.bias.normal_(generator=torch.Generator().manual_seed(3))
        x = x + start * F.linear(x, layer.weight, layer.bias)
    given = [start, *network.parameters()]
    found = network(start)
    torch.testing.assert_close(found, x)
    for a, b in zip(*(torch.autograd.grad(y.sin().sum(), given) for y in (found, x)), strict=True):
        torch.testing.assert_close(a, b)
