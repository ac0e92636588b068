"""DCCF: its layers by hand, planted tastes and accidents, intents, exact reasons, bad input."""

import numpy as np
import pyarrow as pa
import pytest
from tests.recommend.test_als import tastes

from ethogram.data.planted_noise import planted
from ethogram.errors import OptionError
from ethogram.log import Candidates, Histories, Log
from ethogram.numeric.factors import matrix
from ethogram.numeric.known import Known
from ethogram.system import load, system

torch = pytest.importorskip("torch")
SMALL = {"factors": 8, "prototypes": 4, "lr": 0.02, "batch": 512, "epochs": 25}


@pytest.fixture(scope="module")
def fitted():
    log = tastes()
    return log, system("dccf", **SMALL).fit(log, seed=1)


def test_layers_are_those_of_the_equations():
    from ethogram.nn.disentangled import Disentangled
    from ethogram.nn.graph import BipartiteGraph

    log = tastes(users=10, items=8, events=5)
    pairs = matrix(log.histories(), Known.of(log))
    network = Disentangled(BipartiteGraph(pairs), 3, layers=2, prototypes=4, intent=True, masks=True, seed=3)
    n = len(pairs)
    a = np.zeros((n + pairs.width,) * 2)
    a[pairs.owner, n + pairs.items] = 1
    a += a.T
    root = 1 / np.sqrt(np.maximum(a.sum(1), 1))
    e = network.start().detach().numpy().astype(float)
    cu, ci = network.of_users.detach().numpy().astype(float), network.of_items.detach().numpy().astype(float)

    def soft(x):
        x = np.exp(x - x.max(1, keepdims=True))
        return x / x.sum(1, keepdims=True)

    def masked(view):
        unit = view / np.linalg.norm(view, axis=1, keepdims=True)
        w = (unit @ unit.T + 1) / 2 * a
        return w / np.maximum(w.sum(1, keepdims=True), 1e-12)

    total = e.copy()
    for _ in range(2):
        z = root[:, None] * a * root @ e
        r = np.vstack([soft(e[:n] @ cu) @ cu.T, soft(e[n:] @ ci) @ ci.T])
        e = z + r + masked(z) @ e + masked(r) @ e + e
        total += e
    np.testing.assert_allclose(np.vstack(network.vectors()), total, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("options", [{}, {"augment": "random"}, {"intent": False, "masks": False, "augment": "none"}])
def test_finds_the_tastes(options):
    built = system("dccf", **SMALL, **options).fit(tastes(), seed=1)
    best = built.recommend(Histories.of([[500, 504, 510], [501, 505, 511]]), 10, exclude_seen=True)
    kind = np.array(best.column("item").to_pylist()) % 2
    assert kind[:10].mean() < 0.2
    assert kind[10:].mean() > 0.8
    assert set(best.column("status").to_pylist()) == {"warm"}


def test_accidents_are_trusted_less():
    made = planted(tastes(users=120, items=80, events=24), noise=0.3, least=6, seed=1)
    built = system("dccf", **SMALL).fit(made.log.split("leave-last-out").train, seed=0)
    strays = {(r["user"], r["item"]) for r in made.accidents.to_pylist()}
    rows = built.trust().to_pylist()
    stray = np.array([(r["user"], r["item"]) in strays for r in rows])
    trust = np.array([r["trust"] for r in rows])
    assert 0.1 < stray.mean() < 0.4
    assert ((trust >= 0) & (trust <= 1)).all()
    assert trust[~stray].mean() > trust[stray].mean()


def test_intents_are_mixtures_of_the_users(fitted):
    log, built = fitted
    told = built.intents()
    mixture = np.array(told.column("mixture").to_pylist())
    assert mixture.shape == (len(log.vocabulary("user")), 4)
    np.testing.assert_allclose(mixture.sum(1), 1, rtol=1e-5)
    assert (mixture.argmax(1) == told.column("intent").to_numpy()).all()
    with pytest.raises(OptionError, match="intent=False"):
        system("dccf", **{**SMALL, "epochs": 1}, intent=False).fit(log).intents()


def test_reasons_add_up_to_the_folded_in_score(fitted):
    _, built = fitted
    lists, asked = [[500, 501, 500, 999, 506]], Candidates.of([502, 503, 999])
    score = built.score(Histories.of(lists), asked)[0]
    found = built.explain(Histories.of(lists), asked, k=9).to_pylist()
    known, y = built.fitted.model.known, built.fitted.model.vectors.astype(float)
    row = {i: known.rows[known.items.encode([i])[0]] for i in (500, 501, 502, 503, 506)}
    for c, item in enumerate((502, 503)):
        parts = {i: y[row[i]] @ y[row[item]] / 3 for i in (500, 501, 506)}
        assert sum(parts.values()) == pytest.approx(score[c], rel=1e-4)
        whole = sum(map(abs, parts.values()))
        for r in (r for r in found if r["candidate"] == item):
            assert r["share"] == pytest.approx(parts[r["item"]] / (2 if r["item"] == 500 else 1) / whole, rel=1e-4)
            assert r["intent"] is not None


def test_known_users_are_trained_or_folded_in(fitted):
    log, built = fitted
    histories = log.histories()
    every = Candidates.of(list(range(500, 540)))
    always = system("dccf", **SMALL, fold_in="always").fit(log, seed=1)
    one, other = built.score(histories, every), always.score(histories, every)
    assert not np.allclose(one, other)
    assert np.median([np.corrcoef(a, b)[0, 1] for a, b in zip(one, other, strict=True)]) > 0.5


def test_saved_and_loaded(tmp_path, fitted):
    _, built = fitted
    built.save(tmp_path / "model")
    back, asked, every = load(tmp_path / "model"), Histories.of([[500, 503], []]), Candidates.of(list(range(500, 540)))
    assert built.score(asked, every).tobytes() == back.score(asked, every).tobytes()
    assert back.trust().equals(built.trust())
    assert back.intents().equals(built.intents())


@pytest.mark.parametrize("options", [{"layers": 0}, {"temperature": 0.0}, {"weight": -1.0}, {"dropped": 1.0}])
def test_options_outside_their_range(options):
    with pytest.raises(OptionError, match=f"dccf: {next(iter(options))}"):
        system("dccf", **options).fit(tastes())


def test_odd_logs():
    level = Log.open(pa.table({"user": [1, 1, 2, 3], "item": [5, 6, 5, 7], "order": [0, 0, 0, 0]}))
    built = system("dccf", **{**SMALL, "epochs": 2}).fit(level)
    assert built.recommend(Histories.of([[5], [99], []]), 2).column("item").null_count == 0
    assert built.recommend(Histories.of([[5]]), 2, among=Candidates.of([])).num_rows == 0
    one = Log.open(pa.table({"user": [1, 2], "item": [5, 5], "order": [0, 0]}))
    with pytest.raises(OptionError, match=r"took all 1 of its items.*nothing to learn from"):
        system("dccf", **SMALL).fit(one)


def test_the_loss_by_hand():
    from ethogram.nn.disentangled import Disentangled
    from ethogram.nn.graph import BipartiteGraph

    log = tastes(users=10, items=8, events=5)
    pairs = matrix(log.histories(), Known.of(log))
    network = Disentangled(BipartiteGraph(pairs), 3, layers=2, prototypes=4, intent=True, masks=True, seed=3)
    u, i = np.repeat(np.arange(len(pairs)), np.diff(pairs.offsets)), pairs.items
    triples = np.stack([u, i, (i + 1) % pairs.width], 1)
    o = system("dccf", regularisation=0.3, spread=0.2, weight=0.7, temperature=0.4, contrast=100)
    x, views = (part for part in network())
    x, n = x.detach().numpy().astype(float), len(pairs)
    ahead = (x[triples[:, 0]] * (x[n + triples[:, 1]] - x[n + triples[:, 2]])).sum(1)
    wanted = np.log1p(np.exp(-ahead)).mean()
    e = network.start().detach().numpy().astype(float)
    wanted += 0.15 * sum((e[at] ** 2).sum(1).mean() for at in (triples[:, 0], n + triples[:, 1], n + triples[:, 2]))
    wanted += 0.2 * sum((p.detach().numpy().astype(float) ** 2).sum() for p in (network.of_users, network.of_items))
    for view in views:
        for name in ("intent", "local", "global"):
            for nodes in (np.unique(triples[:, 0]), n + np.unique(triples[:, 1])):
                a, b = (view[v].detach().numpy().astype(float)[nodes] for v in ("graph", name))
                a, b = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (a, b))
                close = np.exp(a @ b.T / 0.4)
                wanted += 0.7 * -np.log(np.diag(close) / close.sum(1)).mean()
    loss = network.loss(o, triples, 0)
    assert float(loss.detach()) == pytest.approx(wanted, rel=1e-4)
    loss.backward()
    for name, p in network.named_parameters():
        assert float(p.grad.abs().sum()) > 0, name
