"""LightGCN: gradients through the graph, planted tastes, the folded-in vector, reasons that add up."""

import numpy as np
import pytest
from tests.recommend.test_als import tastes

from ethogram.errors import OptionError
from ethogram.log import Candidates, Histories
from ethogram.numeric.factors import matrix
from ethogram.numeric.known import Known
from ethogram.numeric.pairwise import Draws
from ethogram.numeric.propagation import Graph
from ethogram.system import load, system

SMALL = {"factors": 8, "layers": 2, "lr": 0.02, "batch": 128, "epochs": 40}


@pytest.fixture(scope="module")
def fitted():
    log = tastes()
    return log, system("lightgcn", **SMALL).fit(log, seed=1)


def test_finds_the_tastes(fitted):
    _, built = fitted
    losses = [row["loss"] for row in built.fitted.course.curve]
    assert losses[-1] < 0.7 * losses[0]
    lists = [[500, 504, 510], [501, 505, 511]]
    kind = np.array(built.recommend(Histories.of(lists), 10, exclude_seen=True).column("item").to_pylist()) % 2
    assert kind[:10].mean() < 0.2
    assert kind[10:].mean() > 0.8


def test_a_step_is_adam_down_the_gradient_of_the_whole_map():
    torch = pytest.importorskip("torch")
    log = tastes(users=12, items=10, events=4)
    known = Known.of(log)
    pairs, rng = matrix(log.histories(), known), np.random.default_rng(0)
    start = rng.standard_normal((len(pairs), 5), np.float32), rng.standard_normal((pairs.width, 5), np.float32)
    graph, n = Graph(pairs), len(pairs) + pairs.width
    triples = Draws(pairs, np.random.default_rng(7)).triples(len(pairs.items))
    whole = np.zeros((n, n))
    whole[pairs.owner, len(pairs) + pairs.items] = 1
    whole += whole.T
    root = 1 / np.sqrt(np.maximum(whole.sum(1), 1))
    step = torch.from_numpy(root[:, None] * whole * root)
    learned = torch.nn.Parameter(torch.from_numpy(np.concatenate(start).astype(float)))
    final = (learned + step @ learned + step @ (step @ learned)) / 3
    u, i, j = torch.from_numpy(triples.astype(np.int64)).T
    i, j = i + len(pairs), j + len(pairs)
    loss = -torch.nn.functional.logsigmoid((final[u] * (final[i] - final[j])).sum(1)).mean()
    penalty = 0.5 * 0.2 * (learned[u].square().sum(1) + learned[i].square().sum(1) + learned[j].square().sum(1)).mean()
    (loss + penalty).backward()
    torch.optim.Adam([learned], 0.02).step()
    built = system("lightgcn", **{**SMALL, "regularisation": 0.2, "batch": 10_000, "factors": 5})
    said = built._learner(graph, Draws(pairs, np.random.default_rng(7)), start)()
    assert said == pytest.approx(loss.item(), rel=1e-5)
    np.testing.assert_allclose(np.concatenate(start), learned.detach().numpy(), atol=1e-5)


def test_a_folded_in_vector_lacks_only_the_user_s_own(fitted):
    log, built = fitted
    histories, model = log.histories(), built.fitted.model
    pairs = model.pairs(histories)
    graph, carried = Graph(pairs), built.fitted.carried
    root = graph.scales[0][:, None]
    expected = np.zeros_like(model.users)
    np.add.at(expected, pairs.owner, carried[pairs.items])
    np.testing.assert_allclose(model.fold(pairs), root * expected, rtol=1e-4, atol=1e-6)
    trained, folded = model.users, model.fold(pairs)
    alike = (trained * folded).sum(1) / np.linalg.norm(trained, axis=1) / np.linalg.norm(folded, axis=1)
    assert np.median(alike) > 0.9


def test_what_the_graph_carries_is_exact():
    """With every user's own x^(0) at zero, trained and folded-in vectors are the same."""
    log = tastes(users=20, items=12, events=6)
    known = Known.of(log)
    pairs = matrix(log.histories(), known)
    graph, rng = Graph(pairs), np.random.default_rng(0)
    items = rng.standard_normal((pairs.width, 4), np.float32)
    users, final, before = graph.convolve(np.zeros((len(pairs), 4), np.float32), items, 3)
    carried = before * graph.scales[1][:, None] / np.float32(4)
    model = system("lightgcn", layers=3)._factors(known, users, final, carried, always=False)
    np.testing.assert_allclose(model.fold(pairs), users, rtol=1e-4, atol=1e-6)


def test_reasons_add_up_to_the_score(fitted):
    _, built = fitted
    lists, asked = [[500, 501, 500, 999, 506]], Candidates.of([500, 502, 503, 999])
    score = built.score(Histories.of(lists), asked)[0]
    found = built.explain(Histories.of(lists), asked, k=9).to_pylist()
    known, carried, y = built.fitted.model.known, built.fitted.carried.astype(float), built.fitted.model.vectors
    for c, item in enumerate([500, 502, 503]):
        parts = {
            i: carried[known.rows[known.items.encode([i])[0]]] @ y[known.rows[known.items.encode([item])[0]]] / 3**0.5
            for i in (500, 501, 506)
        }
        assert sum(parts.values()) == pytest.approx(score[c], rel=1e-4)
        whole = sum(map(abs, parts.values()))
        for row in (r for r in found if r["candidate"] == item):
            times = 2 if row["item"] == 500 else 1
            assert row["share"] == pytest.approx(parts[row["item"]] / times / whole, rel=1e-5)
        assert sum(r["candidate"] == item for r in found) == 4


def test_saved_and_loaded(tmp_path, fitted):
    _, built = fitted
    built.save(tmp_path / "model")
    asked, every = Histories.of([[500, 503], []]), Candidates.of(list(range(500, 540)))
    assert built.score(asked, every).tobytes() == load(tmp_path / "model").score(asked, every).tobytes()


@pytest.mark.parametrize("options", [{"layers": 0}, {"lr": 0.0}, {"batch": 0}, {"regularisation": -1.0}])
def test_options_outside_their_range(options):
    with pytest.raises(OptionError, match=f"lightgcn: {next(iter(options))}"):
        system("lightgcn", **options).fit(tastes())
