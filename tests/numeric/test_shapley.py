"""Shapley values against the definition over all orders of the players, and the axioms."""

from itertools import permutations
from math import factorial

import numpy as np
import pytest

from ethogram.errors import OptionError
from ethogram.numeric.shapley import by_orders, by_regression, coalitions, exact, interactions


def game(n, seed=0, c=2):
    """Random values of all coalitions, smooth in the players, with products of pairs."""
    rng = np.random.default_rng(seed)
    w, b = rng.normal(size=(n, c)), rng.normal(size=(n, n, c)) / n
    rows = coalitions(n).astype(float)
    return 1 / (1 + np.exp(-(rows @ w + np.einsum("ri,rj,ijc->rc", rows, rows, b))))


def lookup(values):
    n = int(np.log2(len(values)))
    return lambda rows: values[rows @ (1 << np.arange(n))]


def test_exact_values_are_the_mean_over_all_orders():
    values = game(5)
    phi = np.zeros((5, 2))
    for order in permutations(range(5)):
        held = 0
        for player in order:
            phi[player] += values[held | 1 << player] - values[held]
            held |= 1 << player
    np.testing.assert_allclose(exact(values), phi / factorial(5), atol=1e-12)


def test_axioms():
    values = game(7)
    phi = exact(values)
    np.testing.assert_allclose(phi.sum(0), values[-1] - values[0], atol=1e-12)
    rows = coalitions(6)
    same = np.stack([rows[:, 0] + rows[:, 1] + rows[:, 2] * rows[:, 0] * rows[:, 1], rows[:, 3]], 1).astype(float)
    phi = exact(same)
    np.testing.assert_allclose(phi[0], phi[1], atol=1e-12)
    np.testing.assert_allclose(phi[4:], 0, atol=1e-12)
    weights = np.random.default_rng(1).normal(size=(6, 1))
    np.testing.assert_allclose(exact(rows @ weights), weights, atol=1e-12)


def test_interactions_are_the_products_of_a_game_of_pairs():
    rng = np.random.default_rng(0)
    b = np.triu(rng.normal(size=(5, 5)), 1)
    rows = coalitions(5).astype(float)
    values = (rows @ rng.normal(size=5) + np.einsum("ri,rj,ij->r", rows, rows, b))[:, None]
    np.testing.assert_allclose(interactions(values)[:, :, 0], b + b.T, atol=1e-12)


@pytest.mark.parametrize("way", ["orders", "regression"])
def test_estimates_lie_within_their_errors(way):
    values = game(10, seed=3)
    truth, off = exact(values), []
    for seed in range(6):
        if way == "orders":
            found = by_orders(lookup(values), 10, orders=120, se=0.0, seed=seed)
        else:
            found = by_regression(lookup(values), 10, evaluations=700, seed=seed)
        assert found.evaluations <= 1024
        np.testing.assert_allclose(found.phi.sum(0), values[-1] - values[0], atol=1e-9)
        off.append(np.abs(found.phi - truth) / found.se)
    assert np.mean(np.array(off) < 3) > 0.95


def test_orders_stop_when_sure():
    flat = by_orders(lambda rows: rows.sum(1, keepdims=True).astype(float), 8, orders=400, se=0.01)
    assert flat.evaluations <= 16 * 7 + 2
    np.testing.assert_allclose(flat.phi, 1)


def test_bad_games_are_refused():
    with pytest.raises(OptionError, match="power of n"):
        exact(np.zeros((6, 1)))
    with pytest.raises(OptionError, match="at least two players"):
        by_regression(lambda r: np.zeros((len(r), 1)), 10, evaluations=5)
