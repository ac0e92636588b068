import pytest
import torch

from ethogram.nn.adam import DenseAdam, adam


def made(dtype=torch.float32):
    chance = torch.Generator().manual_seed(0)
    return [torch.nn.Parameter(torch.randn(shape, generator=chance, dtype=dtype)) for shape in ((7, 5), (5,), ())]


def learn(parameters, optimiser, steps):
    for i in steps:
        optimiser.zero_grad()
        matrix, row, number = parameters
        loss = (matrix * (i + 1)).sin().sum() + number * row.square().sum()
        loss.backward()
        optimiser.step()
    return [p.detach().clone() for p in parameters]


def test_it_moves_as_torch_does():
    ours, theirs = made(), made()
    learn(ours, DenseAdam(ours, 0.05), range(6))
    learn(theirs, torch.optim.Adam(theirs, 0.05), range(6))
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=2e-5)


def test_a_gradient_that_lies_across_and_one_that_is_missing():
    (matrix, row, _), (theirs, *_) = made(), made()
    before = row.detach().clone()
    first, second = DenseAdam([matrix, row], 0.1), torch.optim.Adam([theirs], 0.1)
    wanted = torch.randn(5, 7, generator=torch.Generator().manual_seed(1))
    matrix.grad, theirs.grad = wanted.T, wanted.T.clone()
    first.step()
    second.step()
    torch.testing.assert_close(matrix, theirs)
    assert torch.equal(row, before)


def test_state_survives():
    whole, halved = made(), made()
    every = learn(whole, DenseAdam(whole, 0.1), range(6))
    first, second = DenseAdam(halved, 0.1), DenseAdam(halved, 0.1)
    learn(halved, first, range(3))
    second.load_state_dict(first.state_dict())
    for a, b in zip(learn(halved, second, range(3, 6)), every, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize(("dtype", "kind"), [(torch.float32, DenseAdam), (torch.float64, torch.optim.Adam)])
def test_torchs_own_does_what_is_not_compiled(dtype, kind):
    assert type(adam(made(dtype), 0.1)) is kind
