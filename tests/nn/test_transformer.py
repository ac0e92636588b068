"""The causal transformer against a plain padded computation, and its promises about groups."""

import pytest
import torch

from ethogram.errors import OptionError
from ethogram.nn.transformer import CausalTransformer, last_states


def naive(model, rows, group):
    """One history at a time, with an explicit mask and softmax."""
    x = rows + model.position.weight[(group[-1] - group).clamp(max=model.position.num_embeddings - 1)]
    x = x if model.pre else model.norm(x)
    allowed = group[:, None] >= group[None, :]
    for block in model.blocks:
        inner = block.first(x) if block.pre else x
        q, k, v = block.qkv(inner).view(len(x), 3, block.heads, -1).permute(1, 2, 0, 3)
        share = (q @ k.transpose(1, 2) * q.shape[-1] ** -0.5).masked_fill(~allowed, -torch.inf).softmax(-1)
        seen = block.out((share @ v).transpose(0, 1).reshape(len(x), -1))

        def feed(t, block=block):
            return block.down(torch.nn.functional.gelu(block.up(t), approximate="tanh"))

        if block.pre:
            x = x + seen
            x = x + feed(block.second(x))
        else:
            x = block.first(x + seen)
            x = block.second(x + feed(x))
    return model.norm(x) if model.pre else x


def problem(ties, seed=0):
    g = torch.Generator().manual_seed(seed)
    lengths = torch.tensor([4, 1, 7, 7])
    offsets = torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)])
    rows = torch.randn(int(offsets[-1]), 8, generator=g)
    groups = []
    for n in lengths.tolist():
        step = torch.randint(0, 2, (n,), generator=g) if ties else torch.ones(n, dtype=torch.int64)
        step[0] = 0
        groups.append(step.cumsum(0))
    return rows, offsets, torch.cat(groups)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("norm", ["pre", "post"])
def test_equals_the_naive_computation(ties, norm):
    rows, offsets, group = problem(ties)
    model = CausalTransformer(8, layers=2, heads=2, positions=3, norm=norm, seed=1).eval()
    for p in model.parameters():
        torch.nn.init.normal_(p, 0.1, 0.4, generator=torch.Generator().manual_seed(p.numel()))
    got = model(rows, offsets, group)
    for i in range(len(offsets) - 1):
        part = slice(int(offsets[i]), int(offsets[i + 1]))
        torch.testing.assert_close(got[part], naive(model, rows[part], group[part]), rtol=1e-4, atol=1e-5)


def test_later_rows_change_nothing_and_equal_lengths_need_no_padding():
    model = CausalTransformer(8, layers=2, heads=1, positions=50, norm="pre").eval()
    rows = torch.randn(12, 8, generator=torch.Generator().manual_seed(2))
    offsets, group = torch.tensor([0, 6, 12]), torch.arange(6).repeat(2)
    one = model(rows, offsets, group)
    changed = rows.clone()
    changed[5] *= -1
    two = model(changed, offsets, group)
    torch.testing.assert_close(one[:5], two[:5])
    assert not torch.allclose(one[5], two[5])
    torch.testing.assert_close(one[6:], two[6:])


def test_order_inside_a_group_only_permutes():
    rows, offsets, group = problem(ties=True, seed=5)
    model = CausalTransformer(8, layers=2, heads=2, positions=9).eval()
    place = torch.arange(len(rows))
    owner = torch.repeat_interleave(torch.arange(4), offsets.diff())
    key = owner * 100 + group
    for value in key.unique():
        mine = (key == value).nonzero().ravel()
        place[mine] = mine.flip(0)
    one, two = model(rows, offsets, group), model(rows[place], offsets, group)
    torch.testing.assert_close(one[place], two, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(last_states(one, offsets, group), last_states(two, offsets, group))


def test_last_states_are_the_mean_of_the_last_group():
    states = torch.arange(10.0).view(5, 2)
    offsets, group = torch.tensor([0, 3, 3, 5]), torch.tensor([0, 1, 1, 0, 1])
    expected = torch.tensor([[3.0, 4.0], [0.0, 0.0], [8.0, 9.0]])
    torch.testing.assert_close(last_states(states, offsets, group), expected)


def test_gradients_reach_everything():
    rows, offsets, group = problem(ties=True)
    rows.requires_grad_()
    model = CausalTransformer(8, layers=2, heads=2, positions=9, dropout=0.1)
    model(rows, offsets, group).square().sum().backward()
    assert rows.grad.abs().sum(1).gt(0).all()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.blocks.parameters())


def test_heads_must_divide():
    with pytest.raises(OptionError, match="do not divide"):
        CausalTransformer(10, heads=4)
