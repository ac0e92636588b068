"""Pools, choices and weighted gradients against loops, torch-free: finite differences and closed forms."""

from itertools import pairwise

import numpy as np
import pytest

from ethogram.numeric.interactions import Interactions
from ethogram.numeric.pairwise import gradient
from ethogram.numeric.resampling import Pools, pick_rate, pool_losses, softmin
from ethogram.numeric.weighted import losses, weighted


@pytest.fixture
def pairs():
    lists = [[0, 3, 5, 7, 9], [1, 2], [], list(range(12)), [11]]
    offsets = np.cumsum([0, *map(len, lists)])
    return Interactions.counted(np.concatenate(lists).astype(np.int32), offsets, 12)


def test_pools_hold_a_users_own_items_once_and_one_that_is_not(pairs):
    pool, place = Pools(pairs, np.random.default_rng(0)).draw(4_000, 4)
    user = pool[:, 0, 0]
    assert set(user.tolist()) == {0, 1, 4}, "nobody with nothing, nobody with everything"
    assert np.abs(np.bincount(user, minlength=5)[[0, 1, 4]] / len(user) - 1 / 3).max() < 0.03
    assert np.array_equal(pairs.items[place], pool[:, :, 1])
    assert np.array_equal(pairs.owner[place], pool[:, :, 0])
    assert (pool[:, :, 2] == pool[:, :1, 2]).all(), "one item not taken for the whole pool"
    mine = pool[user == 0]
    assert all(len(set(row)) == 4 for row in mine[:, :, 1].tolist()), "without replacement where there are enough"
    shares = np.bincount(mine[:, :, 1].ravel(), minlength=12)[[0, 3, 5, 7, 9]] / mine[:, :, 1].size
    assert np.abs(shares - 0.2).max() < 0.02
    assert not np.isin(mine[:, 0, 2], [0, 3, 5, 7, 9]).any()


def test_losses_and_weighted_gradients():
    rng = np.random.default_rng(1)
    users, items = rng.standard_normal((4, 3), np.float32), rng.standard_normal((6, 3), np.float32)
    triples = np.int32([[0, 1, 2], [3, 5, 0], [0, 4, 1], [2, 2, 3]])
    weight = np.float32([1, 0.5, 0, 2])
    own = (users[triples[:, 0]] * items[triples[:, 1]]).sum(1)
    other = (users[triples[:, 0]] * items[triples[:, 2]]).sum(1)
    expected = np.stack([np.logaddexp(0, other - own), np.logaddexp(0, -own)], 1)
    np.testing.assert_allclose(losses(triples, (users, items)), expected, rtol=1e-5)
    for pointwise in (False, True):

        def mean(u, i, pointwise=pointwise):
            own = (u[triples[:, 0]] * i[triples[:, 1]]).sum(1)
            other = (u[triples[:, 0]] * i[triples[:, 2]]).sum(1)
            each = np.logaddexp(0, -own) + np.logaddexp(0, other) if pointwise else np.logaddexp(0, other - own)
            return (each * weight).sum() / weight.sum()

        slopes = np.zeros_like(users), np.zeros_like(items)
        said = weighted(triples, weight, (users, items), slopes, pointwise=pointwise)
        assert said == pytest.approx(mean(users.astype(float), items.astype(float)), rel=1e-5)
        for table, slope in zip((0, 1), slopes, strict=True):
            for at in np.ndindex(slope.shape):
                moved = [users.astype(float), items.astype(float)]
                moved[table][at] += 1e-4
                up = mean(*moved)
                moved[table][at] -= 2e-4
                assert slope[at] == pytest.approx((up - mean(*moved)) / 2e-4, abs=1e-4)
    plain, same = [(np.zeros_like(users), np.zeros_like(items)) for _ in range(2)]
    assert gradient(triples, (users, items), plain) == pytest.approx(weighted(triples, None, (users, items), same))
    np.testing.assert_allclose(plain[0], same[0], atol=1e-6)
    assert weighted(triples, np.zeros(4), (users, items), same) == 0.0


def test_choices_follow_their_probabilities(pairs):
    loss = np.tile(np.float32([[0.1, 0.9, 0.5]]), (40_000, 1))
    pool = np.tile(np.int32([[[0, 0, 9], [0, 3, 9], [0, 5, 9]]]), (40_000, 1, 1))
    place, offered, chance = np.tile([[4, 2, 0]], (40_000, 1)), np.zeros(6), np.zeros(6)
    chosen = Pools(pairs, np.random.default_rng(0)).choose(pool, place, loss, 0.4, offered, chance)
    expected = np.exp(-np.array([0.1, 0.9, 0.5]) / 0.4)
    expected /= expected.sum()
    assert offered.tolist() == [40_000, 0, 40_000, 0, 40_000, 0]
    np.testing.assert_allclose(chance[[4, 2, 0]] / 40_000, expected, rtol=1e-5)
    np.testing.assert_allclose(softmin(loss, 0.4)[0], expected, rtol=1e-6)
    np.testing.assert_allclose(np.bincount(chosen[:, 1], minlength=6)[[0, 3, 5]] / 40_000, expected, atol=0.01)
    assert np.isfinite(softmin(np.array([0.0, 1e6]), 1e-3)).all()


@pytest.mark.parametrize(("k", "tau"), [(2, 0.5), (5, 0.5), (5, 0.1)])
def test_the_closed_form_is_what_the_sampler_does(k, tau):
    """Users of half clean, half noisy items whose losses differ by 0.6 and are equal otherwise."""
    items = np.float32([[3.0]] * 200 + [[0.0]] * 200 + [[-5.0]] * 400)
    users = np.ones((50, 1), np.float32)
    rng = np.random.default_rng(0)
    taken = [np.concatenate([rng.choice(200, 40, False), 200 + rng.choice(200, 40, False)]) for _ in users]
    pairs = Interactions.counted(np.concatenate(taken).astype(np.int32), np.arange(51) * 80, 400 + 400)
    pool, _ = Pools(pairs, rng).draw(30_000, k)
    pool = pool[pool[:, 0, 2] >= 400]
    loss = pool_losses(pool, (users, items), pointwise=False)
    gap = float(np.logaddexp(0, -5) - np.logaddexp(0, -8))
    scaled = loss * (0.6 / gap)  # the same losses, with a gap worth seeing
    drawn = Pools(pairs, rng)
    item = drawn.choose(pool, np.zeros(loss.shape, np.int64), scaled, tau, np.zeros(1), np.zeros(1))[:, 1]
    rate = ((item >= 200) & (item < 400)).mean()
    assert rate == pytest.approx(pick_rate(0.6, k, tau, 0.5), abs=0.015)


def test_which_way_to_move():
    assert pick_rate(0.0, 5, 0.1, 0.3) == pytest.approx(0.3)
    assert pick_rate(0.5, 1, 0.1, 0.3) == pytest.approx(0.3)
    by_gap = [pick_rate(g, 5, 0.5, 0.3) for g in (0.0, 0.2, 0.5, 1.0)]
    by_k = [pick_rate(0.5, k, 0.5, 0.3) for k in (1, 2, 5, 10)]
    by_tau = [pick_rate(0.5, 5, t, 0.3) for t in (2.0, 1.0, 0.5, 0.1)]
    for falling in (by_gap, by_k, by_tau):
        assert all(a > b for a, b in pairwise(falling))
