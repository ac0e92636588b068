"""Pairwise ranking against autograd, Adam against torch's, and where the draws fall."""

import numpy as np
import pytest

from ethogram.errors import OptionError
from ethogram.numeric.interactions import Interactions
from ethogram.numeric.pairwise import Adam, Draws, gradient, shrink


def small(seed=0, users=30, width=12, d=5):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(0, 9, users)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    pairs = Interactions.counted(rng.integers(0, width, offsets[-1]).astype(np.int32), offsets, width)
    return pairs, rng.standard_normal((users, d), np.float32), rng.standard_normal((width, d), np.float32)


def test_draws_are_of_pairs_and_of_what_was_not_taken():
    pairs, _, _ = small()
    triples = Draws(pairs, np.random.default_rng(5)).triples(200_000)
    took = np.zeros((len(pairs), pairs.width), bool)
    took[pairs.owner, pairs.items] = True
    assert took[triples[:, 0], triples[:, 1]].all()
    assert not took[triples[:, 0], triples[:, 2]].any()
    share = np.zeros(took.shape)
    np.add.at(share, (triples[:, 0], triples[:, 1]), len(pairs.items) / len(triples))
    assert share[took].min() > 0.9
    assert share[took].max() < 1.1
    user = np.argmax(pairs.lengths)
    other = np.bincount(triples[triples[:, 0] == user, 2], minlength=pairs.width)[~took[user]]
    assert other.std() / other.mean() < 0.1
    again = Draws(pairs, np.random.default_rng(5)).triples(200_000)
    assert np.array_equal(triples, again)


def test_who_took_all_is_not_asked():
    pairs = Interactions.counted(np.arange(4, dtype=np.int32), np.array([0, 4]), 4)
    assert len(Draws(pairs, np.random.default_rng(0)).triples(50)) == 0
    with pytest.raises(OptionError, match="no item"):
        Draws(Interactions.counted(np.empty(0, np.int32), np.array([0, 0]), 4), np.random.default_rng(0))


@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_gradients_equal_autograd(scale):
    torch = pytest.importorskip("torch")
    pairs, users, items = small()
    users *= scale
    triples = Draws(pairs, np.random.default_rng(1)).triples(64)
    slopes = np.zeros_like(users), np.zeros_like(items)
    loss = gradient(triples, (users, items), slopes)
    shrink(triples, (users, items), slopes, 0.3)
    p, q = (torch.tensor(w.astype(np.float64), requires_grad=True) for w in (users, items))
    u, i, j = torch.from_numpy(triples.astype(np.int64)).T
    ranked = -torch.nn.functional.logsigmoid((p[u] * (q[i] - q[j])).sum(1)).mean()
    (ranked + 0.15 * (p[u].square().sum(1) + q[i].square().sum(1) + q[j].square().sum(1)).mean()).backward()
    assert loss == pytest.approx(ranked.item(), rel=1e-5)
    np.testing.assert_allclose(slopes[0], p.grad, rtol=1e-4, atol=1e-6 * scale)
    np.testing.assert_allclose(slopes[1], q.grad, rtol=1e-4, atol=1e-6 * scale)


def test_a_plain_step_goes_down_its_own_gradient():
    pairs, users, items = small()
    start = np.random.default_rng(3)
    triple = Draws(pairs, start).triples(1)
    slopes = np.zeros_like(users), np.zeros_like(items)
    loss = gradient(triple, (users, items), slopes)
    shrink(triple, (users, items), slopes, 0.2)
    expected = users - 0.1 * slopes[0], items - 0.1 * slopes[1]
    said = Draws(pairs, np.random.default_rng(3)).descend(users, items, 1, 0.1, 0.2)
    assert said == pytest.approx(loss, rel=1e-5)
    np.testing.assert_allclose(users, expected[0], rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(items, expected[1], rtol=1e-5, atol=1e-7)


def test_adam_equals_torch():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    mine = rng.standard_normal((7, 3), np.float32)
    theirs = torch.nn.Parameter(torch.from_numpy(mine.copy()))
    adam, optimiser = Adam(mine, 0.01), torch.optim.Adam([theirs], 0.01)
    for _ in range(5):
        grad = rng.standard_normal((7, 3), np.float32)
        theirs.grad = torch.from_numpy(grad.copy())
        optimiser.step()
        adam.step(grad)
        assert not grad.any(), "cleared for the next"
    np.testing.assert_allclose(mine, theirs.detach().numpy(), rtol=1e-5, atol=1e-6)
