"""The recurrent encoder against its equations and torch's own, and its promises about groups."""

from itertools import pairwise

import pytest
import torch

from ethogram.nn.recurrent import Recurrent

LENGTHS = [4, 1, 7, 7, 2]


def problem(ties, dim=6, seed=0):
    g = torch.Generator().manual_seed(seed)
    offsets = torch.tensor([0, *LENGTHS]).cumsum(0)
    rows = torch.randn(int(offsets[-1]), dim, generator=g)
    group = []
    for n in LENGTHS:
        step = torch.randint(0, 2, (n,), generator=g) if ties else torch.ones(n, dtype=torch.int64)
        step[0] = 0
        group.append(step.cumsum(0))
    return rows, offsets, torch.cat(group)


def by_hand(model, rows, group):
    """One history: the mean of each group, the unit's equations, the dense layer, shared by the group's rows."""
    state, found = torch.zeros(model.gru.hidden_size), []
    weight_in, weight_own = model.gru.weight_ih_l0, model.gru.weight_hh_l0
    for g in group.unique():
        x = rows[group == g].mean(0)
        reset_in, update_in, new_in = (weight_in @ x).chunk(3)
        reset_own, update_own, new_own = (weight_own @ state).chunk(3)
        reset, update = torch.sigmoid(reset_in + reset_own), torch.sigmoid(update_in + update_own)
        new = torch.tanh(new_in + reset * new_own)
        state = (1 - update) * new + update * state
        found += [model.dense(state)] * int((group == g).sum())
    return torch.stack(found)


@pytest.mark.parametrize("ties", [False, True])
def test_equals_the_equations(ties):
    rows, offsets, group = problem(ties)
    model = Recurrent(6, hidden=5, dropout=0.0, seed=3)
    got = model(rows, offsets, group)
    for a, b in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True):
        torch.testing.assert_close(got[a:b], by_hand(model, rows[a:b], group[a:b]), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("layers", [1, 2])
def test_values_and_gradients_equal_torch_on_padded_input(layers):
    rows, offsets, group = problem(ties=False, seed=4)
    model = Recurrent(6, hidden=5, layers=layers, dropout=0.0)
    rows.requires_grad_()
    got = model(rows, offsets, group)
    weigh = torch.randn(got.shape, generator=torch.Generator().manual_seed(1))
    (got * weigh).sum().backward()
    ours = [rows.grad.clone(), *(p.grad.clone() for p in model.parameters())]
    rows.grad = None
    model.zero_grad()
    padded = torch.nn.utils.rnn.pad_sequence([rows[a:b] for a, b in pairwise(offsets)])
    out = model.dense(model.gru(padded)[0])
    plain = torch.cat([out[:n, i] for i, n in enumerate(LENGTHS)])
    torch.testing.assert_close(got, plain)
    (plain * weigh).sum().backward()
    for mine, theirs in zip(ours, [rows.grad, *(p.grad for p in model.parameters())], strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)


def test_order_inside_a_group_says_nothing():
    rows, offsets, group = problem(ties=True, seed=5)
    model = Recurrent(6, dropout=0.0)
    owner = torch.repeat_interleave(torch.arange(len(LENGTHS)), offsets.diff())
    place = torch.arange(len(rows))
    for key in (owner * 100 + group).unique():
        mine = (owner * 100 + group == key).nonzero().ravel()
        place[mine] = mine.flip(0)
    assert not torch.equal(place, torch.arange(len(rows)))
    torch.testing.assert_close(model(rows[place], offsets, group), model(rows, offsets, group))


def test_later_steps_and_other_histories_change_nothing():
    rows, offsets, group = problem(ties=False, seed=6)
    model = Recurrent(6, dropout=0.0)
    before = model(rows, offsets, group)
    changed = rows.clone()
    changed[int(offsets[3]) - 1] += 1  # the last row of the third history
    after = model(changed, offsets, group)
    same = torch.arange(len(rows)) != int(offsets[3]) - 1
    torch.testing.assert_close(after[same], before[same], rtol=0, atol=1e-7)
    assert not torch.allclose(after[~same], before[~same])


def test_empty_input():
    assert Recurrent(6)(torch.zeros(0, 6), torch.zeros(3, dtype=torch.int64), torch.zeros(0, dtype=torch.int64)).shape
