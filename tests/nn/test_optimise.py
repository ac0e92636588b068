"""The compiled pass against the torch operations, torch's own optimisers and hand-made values."""

import numpy as np
import pytest
import torch

from ethogram.errors import OptionError
from ethogram.nn.embedding import Table
from ethogram.nn.optimise import RowAdagrad, RowAdam, RowSGD

RULES = [RowAdam, RowAdagrad, RowSGD]


def batches(rows=60, steps=6):
    rng = np.random.default_rng(0)
    return [torch.from_numpy(rng.integers(0, rows, 9)) for _ in range(steps)]


def loss(table, ids):
    target = torch.linspace(-1, 1, table.weight.shape[1])
    return (table(ids) - target).square().sum() + table(ids[:2]).sum()  # two look-ups of one table


def learn(table, optimiser, some):
    for ids in some:
        optimiser.zero_grad()
        loss(table, ids).backward()
        optimiser.step()
    return table.weight.detach()


@pytest.mark.parametrize("rule", RULES)
def test_compiled_and_torch_operations_agree(rule):
    made = []
    for dtype in (torch.float32, torch.float64):  # the compiled pass takes float32 only
        table = Table(60, 3, seed=1).to(dtype)
        optimiser = rule([table.weight], 0.1, decay=0.3, counts=[torch.arange(60.0)])
        made.append(learn(table, optimiser, batches()).double())
    torch.testing.assert_close(*made, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_adam_moves_as_torch_sparse_adam(dtype):
    ours, theirs = Table(60, 3, seed=1).to(dtype), Table(60, 3, seed=1).to(dtype)
    some = [ids.clamp_min(1) for ids in batches()]  # torch's moves row 0
    # torch's does not correct eps for the first steps, so it stays out of the comparison
    learn(ours, RowAdam([ours.weight], 0.1, eps=1e-12), some)
    learn(theirs, torch.optim.SparseAdam([theirs.weight], 0.1, eps=1e-12), some)
    torch.testing.assert_close(ours.weight, theirs.weight)
    idle = sorted(set(range(60)) - set(torch.cat(some).tolist()))
    assert idle
    assert torch.equal(ours.weight[idle], Table(60, 3, seed=1).to(dtype).weight[idle])


def test_row_wise_adagrad_by_hand():
    table = Table(4, 2)
    with torch.no_grad():
        table.weight[2] = torch.tensor([1.0, 3.0])
    optimiser = RowAdagrad([table.weight], 0.5)
    for gradient in ([3.0, 1.0], [1.0, 1.0]):
        optimiser.zero_grad()
        (table(torch.tensor([2])) * torch.tensor(gradient)).sum().backward()
        optimiser.step()
    # sums of mean squares: (9 + 1) / 2 = 5, then 5 + 1 = 6
    expected = torch.tensor([1.0, 3.0]) - 0.5 * torch.tensor([3.0, 1.0]) / 5**0.5 - 0.5 / 6**0.5
    torch.testing.assert_close(table.weight[2].detach(), expected)


def test_mini_batch_aware_penalty_is_the_gradient_of_its_formula():
    counts, decay, lr = torch.tensor([0.0, 4, 1, 2, 8]), 0.6, 0.05
    table = Table(5, 2, seed=3)
    start = table.weight.detach().clone()
    ids = torch.tensor([2, 4, 2, 3])
    optimiser = RowSGD([table.weight], lr, decay=decay, counts=[counts])
    table(ids).sin().sum().backward()
    optimiser.step()
    free = start.clone().requires_grad_()
    touched = sorted(set(ids.tolist()))
    penalty = decay / 2 * sum(free[j].square().sum() / counts[j] for j in touched)
    (free[ids].sin().sum() + penalty).backward()
    torch.testing.assert_close(table.weight.detach(), start - lr * free.grad)


def test_rows_that_stand_often_and_far_apart_are_summed():
    rng = np.random.default_rng(3)
    ids = torch.from_numpy(rng.choice(np.r_[0, rng.integers(1, 100_000, 150)], 400))
    values = torch.from_numpy(rng.standard_normal((400, 2)).astype(np.float32))
    table = Table(100_000, 2)
    expected = table.weight.detach().clone().index_add_(0, ids, values, alpha=-0.5)
    expected[0] = 0
    table.weight.grad = torch.sparse_coo_tensor(ids[None], values, table.weight.shape, check_invariants=False)
    RowSGD([table.weight], 0.5).step()
    torch.testing.assert_close(table.weight.detach(), expected)


def test_a_dense_gradient_moves_all_rows_but_the_first():
    table = Table(6, 2)
    before = table.weight.detach().clone()
    optimiser = RowSGD([table.weight], 0.1)
    (table(torch.tensor([1])).sum() + table.weight.square().sum() + table.weight[0].sum()).backward()
    optimiser.step()
    expected = before * 0.8
    expected[1] -= 0.1
    torch.testing.assert_close(table.weight.detach(), expected)


@pytest.mark.parametrize("rule", RULES)
def test_state_survives_and_runs_are_equal_to_the_byte(rule):
    some = batches()
    whole, halved, again = Table(60, 3), Table(60, 3), Table(60, 3)
    learn(whole, rule([whole.weight], 0.1), some)
    learn(again, rule([again.weight], 0.1), some)
    first = rule([halved.weight], 0.1)
    learn(halved, first, some[:3])
    second = rule([halved.weight], 0.1)
    second.load_state_dict(first.state_dict())
    learn(halved, second, some[3:])
    assert torch.equal(whole.weight, halved.weight)
    assert torch.equal(whole.weight, again.weight)


def test_wrong_options():
    with pytest.raises(OptionError, match="lr = 0"):
        RowAdam([Table(2, 2).weight], 0.0)
