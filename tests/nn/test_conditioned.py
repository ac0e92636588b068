"""Conditioned attention and field weights against their formulas in NumPy."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from ethogram.errors import OptionError
from ethogram.nn.conditioned import NORMS, AttentionBlock, Hypernetwork, plain
from ethogram.nn.excitation import Excitation


def normed(x):
    return (x - x.mean()) / np.sqrt(x.var() + 1e-8)


def by_hand(block, keys, query, moved):
    """u_r of one candidate over its question's events, in float64."""
    w = {k: v.detach().double().numpy() for k, v in block.state_dict().items()}
    asked = w["query.weight"] @ (normed(query) * moved[0, 0] + moved[0, 1])
    if not len(keys):
        return np.zeros_like(query)
    k = np.stack([w["key.weight"] @ normed(e) for e in keys])
    v = np.stack([w["value.weight"] @ normed(e) for e in keys])
    found, at = [], 0
    for size in block.sizes:
        score = k[:, at : at + size] @ asked[at : at + size] / np.sqrt(size)
        share = np.exp(score - score.max())
        found.append(share / share.sum() @ v[:, at : at + size])
        at += size
    a = w["out.weight"] @ np.concatenate(found)
    inner = w["up.weight"] @ (normed(a) * moved[1, 0] + moved[1, 1]) + w["up.bias"]
    return a + w["down.weight"] @ np.maximum(inner, 0) + w["down.bias"]


def test_the_block_is_its_equations():
    rng, width, conditions = np.random.default_rng(0), 7, 3
    block = AttentionBlock(width, heads=2, seed=1)
    assert block.sizes == [4, 3]
    keys, queries = rng.normal(size=(9, width)), rng.normal(size=(6, width))
    moved = rng.normal(1, 0.5, (conditions, NORMS, 2, width))
    spans, ends = torch.tensor([0, 4, 4, 9]), torch.tensor([0, 2, 3, 6])
    numbers = (torch.tensor(a, dtype=torch.float32) for a in (keys, queries, moved))
    k, q, m = numbers
    got = block(k, spans, q, ends, m).detach().numpy()
    owner = [0, 0, 1, 2, 2, 2]
    for i in range(6):
        mine = keys[int(spans[owner[i]]) : int(spans[owner[i] + 1])]
        for r in range(conditions):
            np.testing.assert_allclose(got[i, r], by_hand(block, mine, queries[i], moved[r]), rtol=1e-4, atol=1e-5)
    assert not got[2].any(), "nothing is known of who did nothing"


def test_conditions_begin_as_one_and_differ_when_told():
    hyper = Hypernetwork(2, 3, 5, condition=4, seed=0)
    assert torch.equal(hyper(), plain(5, 2, 3))
    with torch.no_grad():
        hyper.made.weight.normal_(generator=torch.Generator().manual_seed(3))
    found = hyper().detach()
    z = torch.cat([hyper.goal[1], hyper.kind[2]])
    expected = plain(5) + (hyper.made.weight @ z + hyper.made.bias).view(NORMS, 2, 5)
    torch.testing.assert_close(found[1, 2], expected)
    assert not torch.allclose(found[1, 2], found[0, 2])


def test_heads_that_the_width_cannot_have():
    with pytest.raises(OptionError, match="9 heads of 8 numbers"):
        AttentionBlock(8, heads=9)


@pytest.mark.parametrize("bitwise", [False, True])
def test_fields_are_weighed_by_each_other(bitwise):
    widths = [3, 1, 2]
    made = Excitation(widths, 2, bitwise=bitwise, seed=5)
    x = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
    assert torch.equal(made(x), x), "the start is the input itself"
    chance = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in made.parameters():
            p.normal_(generator=chance)
    w = {k: v.detach().double().numpy() for k, v in made.state_dict().items()}
    ends = np.cumsum([0, *widths])
    got = made(x).detach().numpy()
    for row in range(4):
        e = x[row].double().numpy()
        s = np.array([w["squeeze"][a:b] @ e[a:b] for a, b in pairwise(ends)])
        hidden = np.maximum(w["down.weight"] @ s + w["down.bias"], 0)
        share = 2 / (1 + np.exp(-(w["up.weight"] @ hidden + w["up.bias"])))
        expected = e * (share if bitwise else np.repeat(share, widths))
        np.testing.assert_allclose(got[row], expected, rtol=1e-4, atol=1e-5)


def test_a_block_begins_as_an_average_of_the_events():
    """With equal scores it is their mean, each brought to mean 0 and variance 1, at the candidate's places."""
    block, keys = AttentionBlock(6, 2), torch.randn(5, 6, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        block.query.weight.zero_()
        found = block(keys, torch.tensor([0, 5]), torch.randn(3, 6), torch.tensor([0, 3]), plain(6, 1))
    even = (keys - keys.mean(1, keepdim=True)) / keys.std(1, keepdim=True, unbiased=False)
    torch.testing.assert_close(found[:, 0], even.mean(0).expand(3, 6))
