"""TRAINOR: its equations by hand, reasons that add up, bad input, and a world with planted purposes."""

import numpy as np
import pyarrow as pa
import pytest

from ethogram import data
from ethogram.errors import OptionError, UnknownName
from ethogram.evaluate import evaluate
from ethogram.log import Candidates, Histories, Log
from ethogram.system import load, system

torch = pytest.importorskip("torch")
WORLD = {"users": 120, "homes": 5, "kinds": 3, "places": 12, "common": 8, "towns": 2}
SMALL = {"dim": 6, "intentions_count": 4, "epochs": 3, "samples": 5, "batch": 40, "lr": 0.02}
DAY = 86_400


@pytest.fixture(scope="module")
def world():
    return data.load("travellers", **WORLD)


@pytest.fixture(scope="module")
def fitted(world):
    return system("trainor", **SMALL).fit(world, seed=1)


def trip_log(people=12, places=4, **more):
    """Each person does two things at home and then visits two places."""
    rows = []
    for u in range(people):
        rows += [(u, f"h{u % 5}", DAY, "home"), (u, f"h{(u + 1) % 5}", 2 * DAY, "home")]
        rows += [(u, f"x{(u + j) % places}", 9 * DAY, "trip") for j in range(min(2, places))]
    columns = dict(zip(("user", "item", "time", "kind"), map(list, zip(*rows, strict=True)), strict=True))
    return Log.open(pa.table(columns), **more)


def held(built):
    return {k.removeprefix("model."): np.asarray(v, np.float64) for k, v in built.state().arrays.items()}


def softmax(x):
    up = np.exp(x - x.max(-1, keepdims=True))
    return up / up.sum(-1, keepdims=True)


def relu(x):
    return np.maximum(x, 0)


def test_the_score_is_that_of_the_equations(world, fitted):
    """Intention, transfer, geography and places by hand; the graph at home alone is asked (it has tests of its own)."""
    f, asked = fitted.fitted, world.histories()[:5]
    p, there = held(fitted), np.flatnonzero(f.known.counts)
    h = f.preferences(asked)[0].double().numpy()
    beta = softmax(h @ (p["topics.topics"] @ p["attend.weight"].T).T)
    query = np.hstack([beta @ p["topics.topics"], np.tanh(h @ p["map.weight"].T + p["map.bias"])])
    query = relu(query @ p["fuse.weight"].T + p["fuse.bias"])
    dense = np.zeros((len(there),) * 2)
    for i, (a, b) in enumerate(zip(f.near.offsets[:-1], f.near.offsets[1:], strict=True)):
        dense[i, f.near.codes[a:b]] = f.near.weights[a:b]
    np.testing.assert_allclose(dense.sum(1), 1, rtol=1e-5)
    e = p["place"] + p["place_kinds"][f.category[there]]
    places = relu(dense @ e @ p["mix.weight"].T + p["mix.bias"])
    got = fitted.score(asked, Candidates(there.astype(np.int32), f.known.items, shared=True))
    np.testing.assert_allclose(got, query @ places.T + p["bias"], rtol=1e-4, atol=1e-5)


def test_the_loss_is_that_of_the_equations(world):
    from ethogram.recommend.trainor.fitted import Lessons

    built = system("trainor", **{**SMALL, "mapped": 0.25}).fit(world, seed=1)
    f = built.fitted
    trips = f.travel.trips(world.histories())
    batch = Lessons(f, trips).batch(np.array([3, 8, 0]), np.random.default_rng(0))
    p, network = held(built), f.network
    with torch.no_grad():
        h = network.preference(batch.items, batch.categories, batch.walks)
        places = network.places()
        own = torch.from_numpy(p["own"][[3, 8, 0]]).float()
        guessed = torch.tanh(network.map(h))
        owner, words = batch.bags.owner.numpy(), batch.bags.words.numpy()
        visited = [set(words[owner == i]) for i in range(3)]
        ranked = 0.0
        for share, elsewhere in ((0.75, own), (0.25, guessed)):
            s = (network.query(h, elsewhere) @ places.T + network.bias).double().numpy()
            costs = [
                np.log1p(np.exp(s[i, j] - s[i, w]))
                for i, w, others in zip(owner, words, batch.others.numpy(), strict=True)
                for j in others
                if j not in visited[i]
            ]
            ranked += share * np.mean(costs)
        found = network.topics.bound(batch.bags)
        topic = float((found.cost + found.divergence).mean())
        transfer = float((guessed - own).square().mean())
        assert float(network.loss(batch)) == pytest.approx(0.05 * ranked + 0.05 * transfer + 0.9 * topic, rel=1e-4)
    town = f.sizes.town
    assert (town[batch.others.numpy()] == town[words][:, None]).all(), "others are of the same town"


def test_reasons_are_what_a_score_loses(world, fitted):
    """Shares are parts over the sum of their sizes: the parts are what the score falls by without an event in h_u."""
    f, asked = fitted.fitted, world.histories()[:1]
    alive = (f.states(asked)[0][:, :-1] @ f.vectors[:, :-1].T)[0] > 1e-3
    there = np.flatnonzero(f.known.counts)[alive][:3].astype(np.int32)
    candidates = Candidates(there, f.known.items, shared=True)
    table = fitted.explain(asked, candidates, k=100)
    events = f.events(asked)
    read = events.some(np.array([0]))
    with torch.no_grad():
        parts = f.network.preference(*read, parts=True)
        whole = parts.sum(0, keepdim=True)

        def score(h):
            return (
                (f.network.query(h, f.network.mapped(h)) @ f.network.places().T)
                .double()
                .numpy()[:, f.known.rows[there]]
            )

        lost = score(whole) - np.concatenate([score(whole - part) for part in parts])
    expected = lost / np.abs(lost).sum(0)
    items = world.vocabulary("item").decode(np.asarray(asked.item)[asked.flat()[0]][events.place]).to_pylist()
    rows = table.to_pylist()
    for c, place in enumerate(world.vocabulary("item").decode(there).to_pylist()):
        said = sorted((r["item"], round(r["share"], 4)) for r in rows if r["candidate"] == place)
        wanted = [(i, round(float(x), 4)) for i, x in zip(items, expected[:, c], strict=True) if abs(x) > 0]
        assert len(said) == len(wanted)
        np.testing.assert_allclose([s for _, s in said], [s for _, s in sorted(wanted)], atol=2e-3)
    assert set(table.column("component").to_pylist()) <= {"travel intention", "home preference"}
    beta, phi = f.network.shares(f.preferences(asked)[0]).detach().numpy()[0], f.network.topics.phi()
    best = {p: int((beta * phi[:, f.known.rows[c]]).argmax()) for p, c in zip(
        world.vocabulary("item").decode(there).to_pylist(), there, strict=True)}  # fmt: skip
    assert all(r["intention"] == best[r["candidate"]] for r in rows)


def test_intentions_are_told(world, fitted):
    told = fitted.intentions(3).to_pylist()
    assert {r["intention"] for r in told} == {0, 1, 2, 3}
    places = [r for r in told if r["what"] == "place" and r["intention"] == 0]
    assert [r["rank"] for r in places] == [1, 2, 3] * 2, "three in each town"
    assert {r["town"] for r in places} == {"town 1", "town 2"}
    assert all(a["purpose"] == b["purpose"] for a in told for b in told if a["intention"] == b["intention"])
    mixed = fitted.purposes(world.histories()[:4])
    assert mixed.num_rows == 16
    np.testing.assert_allclose(mixed.column("share").to_numpy().reshape(4, 4).sum(1), 1, rtol=1e-5)
    plain = system("trainor", **SMALL, intent="none").fit(world)
    for ask in (plain.intentions, lambda: plain.purposes(world.histories()[:1])):
        with pytest.raises(OptionError, match="no intentions"):
            ask()
    reasons = plain.explain(world.histories()[:1], Candidates.every(world.vocabulary("item")))
    assert reasons.column("purpose").null_count == reasons.num_rows > 0


def test_finds_planted_purposes():
    log = data.load("travellers", users=500, homes=10, places=40, seed=2)
    cut = log.split("by-user", valid=0.1, test=0.3)
    how = {"dim": 32, "epochs": 20, "samples": 20, "lr": 5e-3}
    found = {}
    for name, built in {
        "ours": system("trainor", **how),
        "same for all": system("trainor", **how, intent="general", mapping="none"),
    }.items():
        built.fit(cut.train, cut.valid, seed=0)
        found[name] = evaluate(built, cut, ks=(10,), exclude_seen=False, bootstrap=2).metrics["recall@10"]
    assert found["ours"] > 1.2 * found["same for all"]


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"dim": 0}, "dim"), ({"samples": 0}, "samples"), ({"scale": 0.0}, "scale"), ({"mapped": 1.5}, "mapped"),
        ({"l2": -1.0}, "l2"), ({"intent": "none", "mapping": "none"}, "nothing of the traveller"),
    ],
)  # fmt: skip
def test_options_that_cannot_be(options, why):
    with pytest.raises(OptionError, match=why):
        system("trainor", **options).fit(trip_log())


def test_who_never_left_town():
    stay = pa.table({"user": ["a", "a", "b"], "item": ["x", "y", "x"], "time": [DAY, 2 * DAY, DAY]})
    items = pa.table({"item": ["x", "y"], "town": ["here", "here"]})
    with pytest.raises(OptionError, match="no trip"):
        system("trainor", **SMALL).fit(Log.open(stay, items=items))
    one = pa.table({"user": ["a", "b"], "item": ["x", "y"], "time": [DAY, DAY]})
    with pytest.raises(OptionError, match="no trip"):  # one event each, all times equal
        system("trainor", **SMALL).fit(Log.open(one))
    # among those who did travel, who stayed at home teaches nothing and is answered
    table = trip_log().table().select(["user", "item", "time", "kind"])
    more = pa.table({"user": [99], "item": ["h0"], "time": table["time"][:1], "kind": ["home"]}).cast(table.schema)
    mixed = Log.open(pa.concat_tables([table, more]))
    built = system("trainor", **SMALL).fit(mixed)
    assert len(built.fitted.travel.trips(mixed.histories())) == 12
    assert np.isfinite(built.score(mixed.histories()[-1:], Candidates.every(mixed.vocabulary("item")))).all()


def test_trips_that_teach_nothing_are_told(caplog):
    table = trip_log().table().select(["user", "item", "time", "kind"])
    first = table.slice(0, 1).set_column(0, "user", pa.array([99], table["user"].type))
    first = first.set_column(3, "kind", pa.array(["trip"], table["kind"].type))
    log = Log.open(pa.concat_tables([table, first]))
    with caplog.at_level("WARNING", "ethogram"):
        system("trainor", **SMALL).fit(log, seed=1)
    assert "1 of 13 trips teach nothing" in caplog.text


def test_odd_histories_and_destinations():
    log = trip_log(items=pa.table({"item": [*(f"h{i}" for i in range(5)), *(f"x{i}" for i in range(4)), "new"],
                                   "category": [*["bar"] * 5, *["park"] * 4, "bar"]}))  # fmt: skip
    built = system("trainor", **SMALL, length=3).fit(log)
    every = Candidates.of(["x0", "x1", "x2", "x3"])
    asked = Histories.of([["h0"], [], ["unheard of"], ["new"], [f"h{i % 5}" for i in range(200)]])
    scores = built.score(asked, every)
    assert np.isfinite(scores).all()
    np.testing.assert_array_equal(scores[1], scores[2])  # of neither anything is known: what travellers visit
    assert not np.allclose(scores[3], scores[1]), "a bar is a bar, though nobody of training was in it"
    short = Histories.of([["h2", "h3", "h4"]])
    np.testing.assert_allclose(built.score(short, every)[0], scores[4], rtol=1e-5)
    # nobody has been to any of them: they are answered, below whatever is known
    unknown = built.recommend(asked[:1], 3, among=Candidates.of(["z1", "z2"])).to_pylist()
    assert len(unknown) == 2
    assert unknown[0]["score"] < scores[0].min()
    assert built.recommend(asked, 3, among=Candidates.of([])).num_rows == 0
    with pytest.raises(UnknownName, match="h0"):
        built.similar_items(["h0"])


def test_one_place_and_one_moment():
    lone = trip_log(people=4, places=1)
    built = system("trainor", **SMALL).fit(lone)
    assert built.recommend(lone.histories()[:1], 5, exclude_seen=False).column("item").to_pylist()[0] == "x0"
    assert built.similar_items(["x0"]).num_rows == 0
    once = pa.table({"user": [1, 1, 1, 2, 2], "item": list("abcab"), "time": [DAY] * 5})
    with pytest.raises(OptionError, match="no trip"):
        system("trainor", **SMALL).fit(Log.open(once))


@pytest.mark.parametrize(
    "less", [{"graph": False}, {"mapping": "linear"}, {"mapping": "none"}, {"geography": False}, {"category": None},
             {"intent": "general"}, {"popular": False}, {"warm": 2}]
)  # fmt: skip
def test_saved_without_a_part(world, less, tmp_path):
    built = system("trainor", **{**SMALL, **less, "epochs": 1}).fit(world, seed=2)
    built.save(tmp_path / "m")
    asked, every = world.histories()[:3], Candidates.every(world.vocabulary("item"))
    np.testing.assert_array_equal(load(tmp_path / "m").score(asked, every), built.score(asked, every))
