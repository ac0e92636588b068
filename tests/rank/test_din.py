"""DIN, its equations done again in NumPy from the saved arrays, and what it promises of probabilities and people."""

from functools import cache

import numpy as np
import pyarrow as pa
import pytest
import torch
from tests.rank.known_rates import known_rates

from ethogram.errors import NotFitted, OptionError
from ethogram.log import Candidates, Histories, Log
from ethogram.nn import slates
from ethogram.nn.losses import bce
from ethogram.nn.optimise import RowSGD
from ethogram.nn.ranker import SlateRanker
from ethogram.nn.slates import SlateNetwork, occurrences
from ethogram.rank.din import DIN
from ethogram.system import load

SMALL = {"dim": 6, "side": 3, "attention": (5,), "hidden": (8,), "lr": 2e-2, "epochs": 3, "batch": 64, "decay": 0.3}
ITEMS = 14
CATEGORY = {f"i{i:02}": f"c{i % 4}" for i in range(ITEMS)}


def rows(seed=0, turned=False):
    """Baskets of one to three events at a time, then slates; `turned`, every basket in the other order."""
    rng = np.random.default_rng(seed)
    found = []
    for user in range(30):
        for day in range(int(rng.integers(0, 5))):
            basket = [
                (f"u{user}", f"i{i:02}", day, ("view", "buy")[int(rng.integers(2))], None, None)
                for i in rng.choice(ITEMS, int(rng.integers(1, 4)), replace=False)
            ]
            found += basket[::-1] if turned else basket
        for slate in range(3):
            for i in rng.choice(ITEMS, 3, replace=False):
                told = f"u{user}", f"i{i:02}", 10 + slate, None, float(rng.random() < 0.2 + 0.5 * (i % 2)), slate
                found.append(told)
    return found


def opened(found):
    names = ("user", "item", "time", "kind", "label", "slate")
    table = {n: list(c) for n, c in zip(names, zip(*found, strict=True), strict=True)}
    table["time"] = [1_700_000_000 + 86_400 * d for d in table["time"]]
    items = {"item": list(CATEGORY), "category": list(CATEGORY.values())}
    return Log.open(pa.table(table), items=pa.table(items))


@cache
def log():
    return opened(rows())


@cache
def fitted(**options):
    return DIN(**SMALL, **options).fit(log(), seed=3)


@cache
def asked():
    return log().questions("slates")


class ByHand:
    """The equations of the module, one event at a time, in float64 from the arrays of `state()`."""

    def __init__(self, model):
        self.options = model
        self.arrays = {k: np.asarray(v, np.float64) for k, v in model.state().arrays.items()}
        features = model.fitted.features
        self.table = {}
        for place, name in enumerate(features.tables):
            matrix = self.arrays[f"model.tables.held.{place}.weight"]
            ids = features.vocabularies[name].ids.to_pylist()
            self.table[name] = {None: matrix[1]} | {known: matrix[2 + i] for i, known in enumerate(ids)}
        self.popular = dict(zip([None, *features.vocabularies["item"].ids.to_pylist()],
                                self.arrays["model.popularity"][1:], strict=True))  # fmt: skip

    def look(self, name, value):
        return self.table[name].get(value, self.table[name][None])

    def item(self, item):
        return np.concatenate([self.look("item", item), self.look("item.category", CATEGORY.get(item))])

    def event(self, item, kind):
        return self.item(item) + self.arrays["model.event.weight"] @ self.look("event.kind", kind)

    def bend(self, name, s):
        if self.options.activation == "prelu":
            return np.where(s > 0, s, self.arrays[f"{name}.weight"] * s)
        centre, spread = self.arrays[f"{name}.mean"], self.arrays[f"{name}.variance"]
        p = 1 / (1 + np.exp(-(s - centre) / np.sqrt(spread + 1e-8)))
        return p * s + (1 - p) * self.arrays[f"{name}.alpha"] * s

    def weights(self, history, target):
        """a_j: the layer over [e_j ; e_t ; e_j * e_t ; e_t - e_j], whose last part is held in the first two."""
        unit = "model.interest.attention.unit"
        own, other, both = (self.arrays[f"{unit}.{n}"] for n in ("key", "query", "product"))
        out, bias = self.arrays[f"{unit}.layers.0.weight"][0], self.arrays[f"{unit}.layers.0.bias"][0]
        found = np.zeros(len(history))
        for j, e in enumerate(history):
            z = own @ e + other @ target + both @ (e * target) + self.arrays[f"{unit}.bias"]
            found[j] = out @ self.bend(f"{unit}.acts.0", z) + bias
        if self.options.normalise == "softmax" and len(found):
            found = np.exp(found - found.max())
            return found / found.sum()
        return found / max(len(found), 1) if self.options.normalise == "length" else found

    def score(self, history, candidate):
        e, t = [self.event(*h) for h in history], self.item(candidate)
        interest = sum((a * x for a, x in zip(self.weights(e, t), e, strict=True)), np.zeros_like(t))
        parts = [t, interest, t * interest] if self.options.cross == "product" else [t, interest]
        popular = self.popular.get(candidate, self.popular[None])
        x = np.concatenate([*parts, [0.2 * np.log1p(len(e)), 0.2 * popular]])
        tower = "model.tower.layers"
        x = self.bend(f"{tower}.1", self.arrays[f"{tower}.0.weight"] @ x + self.arrays[f"{tower}.0.bias"])
        last = max(int(k.split(".")[3]) for k in self.arrays if k.startswith(tower))
        logit = self.arrays[f"{tower}.{last}.weight"][0] @ x + self.arrays[f"{tower}.{last}.bias"][0]
        return 1 / (1 + np.exp(-logit))


def events(histories, i):
    at = slice(histories.start[i], histories.stop[i])
    kinds = histories.vocabularies["kind"].decode(np.asarray(histories.columns["kind"])[at]).to_pylist()
    return list(zip(histories.item_ids(i), kinds, strict=True))


@pytest.mark.parametrize(
    "options",
    [
        {"normalise": "none"},
        {"normalise": "length"},
        {"normalise": "softmax"},
        {"normalise": "none", "activation": "prelu", "cross": "none"},
    ],
    ids=lambda o: "-".join(o.values()),
)
def test_scores_and_attention_are_those_of_the_equations(options):
    model, some = fitted(**options), asked()[slice(28, 50)]
    hand = ByHand(model)
    codes, ends = some.candidates.flat(len(some))
    named = some.candidates.vocabulary.decode(codes).to_pylist()
    got = np.asarray(model.score(some.histories, some.candidates)).ravel()
    told = model.explain(some.histories, some.candidates, k=100).to_pylist()
    assert some.histories.lengths.min() == 0
    sizes = []
    for i in range(len(some)):
        past = events(some.histories, i)
        for q in range(ends[i], ends[i + 1]):
            assert got[q] == pytest.approx(hand.score(past, named[q]), abs=2e-5)
            weight = np.abs(hand.weights([hand.event(*h) for h in past], hand.item(named[q])))
            mine = [r for r in told if (r["question"], r["candidate"]) == (i, named[q])]
            assert [r["rank"] for r in mine] == list(range(1, len(past) + 1))
            expected = np.sort(weight)[::-1] / max(weight.sum(), 1e-12)
            np.testing.assert_allclose([abs(r["share"]) for r in mine], expected, atol=1e-4)
            sizes += weight.tolist()
    assert np.std(sizes) > 1e-3, "attention looks at events differently"


def test_k_reasons_are_the_strongest_and_their_sizes_at_most_the_whole():
    some = asked()[slice(0, 30)]
    every = fitted(normalise="length").explain(some.histories, some.candidates, k=100).to_pylist()
    few = fitted(normalise="length").explain(some.histories, some.candidates, k=2).to_pylist()
    assert few == [r for r in every if r["rank"] <= 2]
    total = {}
    for r in every:
        at = r["question"], r["candidate"]
        total[at] = total.get(at, 0) + abs(r["share"])
    assert all(t == pytest.approx(1, abs=1e-5) for t in total.values())


def test_only_the_last_events_are_read_and_groups_stay_whole():
    model, some = fitted(last=3), asked()
    cut = some.histories.last(3)
    assert cut.lengths.max() == 3
    assert (cut.lengths < np.minimum(some.histories.lengths, 3)).any(), "a basket that does not fit is left out whole"
    np.testing.assert_array_equal(model.score(some.histories, some.candidates), model.score(cut, some.candidates))


@pytest.mark.parametrize("last", [50, 3])
def test_the_order_inside_a_basket_is_nothing(last):
    other = opened(rows(turned=True))
    there = other.questions("slates")
    scores = fitted(last=last).score(asked().histories, asked().candidates)
    np.testing.assert_allclose(fitted(last=last).score(there.histories, there.candidates), scores, rtol=1e-6)
    again = DIN(**SMALL, last=last).fit(other, seed=3)
    np.testing.assert_allclose(again.score(there.histories, there.candidates), scores, rtol=1e-4)


def test_one_step_with_the_penalty_is_the_gradient_of_loss_and_formula():
    """Over the tables of the whole network: rows of the batch shrink by decay / n_j, the others stay as they are."""
    built, features = DIN(**SMALL), log().features()
    network = SlateNetwork(features, built._interest, dim=6, side=3, hidden=(8,), act="prelu")
    whole = features.encode(asked())
    network.count(occurrences(features, whole))
    tables, counts = zip(*network.sparse, strict=True)
    before = [t.detach().clone() for t in tables]
    some = whole[slice(40, 46)]
    label = torch.from_numpy(whole.label)[torch.from_numpy(some.candidates.flat()[0])]
    bce(network(some), label).backward()
    touched = [t.grad.coalesce().indices()[0] for t in tables]
    assert any(len(rows) < len(t) - 2 for rows, t in zip(touched, tables, strict=True))
    expected = []
    for w, t, n, rows_ in zip(before, tables, counts, touched, strict=True):
        free = w.clone().requires_grad_()
        real = rows_[rows_ > 0]
        (0.7 / 2 * (free[real].square().sum(1) / n[real]).sum()).backward()
        moved = w - 0.1 * (t.grad.to_dense() + free.grad)
        moved[0] = w[0]
        expected.append(moved)
    RowSGD(tables, 0.1, decay=0.7, counts=counts).step()
    for t, e, w, rows_ in zip(tables, expected, before, touched, strict=True):
        torch.testing.assert_close(t.detach(), e)
        still = np.setdiff1d(np.arange(len(t)), rows_.numpy())
        assert torch.equal(t.detach()[still], w[still])


def test_rare_identities_share_one_vector_that_counts_for_all_of_them():
    network = SlateNetwork(log().features(), DIN(**SMALL)._interest, dim=6, frequent=2)
    times = np.float32([0, 1, 5, 9, 2, 7])
    network.items.own = torch.ones(6, dtype=torch.bool)
    np.testing.assert_array_equal(network.items.count(times), [0, 8, 0, 9, 0, 7])
    vectors = network.items._identity(torch.arange(6))
    table = network.tables["item"].weight
    for row, read in enumerate([0, 1, 1, 3, 1, 5]):
        torch.testing.assert_close(vectors[row], table[read])


def test_a_batch_leaves_out_the_share_of_identities_and_an_answer_none():
    items = SlateNetwork(log().features(), DIN(**SMALL)._interest, dim=6, drop_ids=0.25).items
    rows = torch.ones(4_000, dtype=torch.int64)
    torch.manual_seed(0)
    kept = items.train()._identity(rows).abs().sum(1) > 0
    assert float(kept.float().mean()) == pytest.approx(0.75, abs=0.03)
    torch.testing.assert_close(items._identity(rows).mean(0), items.tables["item"].weight[1], rtol=0.05, atol=1e-3)
    assert bool((items.eval()._identity(rows).abs().sum(1) > 0).all())


def test_a_penalty_that_is_alike_at_every_touch(monkeypatch):
    given = []
    monkeypatch.setattr(slates, "train", lambda *a, optimisers, **k: given.append(optimisers[0]))
    features, some = log().features(), asked()
    for penalty in ("rare", "frequent"):
        network = SlateNetwork(features, DIN(**SMALL)._interest, dim=6)
        slates.fit(network, features, some, slates.Learning(decay=0.6, penalty=penalty))
    for (_, n), rare, alike in zip(network.sparse, given[0]._shrink, given[1]._shrink, strict=True):
        torch.testing.assert_close(rare, 0.6 / n.clamp_min(1))
        torch.testing.assert_close(alike, torch.full_like(n, 0.6 / float(n[n > 0].mean())))


def test_aids_of_other_papers_are_other_models_and_are_saved(tmp_path):
    some = asked()
    same = np.asarray(fitted().score(some.histories, some.candidates))
    for i, options in enumerate(({"penalty": "frequent"}, {"drop_ids": 0.5}, {"frequent": 3})):
        model = DIN(**SMALL, **options).fit(log(), seed=3)
        scores = model.score(some.histories, some.candidates)
        assert np.abs(np.asarray(scores) - same).max() > 1e-4, options
        model.save(tmp_path / str(i))
        np.testing.assert_array_equal(load(tmp_path / str(i)).score(some.histories, some.candidates), scores)


@pytest.fixture(scope="module")
def known():
    task = known_rates()
    cut = task.log.split("by-user", valid=0.15, test=0.25)
    options = {"dim": 8, "side": 4, "attention": (8,), "hidden": (24,), "lr": 5e-3, "batch": 256}
    return task, cut.test.questions("slates"), DIN(**options, epochs=8, dropout=0.0).fit(cut.train, cut.valid)


def test_probabilities_are_those_of_the_full_task_though_negatives_were_sampled(known):
    task, some, model = known
    p, truth = model.score(some.histories, some.candidates, some.context), task.truth(some)
    rate = np.average(some.label, weights=some.weight)
    assert some.label.mean() > 2.5 * rate, "what a fit without weights would answer"
    assert np.average(p, weights=some.weight) == pytest.approx(rate, rel=0.12)
    for part in np.array_split(np.argsort(p), 3):  # also where it is sure and where it is not
        weight = some.weight[part]
        assert np.average(p[part], weights=weight) == pytest.approx(np.average(truth[part], weights=weight), rel=0.35)


def test_a_list_of_ids_is_enough_to_know_a_stranger(known):
    """Whoever keeps to a category is more likely to take its items than whoever keeps to another."""
    catalogue = [f"i{i:02}" for i in range(48)]
    p = known[2].score(Histories.of([catalogue[c::6] for c in range(6)]), Candidates.of(catalogue))
    own = np.arange(6)[:, None] == np.arange(48) % 6
    more = np.array([p[own[:, i], i][0] / p[~own[:, i], i].mean() for i in range(48)])
    assert more.min() > 1.2
    assert np.median(more) > 2


def test_a_stranger_and_an_item_that_nobody_saw():
    model = fitted(normalise="length")
    strangers = Histories.of([[], ["never"], ["i00", "i01"]])
    p = model.score(strangers, Candidates.of(["i02", "never"]))
    assert p.shape == (3, 2)
    assert ((p > 0) & (p < 1)).all()
    hand = ByHand(model)
    assert p[0, 0] == pytest.approx(hand.score([], "i02"), abs=2e-5)
    assert p[0, 1] == pytest.approx(hand.score([], None), abs=0.02)  # without a category: missing, not unseen
    assert not model.explain(strangers[0:1], Candidates.of(["i02"])).num_rows


def test_a_saved_model_answers_alike(tmp_path):
    model = fitted(normalise="softmax")
    model.save(tmp_path / "model")
    back = load(tmp_path / "model")
    np.testing.assert_array_equal(
        back.score(asked().histories, asked().candidates), model.score(asked().histories, asked().candidates)
    )
    assert back.explain(asked().histories, asked().candidates).equals(
        model.explain(asked().histories, asked().candidates)
    )


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"dim": 0}, "dim = 0; give 1 or more"),
        ({"last": 0}, "last = 0"),
        ({"epochs": 0}, "epochs = 0"),
        ({"attention": (0,)}, "layers have 1 or more values"),
        ({"hidden": (4, -1)}, "layers have 1 or more values"),
        ({"dropout": 1.0}, r"dropout = 1.0 is not in \[0, 1\)"),
        ({"lr": 0.0}, "lr = 0.0 must be above 0"),
        ({"decay": -1.0}, "decay = -1.0 not below"),
        ({"drop_ids": 1.0}, r"drop_ids = 1.0 is not in \[0, 1\)"),
        ({"frequent": 0}, "frequent = 0; give 1 or more"),
        ({"penalty": "rarely"}, "Did you mean 'rare'"),
        ({"normalise": "softmx"}, "Did you mean 'softmax'"),
        ({"interest": "sums"}, "Did you mean 'sum'"),
        ({"atention": (3,)}, "Did you mean 'attention'"),
    ],
)
def test_options_that_make_no_sense(wrong, told):
    with pytest.raises(OptionError, match=told):
        DIN(**wrong)


def test_nothing_is_answered_before_fit():
    with pytest.raises(NotFitted, match="din: explain before fit"):
        DIN().explain(asked().histories, asked().candidates)


def test_training_without_decay_or_with_a_pooled_interest_is_another_model():
    base = SlateRanker.fit(DIN(**SMALL), DIN(**SMALL)._interest, log(), None, seed=3, watch=None)
    some = asked()
    same = fitted().score(some.histories, some.candidates)
    np.testing.assert_array_equal(base.score(some.histories, some.candidates), same)
    for options in ({"decay": 0.0}, {"interest": "mean"}, {"interest": "sum"}, {"interest": "dot"}):
        other = DIN(**{**SMALL, **options}).fit(log(), seed=3).score(some.histories, some.candidates)
        assert np.abs(np.asarray(other) - same).max() > 1e-4, options
