"""DARE: its equations in NumPy from the saved arrays, its search against a plain sort, the roles told apart."""

from functools import cache

import numpy as np
import pytest
import torch
from tests.rank.test_din import CATEGORY, log, opened, rows

from ethogram.errors import NotFitted, OptionError
from ethogram.log import Candidates, Histories
from ethogram.nn.apart import Mirror
from ethogram.nn.decoupled import places
from ethogram.rank.dare import DARE
from ethogram.rank.dare.interference import Seen, discriminability, gradients, report
from ethogram.system import load

SMALL = {"dim": 6, "side": 3, "search_dim": 4, "search_side": 2, "place": 3, "places": 2, "keep": 2, "hidden": (8,),
         "lr": 2e-2, "epochs": 3, "batch": 64, "decay": 0.3, "activation": "prelu"}  # fmt: skip
VARIANTS = [
    {}, {"tables": "one"}, {"tables": "projected"}, {"tables": "four"}, {"search": "all"}, {"auxiliary": False},
    {"search": "category", "category": "category"}, {"search": "hash", "hashes": 12}, {"cross": "none"},
]  # fmt: skip


@cache
def _fitted(options):
    return DARE(**SMALL, **dict(options)).fit(log(), seed=3)


def fitted(**options):
    return _fitted(tuple(sorted(options.items())))


@cache
def asked():
    return log().questions("slates")


class ByHand:
    """The module's equations, one event at a time, in float64 from the arrays of `state()`."""

    def __init__(self, model):
        self.o = model
        self.held = {k: np.asarray(v, np.float64) for k, v in model.state().arrays.items()}
        self.ids = {n: v.ids.to_pylist() for n, v in model.fitted.features.vocabularies.items()}
        self.names = list(model.fitted.features.tables)

    def row(self, prefix, names, name, value):
        matrix = self.held[f"{prefix}.held.{names.index(name)}.weight"]
        return matrix[2 + self.ids[name].index(value)] if value in self.ids[name] else matrix[1]

    def item(self, item, prefix="model.tables"):
        names = self.names if prefix == "model.tables" else [n for n in self.names if n in OWN]
        return np.concatenate([self.row(prefix, names, "item", item),
                               self.row(prefix, names, "item.category", CATEGORY.get(item))])  # fmt: skip

    def event(self, item, kind, prefix="model"):
        names = self.names if prefix == "model" else [n for n in self.names if n in OWN]
        moved = self.held[f"{prefix}.event.weight"] @ self.row(f"{prefix}.tables", names, "event.kind", kind)
        return self.item(item, f"{prefix}.tables") + moved

    def shares(self, past, target):
        """(share of each event, vectors that are summed up), places given with the events."""
        inner, o = "model.interest", self.o
        apart = o.tables in ("two", "four")
        look = f"{inner}.look" if apart else "model"
        ask = f"{inner}.ask.tables" if o.tables == "four" else f"{look}.tables"
        tell = f"{inner}.tell" if o.tables == "four" else "model"
        q, keys = self.item(target, ask), [self.event(i, k, look) for i, k, _ in past]
        values = [self.event(i, k, tell) for i, k, _ in past]
        if o.tables == "projected":
            one, two = (self.held[f"{inner}.maps.{m}.weight"] for m in (0, 1))
            q, keys, values = one @ q, [one @ k for k in keys], [two @ v for v in values]
        means = self.held[f"{inner}.means"]
        finds = self.held[f"{inner}.finds"] if apart else means
        where = [min(p, o.places) for _, _, p in past]
        s = np.array([q @ k / len(q) ** 0.5 + finds[0] @ finds[p] / o.place**0.5
                      for k, p in zip(keys, where, strict=True)])  # fmt: skip
        kept = np.ones(len(s), bool)
        if o.search == "category":
            kept = np.array([CATEGORY.get(i) == CATEGORY.get(target) for i, _, _ in past], bool)
            kept[np.flatnonzero(kept)[: -o.keep]] = False
        elif o.search == "dot" and len(s) > o.keep:
            kept = s >= np.sort(s)[-o.keep]
        share = np.where(kept, np.exp(s - s.max(initial=-9)), 0.0)
        share = share / max(share.sum(), 1e-300)
        values = [np.concatenate([v, means[p]]) for v, p in zip(values, where, strict=True)]
        return share, values

    def score(self, past, target):
        share, values = self.shares(past, target)
        t = self.item(target)
        h = sum((w * v for w, v in zip(share, values, strict=True)), np.zeros(len(t) + self.o.place))
        popular = self.held["model.popularity"][2 + self.ids["item"].index(target)]
        product = [t * h[: len(t)]] if self.o.cross == "product" else []
        x = np.concatenate([t, h, *product, [0.2 * np.log1p(len(past)), 0.2 * popular]])
        tower = "model.tower.layers"
        x = self.held[f"{tower}.0.weight"] @ x + self.held[f"{tower}.0.bias"]
        x = np.where(x > 0, x, self.held[f"{tower}.1.weight"] * x)
        last = max(int(k.split(".")[3]) for k in self.held if k.startswith(tower))
        logit = self.held[f"{tower}.{last}.weight"][0] @ x + self.held[f"{tower}.{last}.bias"][0]
        return 1 / (1 + np.exp(-logit))


OWN = ("item", "item.category", "event.kind")


def events(histories, i):
    """(item, kind, place counted in groups from the end) of each event."""
    at = slice(histories.start[i], histories.stop[i])
    kinds = histories.vocabularies["kind"].decode(np.asarray(histories.columns["kind"])[at]).to_pylist()
    time = np.asarray(histories.columns["time"])[at]
    place = [len(set(time[time >= t])) for t in time]
    return list(zip(histories.item_ids(i), kinds, place, strict=True))


@pytest.mark.parametrize("options", [v for v in VARIANTS if v.get("search") != "hash"], ids=str)
def test_scores_and_shares_are_those_of_the_equations(options):
    model, some = fitted(**options), asked()[slice(20, 50)]
    hand = ByHand(model)
    codes, ends = some.candidates.flat(len(some))
    named = some.candidates.vocabulary.decode(codes).to_pylist()
    got = np.asarray(model.score(some.histories, some.candidates)).ravel()
    told = model.explain(some.histories, some.candidates, k=100).to_pylist()
    assert some.histories.lengths.min() == 0
    longest = 0
    for i in range(len(some)):
        past = events(some.histories, i)
        for q in range(ends[i], ends[i + 1]):
            assert got[q] == pytest.approx(hand.score(past, named[q]), abs=2e-5)
            share = hand.shares(past, named[q])[0]
            mine = [r["share"] for r in told if (r["question"], r["candidate"]) == (i, named[q])]
            np.testing.assert_allclose(mine, np.sort(share[share > 0])[::-1], atol=1e-5)
            longest = max(longest, len(mine))
    assert longest == (2 if options.get("search") != "all" else max(some.histories.lengths))


@pytest.mark.parametrize("options", VARIANTS, ids=str)
def test_every_variant_is_saved_and_answers_alike(options, tmp_path):
    model, some = fitted(**options), asked()
    model.save(tmp_path / "model")
    back = load(tmp_path / "model")
    scores = model.score(some.histories, some.candidates)
    np.testing.assert_array_equal(back.score(some.histories, some.candidates), scores)
    if options:
        other = np.asarray(fitted().score(some.histories, some.candidates))
        assert np.abs(np.asarray(scores) - other).max() > 1e-5


@pytest.mark.parametrize("search", ["dot", "hash"])
def test_the_order_inside_a_basket_is_nothing(search):
    there = opened(rows(turned=True)).questions("slates")
    model = fitted() if search == "dot" else fitted(search="hash", hashes=12)
    scores = model.score(asked().histories, asked().candidates)
    np.testing.assert_allclose(model.score(there.histories, there.candidates), scores, rtol=1e-5)


def test_places_are_counted_in_groups_from_the_question():
    starts = torch.tensor([True, False, True, True, True, False, False])
    assert places(starts, torch.tensor([0, 4, 4, 7]), 2).tolist() == [2, 2, 2, 1, 1, 1, 1]
    assert places(starts, torch.tensor([0, 4, 4, 7]), 9).tolist() == [3, 3, 2, 1, 1, 1, 1]


def test_a_history_of_50_000_events_is_searched_as_a_sort_would():
    model = DARE(**{**SMALL, "keep": 5, "last": None, "epochs": 1}).fit(log(), seed=1)
    rng = np.random.default_rng(0)
    long = [f"i{i:02}" for i in rng.integers(0, 14, 50_000)]
    known = Histories.of([long, long[:300]])
    offers = Candidates.of([f"i{i:02}" for i in range(8)])
    hand, p = ByHand(model), np.asarray(model.score(known, offers))
    for q, past in enumerate((long, long[:300])):
        near = [(i, None, min(len(past) - j, 2)) for j, i in enumerate(past)]
        assert p[q, 3] == pytest.approx(by_kind(hand, near, "i03"), abs=5e-5)
    told = model.explain(known, offers, k=5).to_pylist()
    assert [r["rank"] for r in told[:5]] == [1, 2, 3, 4, 5]
    assert sum(r["share"] for r in told[:5]) == pytest.approx(1, abs=1e-5)


def by_kind(hand, past, target):
    """`ByHand.score` where the kind of the events is missing, which moves nothing."""
    hand.event = lambda item, kind, prefix="model": hand.item(item, f"{prefix}.tables")
    return hand.score(past, target)


def test_a_mirrored_model_is_the_shared_one_and_its_roles_are_told_apart():
    shared, losses = [], []
    how = {**SMALL, "search_dim": 6, "search_side": 3, "epochs": 2, "dropout": 0.2}
    DARE(**{**how, "tables": "one"}).fit(log(), seed=5, watch=lambda f: shared.append(f["loss"]))
    found = gradients(DARE(**how), log(), seed=5, watch=lambda f: losses.append(f["loss"])).to_pylist()
    np.testing.assert_allclose(losses, shared, atol=1e-5)
    assert len(losses) > 4
    assert [r["table"] for r in found] == ["item", "item.category", "event.kind"]
    for r in found:
        assert 0 <= r["conflict"] <= 1
        assert r["pulls"] > r["rows"] > 0
        assert r["ratio"] == pytest.approx(r["representation"] / r["search"])


def test_what_pulls_apart_is_counted():
    """Three rows by hand: one pulled one way, one two ways, one by one side only."""
    one, other = (torch.nn.Parameter(torch.zeros(4, 2)) for _ in range(2))
    one.grad = torch.sparse_coo_tensor([[1, 2, 3]], torch.tensor([[3.0, 4], [1, 0], [1, 1]]), (4, 2))
    other.grad = torch.sparse_coo_tensor([[1, 2]], torch.tensor([[1.0, 0], [-2, 0]]), (4, 2))
    mirror = Mirror({"t": (one, other)})
    mirror.step()
    assert mirror.rows["t"].tolist() == [[0, 0, 0, 0], [1, 5, 1, 0], [1, 1, 2, 1], [0, 0, 0, 0]]
    assert one.grad.to_dense().tolist() == other.grad.to_dense().tolist() == [[0, 0], [4, 4], [-1, 0], [1, 1]]


def test_cells_and_retrieval_by_hand():
    """Two candidates of category 1; category 2 in the past goes with a click, category 3 against it."""
    query = np.array([0, 0, 1, 1])
    seen = Seen(query, np.ones(4, int), np.array([2, 2, 3, 3]), np.zeros(4, int), np.array([0.5, 0.5, 0.9, 0.1]),
                np.array([1.0, 0.0, 0.9, 0.1]), np.array([True, False]), np.array([1, 1]))  # fmt: skip
    cells = seen.cells(least=1).to_pylist()
    assert [(c["event"], c["candidates"]) for c in cells] == [(2, 2), (3, 2)]
    assert [c["information"] for c in cells] == pytest.approx([np.log(2)] * 2)
    assert [c["attention"] for c in cells] == pytest.approx([1.0, 1.0])
    assert seen.retrieval(seen.cells(least=1), 1) == 1.0
    nothing = Seen(query, seen.target, seen.event, seen.place, seen.weight, 0 * seen.found, seen.label, seen.category)
    assert nothing.retrieval(seen.cells(least=1), 1) == 0.0


def test_the_report_reads_like_one():
    found = report(fitted(), log(), asked(), "category")
    assert "representation pulls" in str(found)
    assert 0 <= found.retrieval <= 1
    assert {"target", "event", "place", "information", "attention"} < set(found.cells.column_names)
    assert discriminability(fitted(), asked(), (2, 10_000))["clusters"].to_pylist() == [2]
    with pytest.raises(OptionError, match="Did you mean 'category'"):
        report(fitted(), log(), asked(), "categry")


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"keep": 0}, "keep = 0; give 1 or more"),
        ({"search_dim": 0}, "search_dim = 0"),
        ({"places": 0}, "places = 0"),
        ({"hashes": 10}, "hashes = 10 is not a multiple of 3"),
        ({"search": "category"}, "needs category="),
        ({"tables": "too"}, "Did you mean 'two'"),
        ({"serch_dim": 3}, "Did you mean 'search_dim'"),
    ],
)
def test_options_that_make_no_sense(wrong, told):
    with pytest.raises(OptionError, match=told):
        DARE(**wrong)


def test_a_category_that_is_no_column():
    with pytest.raises(OptionError, match=r"no categorical item column 'kategory'\. Did you mean 'category'"):
        DARE(**SMALL, search="category", category="kategory").fit(log())


def test_nothing_is_answered_before_fit():
    with pytest.raises(NotFitted, match="dare: explain before fit"):
        DARE().explain(asked().histories, asked().candidates)
