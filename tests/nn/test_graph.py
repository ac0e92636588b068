"""Propagation in torch against dense matrices, values and gradients."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from ethogram.nn.graph import BipartiteGraph  # noqa: E402
from ethogram.numeric.interactions import Interactions  # noqa: E402


@pytest.fixture
def made():
    lists = [[0, 2], [1], [0, 1, 3], []]
    offsets = np.cumsum([0, *map(len, lists)])
    pairs = Interactions.counted(np.concatenate(lists).astype(np.int32), offsets, 5)
    dense = torch.zeros(9, 9, dtype=torch.float64)
    for u, row in enumerate(lists):
        for i in row:
            dense[u, 4 + i] = dense[4 + i, u] = 1
    return BipartiteGraph(pairs), dense, torch.randn(9, 3, generator=torch.Generator().manual_seed(0))


def gradients(of, *given):
    given = [g.clone().requires_grad_(True) for g in given]
    (of(*given) * torch.arange(1, 28).view(9, 3)).sum().backward()
    return [g.grad for g in given]


def test_symmetric(made):
    graph, dense, rows = made
    root = dense.sum(1).clamp_min(1).rsqrt()
    whole = (root[:, None] * dense * root).float()
    torch.testing.assert_close(graph.symmetric(rows), whole @ rows)
    torch.testing.assert_close(gradients(graph.symmetric, rows), gradients(lambda r: whole @ r, rows))


def test_weighted_by_a_view_with_gradients_through_the_weights(made):
    graph, dense, rows = made
    view = torch.randn(9, 3, generator=torch.Generator().manual_seed(1))

    def ours(view, rows):
        return graph.weighted(graph.likeness(view), rows)

    def plain(view, rows):
        unit = view / view.norm(dim=1, keepdim=True)
        a = (unit @ unit.T + 1) / 2 * dense.float()
        return a @ rows / a.sum(1, keepdim=True).clamp_min(1e-12)

    torch.testing.assert_close(ours(view, rows), plain(view, rows))
    torch.testing.assert_close(gradients(ours, view, rows), gradients(plain, view, rows), rtol=1e-4, atol=1e-5)


def test_without_some_edges(made):
    graph, dense, rows = made
    keep = torch.tensor([True, False, True, True, False, True])
    for e in np.flatnonzero(~keep.numpy()):
        u, i = int(graph.user[e]), int(graph.item[e])
        dense[u, i] = dense[i, u] = 0
    root = dense.sum(1).clamp_min(1).rsqrt()
    torch.testing.assert_close(graph.dropped(keep, rows), (root[:, None] * dense * root).float() @ rows)
    torch.testing.assert_close(graph.dropped(torch.ones(6, dtype=torch.bool), rows), graph.symmetric(rows))
