"""Graph measures against values by hand, published reference values, and networkx where it is installed."""

import numpy as np
import pytest

from ethogram.data.small_graphs import pairs
from ethogram.errors import OptionError, UnknownName
from ethogram.numeric.graphs import Graph
from ethogram.numeric.paradox import by_strength, neighbours, paradox, upward
from ethogram.numeric.random_graphs import rewired, uniform
from ethogram.numeric.structure import cascades, structure


def club(name="karate"):
    n, a, b = pairs(name)
    return Graph.of(a, b, n).symmetric()


def drawn(n=60, p=0.1, seed=0):
    rng = np.random.default_rng(seed)
    a, b = np.nonzero(rng.random((n, n)) < p)
    return Graph.of(a, b, n, rng.integers(1, 5, len(a)))


@pytest.mark.parametrize(("name", "mean", "median"), [("karate", 0.853, 0.765), ("les_miserables", 0.870, 0.610)])
def test_reference_values_to_three_decimals(name, mean, median):
    graph = club(name)
    assert round(paradox(graph, graph.out_degree).share, 3) == mean
    assert round(paradox(graph, graph.out_degree, "median").share, 3) == median


def test_a_directed_random_graph_has_the_paradox_in_incoming_ties_only():
    """Whom somebody is tied to has one tie more than others: the share is above 1/2 without any hierarchy."""
    found = []
    for seed in range(60):
        a, b = np.nonzero(np.random.default_rng(seed).random((200, 200)) < 0.03)
        graph = Graph.of(a, b, 200)
        found.append([paradox(graph, x).share for x in (graph.in_degree, graph.out_degree)])
    incoming, outgoing = np.mean(found, 0)
    assert 0.62 < incoming < 0.67
    assert 0.47 < outgoing < 0.51


def test_the_paradox_against_loops():
    graph, rng = drawn(), np.random.default_rng(1)
    x = rng.integers(0, 6, len(graph)).astype(float)
    for how, middle in (("mean", np.mean), ("median", np.median)):
        rows = [x[graph.targets[a:b]] for a, b in zip(graph.offsets[:-1], graph.offsets[1:], strict=True)]
        told, sign = neighbours(graph, x, how)
        expected = np.array([middle(r) if len(r) else np.nan for r in rows])
        np.testing.assert_allclose(told, expected)
        np.testing.assert_array_equal(sign, np.sign(np.nan_to_num(np.round(expected - x, 9))))
        found = paradox(graph, x, how)
        tied = ~np.isnan(expected)
        assert found.share == np.mean(np.round(expected - x, 9)[tied] > 0)
        assert (found.agents, found.excluded) == (tied.sum(), (~tied).sum())


def test_equality_is_no_paradox_and_is_told():
    ring = Graph.of([0, 1, 2, 3], [1, 2, 3, 0], 5).symmetric()
    found = paradox(ring, ring.out_degree)
    assert (found.share, found.equal, found.excluded) == (0.0, 1.0, 1)
    assert found.holds.tolist() == [0, 0, 0, 0, -1]


def test_nobody_tied():
    empty = Graph.of(np.zeros(0, int), np.zeros(0, int), 3)
    found = paradox(empty, np.ones(3))
    assert np.isnan(found.share)
    assert found.excluded == 3
    assert np.isnan(upward(empty, np.ones(3))[0])
    assert np.isnan(structure(empty).reciprocity)
    assert rewired(empty, np.random.default_rng(0)).ties == uniform(empty, np.random.default_rng(0)).ties == 0


def test_repeated_ties_add_up_and_loops_are_counted():
    graph = Graph.of([2, 2, 0, 1], [1, 1, 2, 1], 3, [0.5, 1.5, 1.0, 9.0])
    assert graph.loops == 1
    assert graph.targets.tolist() == [2, 1]
    assert graph.weights.tolist() == [1.0, 2.0]
    assert graph.in_strength.tolist() == [0.0, 2.0, 1.0]
    back = graph.reverse()
    assert back.targets.tolist() == [2, 0]
    assert back.weights.tolist() == [2.0, 1.0]


def test_weak_and_strong_ties_part_all_ties_at_the_median():
    graph = drawn()
    weak, strong, middle = by_strength(graph)
    assert weak.ties + strong.ties == graph.ties
    assert weak.weights.max() <= middle < strong.weights.min()
    assert len(weak) == len(graph)
    assert by_strength(club())[1].ties == 0  # all weigh the same: none is strong


def test_upward_by_hand():
    graph = Graph.of([0, 0, 1, 2], [1, 2, 0, 0], 3, [2, 1, 4, 3])
    assert upward(graph, np.array([5, 7, 5])) == (0.2, 0.4)


@pytest.mark.parametrize("make", [lambda: drawn(), lambda: drawn(40, 0.6, 3), club])
def test_rewiring_keeps_degrees_and_moves_ties(make):
    graph = make()
    made = rewired(graph, np.random.default_rng(5))
    np.testing.assert_array_equal(made.out_degree, graph.out_degree)
    np.testing.assert_array_equal(made.in_degree, graph.in_degree)
    assert (made.sources != made.targets).all()
    assert len(set(zip(made.sources.tolist(), made.targets.tolist(), strict=True))) == graph.ties
    before = set(zip(graph.sources.tolist(), graph.targets.tolist(), strict=True))
    after = set(zip(made.sources.tolist(), made.targets.tolist(), strict=True))
    assert len(before & after) < 0.9 * graph.ties
    for i in range(len(graph)):
        mine = slice(graph.offsets[i], graph.offsets[i + 1])
        assert sorted(made.weights[mine]) == sorted(graph.weights[mine])
        assert (np.diff(made.targets[mine]) > 0).all()
    again = rewired(graph, np.random.default_rng(5))
    np.testing.assert_array_equal(made.targets, again.targets)


def test_rewiring_reaches_every_graph_equally_often():
    """Out-degrees 1, 1, 1, 1, each of four agents named once: the nine permutations without a fixed point."""
    graph, rng = Graph.of([0, 1, 2, 3], [1, 2, 3, 0], 4), np.random.default_rng(0)
    seen = {}
    for _ in range(3_000):
        graph = rewired(graph, rng, 4)
        key = tuple(graph.targets.tolist())
        seen[key] = seen.get(key, 0) + 1
    assert len(seen) == 9
    counts = np.array(list(seen.values()))
    assert ((counts - 3_000 / 9) ** 2 / (3_000 / 9)).sum() < 26.1  # chi-square of 8, p = .001


@pytest.mark.parametrize("p", [0.1, 0.7])
def test_uniform_graphs_have_as_many_ties_anywhere(p):
    graph, rng = drawn(20, p), np.random.default_rng(2)
    counts = np.zeros((20, 20))
    for _ in range(400):
        made = uniform(graph, rng)
        assert made.ties == graph.ties
        assert sorted(made.weights) == sorted(graph.weights)
        counts[made.sources, made.targets] += 1
    assert (np.diag(counts) == 0).all()
    share = counts[~np.eye(20, dtype=bool)] / 400
    expected = graph.ties / 380
    assert abs(share - expected).max() < 5 * np.sqrt(expected * (1 - expected) / 400)


def test_structure_beside_networkx():
    nx = pytest.importorskip("networkx")
    graph = drawn(50, 0.08, 4)
    theirs = nx.DiGraph(list(zip(graph.sources.tolist(), graph.targets.tolist(), strict=True)))
    plain, found = theirs.to_undirected(), structure(graph)
    assert found.density == pytest.approx(graph.ties / (50 * 49))
    assert found.reciprocity == pytest.approx(nx.reciprocity(theirs))
    assert found.clustering == pytest.approx(nx.transitivity(plain))
    local = [v for k, v in nx.clustering(plain).items() if plain.degree(k) > 1]
    assert found.local == pytest.approx(np.mean(local))


def test_cascades_by_hand():
    #  0 -> 1 -> 3 -> 4     0 -> 2     5 alone
    found = cascades(np.array([-1, 0, 0, 1, 3, -1]))
    assert found.root.tolist() == [0, 5]
    assert found.size.tolist() == [5, 1]
    assert found.depth.tolist() == [3, 0]
    assert found.breadth.tolist() == [2, 1]
    assert len(cascades(np.zeros(0, int)).root) == 0


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: Graph.of([0, 1], [1], 2), "2 sources, 1 targets"),
        (lambda: Graph.of([0, 5], [1, 1], 3), "source of tie 1 is 5; agents are 0 to 2"),
        (lambda: Graph.of([0.5], [1], 3), "one whole number per tie"),
        (lambda: Graph.of([0], [1], 3, [np.nan]), "tie 0 has weight nan"),
        (lambda: Graph.of([0], [1], 3, [-1.0]), "at least 0"),
        (lambda: paradox(club(), np.ones(3)), "values for 34 agents"),
        (lambda: paradox(club(), np.full(34, np.inf)), "value of agent 0 is inf"),
        (lambda: paradox(club(), np.ones(34), "mode"), "neither mean nor median"),
        (lambda: rewired(club(), np.random.default_rng(0), 0), "give 1 or more"),
        (lambda: cascades(np.array([1, -1])), "parent of post 0 is 1"),
    ],
)
def test_bad_input(call, said):
    with pytest.raises(OptionError, match=said):
        call()


def test_an_unknown_small_graph():
    with pytest.raises(UnknownName, match="karate"):
        pairs("karat")
