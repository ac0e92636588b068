"""The compiled sweeps against the plain form in double precision, which `test_attention` holds against the paper's."""

import numpy as np
import pytest
import torch

from ethogram.nn.attention import TargetAttention
from ethogram.nn.interest import Attended, Pooled
from ethogram.nn.ragged import each, segment_mean, segment_sum
from ethogram.nn.rows import Picked
from ethogram.nn.sweeps import sigmoid

KEYS, SEVERAL, ONE = [0, 5, 5, 6, 18, 40, 43], [0, 2, 5, 6, 6, 13, 14], [0, 1, 2, 3, 4, 5, 6]


def made(dim, hidden, act, training):
    """The same unit in single and in double precision, with nothing left at zero."""
    single = TargetAttention(dim, hidden=(hidden,), act=act).train(training)
    g = torch.Generator().manual_seed(1)
    for p in single.parameters():
        p.data += 0.3 * torch.randn(p.shape, generator=g)
    double = TargetAttention(dim, hidden=(hidden,), act=act).double().train(training)
    double.load_state_dict({k: v.double() for k, v in single.state_dict().items()})
    return single, double


@pytest.mark.parametrize(("dim", "hidden"), [(6, 5), (19, 40)])
@pytest.mark.parametrize("act", ["prelu", "relu", "dice"])
@pytest.mark.parametrize("asked", [SEVERAL, ONE])
@pytest.mark.parametrize("training", [True, False])
def test_sweeps_equal_the_plain_form_in_value_gradient_and_moving_averages(dim, hidden, act, asked, training):
    single, double = made(dim, hidden, act, training)
    g = torch.Generator().manual_seed(0)
    table = torch.randn(9, dim, generator=g, requires_grad=True)
    rows = torch.randint(9, (KEYS[-1],), generator=g)  # events share rows, whose gradients add up
    queries = torch.randn(asked[-1], dim, generator=g, requires_grad=True)
    up = torch.randn(asked[-1], dim, generator=g)

    mine = single(Picked(table, rows), KEYS, queries, asked)
    theirs = double(table.double()[rows], KEYS, queries.double(), asked)
    torch.testing.assert_close(mine, theirs.float(), rtol=1e-4, atol=1e-5)
    left = torch.autograd.grad((mine * up).sum(), [table, queries, *single.parameters()], allow_unused=True)
    right = torch.autograd.grad((theirs * up).sum(), [table, queries, *double.parameters()], allow_unused=True)
    assert left[0].abs().max() > 0
    for a, b in zip(left, right, strict=True):
        torch.testing.assert_close(a, None if b is None else b.float(), rtol=1e-4, atol=2e-5)
    for a, b in zip(single.buffers(), double.buffers(), strict=True):
        torch.testing.assert_close(a, b.float(), rtol=1e-4, atol=1e-5)


def test_sweeps_are_what_packed_single_precision_takes(monkeypatch):
    calls = []
    monkeypatch.setattr("ethogram.nn.unit.interests", lambda *given: calls.append(1))
    unit, plain, wide = TargetAttention(8, act="dice"), TargetAttention(8), TargetAttention(64, act="dice")
    unit(torch.randn(43, 8), KEYS, torch.randn(14, 8), SEVERAL)
    wide(torch.randn(43, 64), KEYS, torch.randn(6, 64), ONE)
    plain(torch.randn(43, 8), KEYS, torch.randn(6, 8), ONE)
    assert len(calls) == 3
    wide(torch.randn(43, 64), KEYS, torch.randn(14, 64), SEVERAL)  # blocks multiply faster
    plain(torch.randn(43, 8), KEYS, torch.randn(14, 8), SEVERAL)  # the same: its gate costs nothing
    unit(torch.randn(43, 8), KEYS, torch.randn(14, 8), SEVERAL, weights=True)
    unit(torch.randn(43, 8), KEYS, torch.randn(14, 8), SEVERAL, values=torch.randn(43, 3))
    TargetAttention(8, act="dice", normalise="softmax")(torch.randn(43, 8), KEYS, torch.randn(14, 8), SEVERAL)
    unit.double()(torch.randn(43, 8).double(), KEYS, torch.randn(14, 8).double(), SEVERAL)
    assert len(calls) == 3


def test_nothing_to_attend_to_gives_zero_and_moves_no_average():
    unit = TargetAttention(8, act="dice")
    before = [b.clone() for b in unit.buffers()]
    queries = torch.randn(3, 8, requires_grad=True)
    found = unit(torch.zeros(0, 8), [0, 0, 0], queries, [0, 2, 3])
    assert found.eq(0).all()
    found.sum().backward()
    assert queries.grad.eq(0).all()
    assert all(torch.equal(a, b) for a, b in zip(unit.buffers(), before, strict=True))


def test_mean_and_variance_keep_their_digits_far_from_zero():
    unit = TargetAttention(8, hidden=(4,), act="dice")
    unit.unit.bias.data += 1_000
    unit.unit.acts[0].mean += 1_000
    keys, queries = torch.randn(40, 8), torch.randn(1, 8)
    unit(keys, [0, 40], queries, [0, 1])
    spread = unit.unit.bias_of(queries.double().float()).double()
    z = keys.double() @ (unit.unit.key + unit.unit.product * queries).double().T + spread
    expected = 0.9 + 0.1 * z.var(0, correction=0)
    torch.testing.assert_close(unit.unit.acts[0].variance.double(), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("training", [True, False])
def test_picked_rows_are_attended_and_pooled_like_rows_that_are_written_out(training):
    table, rows = torch.randn(9, 8), torch.randint(9, (43,), generator=torch.Generator().manual_seed(0))
    queries, spans, ends = torch.randn(14, 8), torch.tensor(KEYS), torch.tensor(SEVERAL)
    starts = torch.ones(43, dtype=torch.bool)
    parts = [Pooled(8), Pooled(8, "sum"), Attended(TargetAttention(8), last=4), Attended(TargetAttention(8), mean=True)]
    for part in parts:
        part.train(training)
        picked = part(Picked(table, rows), spans, queries, ends, key_starts=starts)
        torch.testing.assert_close(picked, part(table[rows], spans, queries, ends, key_starts=starts))


def test_sums_of_picked_rows_and_their_gradient():
    table = torch.randn(9, 4, requires_grad=True)
    rows, spans = torch.tensor([3, 3, 0, 8, 1, 3]), torch.tensor([0, 2, 2, 6])
    up = torch.randn(3, 4)
    for sums in (segment_sum, segment_mean):
        mine, theirs = sums(Picked(table, rows), spans), sums(table[rows], spans)
        torch.testing.assert_close(mine, theirs)
        left, right = (torch.autograd.grad((x * up).sum(), table)[0] for x in (mine, theirs))
        torch.testing.assert_close(left, right)


def test_each_repeats_rows_and_leaves_single_ones_alone():
    rows = torch.arange(6.0).view(3, 2)
    assert each(rows, torch.tensor([0, 1, 2, 3])) is rows
    assert each(rows, torch.tensor([0, 2, 2, 3]))[:, 0].tolist() == [0, 0, 4]


def test_the_sigmoid_is_within_1e_6_everywhere():
    x = np.concatenate([np.linspace(-90, 90, 20_001), [-1e30, 1e30, 0]]).astype(np.float32)
    mine = np.array([sigmoid(v) for v in x])
    with np.errstate(over="ignore"):
        expected = 1 / (1 + np.exp(-x.astype(np.float64)))
    assert np.abs(mine - expected).max() < 2e-7
