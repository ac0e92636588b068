"""PISA: its equations by hand, reasons, bad input; and the base level alone."""

import numpy as np
import pyarrow as pa
import pytest

from ethogram import data
from ethogram.errors import OptionError
from ethogram.evaluate import evaluate
from ethogram.log import Candidates, Histories, Log
from ethogram.system import load, system

torch = pytest.importorskip("torch")
SMALL = {"dim": 8, "length": 4, "epochs": 2, "favourites": 3, "batch": 64, "dropout": 0.0}
HOUR = 3_600


def baskets(users=20, sessions=6, items=15, seed=0):
    rng = np.random.default_rng(seed)
    rows = [
        (u, 100 + int(i), 10**9 + s * 24 * HOUR)
        for u in range(users)
        for s in range(sessions)
        for i in rng.choice(items, 3, replace=False)
    ]
    return Log.open(pa.table(dict(zip(("user", "item", "time"), map(list, zip(*rows, strict=True)), strict=True))))


@pytest.fixture(scope="module")
def fitted():
    return system("pisa", **SMALL).fit(baskets(), seed=1)


def test_the_score_is_that_of_the_equations(fitted):
    """Sessions, activation, long term and fusion by hand in NumPy; the transformer alone is asked."""
    held = {k.removeprefix("model."): v.astype(np.float64) for k, v in fitted.state().arrays.items()}
    v, beta = held["items.weight"][1:], np.maximum(held["beta"], 0)
    done = baskets().histories()[:1]
    item = np.asarray(done.item)[done.flat()[0]].reshape(6, 3)
    hour = np.arange(6) * 24.0
    after = np.append(hour[1:], hour[-1] + 1)
    met = np.zeros((120, 15))
    every = baskets().histories()
    met[np.repeat(np.arange(120), 3), np.asarray(every.item)] = 1
    count = met.T @ met
    np.fill_diagonal(count, 0)
    root = 1 / np.sqrt(count.sum(1))
    links = root[:, None] * count * root
    m = []
    for s in range(2, 6):  # the last four sessions
        level = np.zeros(15)
        for p in range(s + 1):
            level[item[p]] += (after[s] - hour[p]) ** -0.5
        share, mine = level / level.sum(), np.sort(item[s])
        inner = v[mine] @ v[mine].T
        match = inner.sum(1) - np.diag(inner)
        parts = np.stack([share[mine], links[mine][:, mine].sum(1), match])
        w = np.sqrt(1e-8 + beta @ np.maximum(parts, 0))
        m.append(w / w.sum() @ v[mine])
    m = np.stack(m)

    def unit(x):
        return x / np.linalg.norm(x)

    best = np.argsort(-share, kind="stable")[:3]
    long = unit(share[best] @ v[best])
    network = fitted.fitted.network
    rows = torch.from_numpy((m * 8**0.5).astype(np.float32))
    short = unit(network.encoder(rows, torch.tensor([0, 4]), torch.arange(4))[-1].detach().numpy().astype(float))
    gate = np.exp(held["fusion.weight"] @ np.r_[long, short] + held["fusion.bias"])
    gate /= gate.sum()
    z = unit(gate[0] * long + gate[1] * short + m[-1])
    got = fitted.score(done, Candidates.of(list(range(100, 115))))[0]
    np.testing.assert_allclose(got, v @ (z + 0.5 * long), rtol=1e-4, atol=1e-5)


def test_without_components_a_session_is_the_mean():
    built = system("pisa", components=(), favourites=0, skip=False, **{k: SMALL[k] for k in ("dim", "epochs")})
    built.fit(baskets(), seed=2)
    reading = built.fitted
    from ethogram.numeric.sessions import Sessions

    done = baskets().histories()[:2]
    sessions = Sessions.of(done, reading.known.rows, 20.0)
    found = reading.read(sessions, np.array([0, 1]), np.array([6, 6]))
    np.testing.assert_allclose(found.shares.detach().numpy(), 1 / 3, rtol=1e-6)
    assert float(found.lasting.abs().max()) == 0


def test_reasons_come_from_memory(fitted):
    from ethogram.numeric.sessions import Sessions
    from ethogram.recommend.pisa.explaining import parts

    done = baskets().histories()[:1]
    sessions = Sessions.of(done, fitted.fitted.known.rows, 20.0)
    made = parts(fitted.fitted, sessions, 0)
    found = fitted.fitted.read(sessions, np.array([0]), np.array([4]))
    scale = (found.gates[0, 0] / found.fused.norm() + 0.5).item()
    np.testing.assert_allclose(made.lasting.sum(0), found.lasting[0].detach().numpy() * scale, rtol=1e-4, atol=1e-6)
    table = fitted.explain(done, Candidates.of([100, 107, 999]), k=4).to_pylist()
    assert {r["component"] for r in table} <= {"long term", "recent sessions"}
    assert {r["candidate"] for r in table} == {100, 107}, "nothing speaks for an item that nobody met"


def test_it_learns_what_returns_and_saves(tmp_path):
    log = data.load("listeners", users=60, items=400, topics=10, songs=5, sessions=(25, 30))
    cut = log.split("leave-last-out")
    built = system("pisa", dim=32, lr=5e-3, samples=4, epochs=12).fit(cut.train, cut.valid, seed=0)
    mine, memory = (evaluate(b, cut, bootstrap=20).metrics for b in (built, system("base_level").fit(cut.train)))
    assert mine["recall@10"] > 4 * 10 / 400, "four times chance"
    assert mine["recall@10/repeat"] > memory["recall@10/repeat"] / 3
    assert memory["recall@10/explore"] == 0, "memory alone names nothing new"
    asked, every = cut.test.questions("next").histories, Candidates.every(log.vocabulary("item"))
    built.save(tmp_path / "model")
    assert built.score(asked, every).tobytes() == load(tmp_path / "model").score(asked, every).tobytes()


def test_bad_input(fitted):
    once = Log.open(pa.table({"user": [1, 2], "item": [5, 6], "time": [10**9, 10**9]}))
    with pytest.raises(OptionError, match="two sessions"):
        system("pisa", **SMALL).fit(once)
    same = Log.open(pa.table({"user": [1] * 4, "item": [5, 6, 7, 8], "time": [10**9] * 4}))
    with pytest.raises(OptionError, match="two sessions"):
        system("pisa", **SMALL).fit(same)
    for wrong in ({"components": ("base", "mood")}, {"decay": -1.0}, {"own_weight": 2.0}, {"samples": 0}):
        with pytest.raises(OptionError, match="pisa"):
            system("pisa", **wrong).fit(baskets())
    one = Log.open(pa.table({"user": [1, 1, 2, 2], "item": [5] * 4, "time": [0, 10**6, 0, 10**6]}))
    built = system("pisa", **SMALL).fit(one)
    assert built.recommend(Histories.of([[5], []]), 3).column("item").to_pylist() == [5, 5], "a catalogue of one item"
    assert fitted.recommend(Histories.of([[100]]), 3, among=Candidates.of([])).num_rows == 0
    long = Histories.of([[100 + i % 15 for i in range(500)]])
    said = fitted.recommend(long, 3)
    assert said.num_rows == 3
    assert said.column("status").to_pylist() == ["warm"] * 3
    assert np.isfinite(fitted.score(Histories.of([[999, 100]]), Candidates.of([100, 998]))).all()


def test_songs_are_alike_by_the_cosine_of_their_vectors(fitted):
    v = fitted.state().arrays["model.items.weight"][1:].astype(np.float64)
    v /= np.linalg.norm(v, axis=1, keepdims=True)
    cosine = v @ v[3]
    cosine[3] = -np.inf
    best = np.argsort(-cosine)[:4]
    got = fitted.similar_items([103], 4).to_pylist()
    assert [r["item"] for r in got] == (100 + best).tolist()
    np.testing.assert_allclose([r["similarity"] for r in got], cosine[best], rtol=1e-5)


def test_base_level_alone():
    built = system("base_level", decay=0.5).fit(baskets())
    hour = 3_600
    rows = {"user": [0] * 4, "item": [100, 101, 100, 102], "time": [0, 5 * hour, 8 * hour, 9 * hour]}
    asked = Log.open(pa.table(rows)).split("leave-last-out").test.questions("next").histories
    got = built.score(asked, Candidates.of([100, 101, 103]))[0]
    np.testing.assert_allclose(got[:2], [1 / 3 + 1, 1 / 2], rtol=1e-6)
    assert 0 < got[2] < 1e-6
    why = built.explain(asked, Candidates.of([100]), k=2).to_pylist()
    assert [r["share"] for r in why] == pytest.approx([0.75, 0.25])
    with pytest.raises(OptionError, match="decay"):
        system("base_level", decay=-0.1).fit(baskets())
