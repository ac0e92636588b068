"""The gated graph of a history against dense matrices, and what the order of rows may not say."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from ethogram.nn.session_graph import SessionGraph, Walks  # noqa: E402

ITEMS = np.array([4, 7, 4, 2, 4, 9, 7, 7])
BEGINS = np.array([True, True, True, False, True, True, True, True])
OFFSETS = np.array([0, 5, 5, 8])
"""4 | 7 | 4 and 2 at once | 4;  nothing;  9 | 7 | 7."""


def vectors(width=3, seed=0):
    table = torch.randn(10, width, generator=torch.Generator().manual_seed(seed))
    return table


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_a_step_is_that_of_the_equations():
    table, graph = vectors(), SessionGraph(3, seed=1)
    got = graph.parts(table[torch.from_numpy(ITEMS)], Walks.of(ITEMS, BEGINS, OFFSETS)).detach().numpy()
    held = {n: p.detach().double().numpy() for n, p in graph.named_parameters()}
    e = table.double().numpy()
    # rows: nodes 2, 4, 7 of the first history; 4 came once behind 7 and once half behind 4, half behind 2
    first, second = [2, 4, 7], [7, 9]
    into = np.array([[0, 0, 1], [1 / 4, 1 / 4, 1 / 2], [0, 1, 0]])
    out = np.array([[0, 1, 0], [0, 1 / 2, 1 / 2], [1 / 2, 1 / 2, 0]])
    expected = {}
    for nodes, a_in, a_out, history in (
        (first, into, out, 0),
        (second, np.array([[1 / 2, 1 / 2], [0, 0]]), np.array([[1, 0], [1, 0]]), 2),
    ):
        h = e[nodes]
        a = np.hstack([a_in @ h @ held["into.weight"].T, a_out @ h @ held["out.weight"].T]) + held["bias"]
        x = a @ held["cell.weight_ih"].T + held["cell.bias_ih"]
        y = h @ held["cell.weight_hh"].T + held["cell.bias_hh"]
        r, z = sigmoid(x[:, :3] + y[:, :3]), sigmoid(x[:, 3:6] + y[:, 3:6])
        new = (1 - z) * np.tanh(x[:, 6:] + r * y[:, 6:]) + z * h
        alpha = sigmoid(new @ held["look.weight"].T + held["look.bias"]) @ held["weigh.weight"].T + held["weigh.bias"]
        expected |= {(history, n): v for n, v in zip(nodes, alpha * new, strict=True)}
    owner = [0] * 5 + [2] * 3
    np.testing.assert_allclose(got, [expected[o, i] for o, i in zip(owner, ITEMS, strict=True)], rtol=1e-4, atol=1e-6)
    whole = graph(table[torch.from_numpy(ITEMS)], Walks.of(ITEMS, BEGINS, OFFSETS)).detach().numpy()
    np.testing.assert_allclose(whole[0], got[:5].sum(0), rtol=1e-5)
    assert (whole[1] == 0).all(), "nothing is known of an empty history"


def test_the_order_inside_a_group_says_nothing():
    table, graph = vectors(), SessionGraph(3, seed=1)
    order = np.array([0, 1, 3, 2, 4, 5, 6, 7])
    one, other = (
        graph(table[torch.from_numpy(i)], Walks.of(i, BEGINS, OFFSETS)).detach().numpy() for i in (ITEMS, ITEMS[order])
    )
    np.testing.assert_allclose(one, other, rtol=1e-6)
    turned = np.array([1, 0, 2, 3, 4, 5, 6, 7])
    assert not np.allclose(one, graph(table[torch.from_numpy(ITEMS[turned])],
                                      Walks.of(ITEMS[turned], BEGINS, OFFSETS)).detach().numpy())  # fmt: skip


def test_without_the_graph_vectors_are_read_as_they_come():
    table, graph = vectors(), SessionGraph(3, gated=False, seed=1)
    taken = table[torch.from_numpy(ITEMS)]
    alpha = graph.weigh(torch.sigmoid(graph.look(taken)))
    got = graph.parts(taken, Walks.of(ITEMS, BEGINS, OFFSETS))
    torch.testing.assert_close(got, alpha * taken)
    nothing = graph(taken[:0], Walks.of(ITEMS[:0], BEGINS[:0], np.zeros(3, np.int64)))
    assert nothing.shape == (2, 3)
