"""A network held ready answers as the network does, whoever asks and whatever is asked about."""

import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
import torch
from tests.nn import slate_log

from ethogram.errors import NotFitted, OptionError
from ethogram.evaluate.latency import latency
from ethogram.log import Candidates, Histories, Log
from ethogram.system import system
from ethogram.testing.example import example

QUICK = {"epochs": 1, "dim": 12, "side": 4, "hidden": (24, 8)}
ARMS = {
    "din": ("din", {"attention": (9,), "activation": "dice"}),
    "din, last": ("din", {"attention": (8,), "last": 3, "activation": "prelu"}),
    "din, softmax": ("din", {"normalise": "softmax", "activation": "relu", "hidden": ()}),
    "din, sums": ("din", {"normalise": "none", "cross": "none"}),
    "dot": ("din", {"interest": "dot"}),
    "mean": ("mean_pooled", {"cross": "product"}),
    "sum": ("mean_pooled", {"pool": "sum", "last": 4}),
    "sdim": ("sdim", {"short": 4, "attention": (8,)}),
    "sdim, fading": ("sdim", {"short": 0, "memory": 3.0, "width": 2}),
    "sdim, long attention": ("sdim", {"short": 2, "long": "attention"}),
    "dare": ("dare", {"keep": 3, "place": 5}),
    "dare, one": ("dare", {"keep": 3, "tables": "one", "auxiliary": False}),
    "dare, projected": ("dare", {"keep": 2, "tables": "projected"}),
    "dare, four": ("dare", {"tables": "four", "search": "all", "cross": "none"}),
}


def loud(model):
    """Weights of a size that training leaves, so that differences show."""
    with torch.no_grad():
        for matrix, _ in model.fitted.network.sparse:
            matrix *= 12
        for module in model.fitted.network.modules():
            if hasattr(module, "variance"):
                module.variance.uniform_(0.5, 2)
                module.mean.uniform_(-0.3, 0.3)
            if hasattr(module, "alpha"):
                module.alpha.uniform_(0, 0.5)
    return model


@pytest.fixture(scope="module")
def split():
    return example().split("temporal")


@pytest.fixture(scope="module")
def models(split):
    made = {}

    def fitted(name):
        if name not in made:
            key, options = ARMS[name]
            made[name] = loud(system(key, **{**QUICK, **options}).fit(split.train, split.valid))
        return made[name]

    return fitted


@pytest.mark.parametrize("name", list(ARMS))
def test_scores_are_those_of_the_network(models, split, name):
    model, asked = models(name), split.test.questions("slates")
    ready = model.prepared()
    seen, away = [], 0.0
    for i in range(0, len(asked), 3):
        who = asked.histories[i : i + 1]
        # no item asks nothing, and which of equals the search then finds is anybody's choice
        items = np.random.default_rng(i).integers(-1 if model.info.key != "dare" else 0, 40, 30).astype(np.int32)
        some = Candidates(items, asked.candidates.vocabulary, shared=True)
        expected = model.score(who, some)
        got = ready.score(who, some)
        assert got.shape == expected.shape == (1, 30)
        away = max(away, np.abs(got - expected).max())
        seen.append(expected)
    assert away <= 1e-5
    assert np.ptp(np.stack(seen)) > 0.1, "the comparison is not one of constants"


@pytest.mark.parametrize("name", ["din", "sdim", "dare"])
def test_requests_by_ids(models, split, name):
    model, asked = models(name), split.test.questions("slates")
    ready = model.prepared()
    ids = [*asked.candidates.vocabulary.ids.to_pylist()[:20], 999_999, 5]
    for history in ([], [1_007], [1_007, 999_998, 1_014, 1_014, 1_021, 1_000]):
        expected = model.score(Histories.of([history]), Candidates.of([ids]))[0]
        got = ready.answer(ready.past(history), ready.catalogue.rows(ids))
        np.testing.assert_allclose(got, expected, atol=1e-5)
        text = ready.answer(ready.past([str(i) for i in history]), ready.catalogue.rows([str(i) for i in ids]))
        np.testing.assert_array_equal(text, got)


def test_event_columns_and_groups_of_equal_time(models, split):
    model, asked = models("dare"), split.test.questions("slates")
    ready, i = model.prepared(), int(np.argmax(asked.histories.lengths))
    who = asked.histories[i : i + 1]
    rows = slice(int(who.start[0]), int(who.stop[0]))
    columns = {
        name: who.vocabularies[name].decode(who.columns[name][rows]).to_pylist()
        if name in who.vocabularies
        else who.columns[name][rows].tolist()
        for name in ("kind", "value", "store")
    }
    past = ready.past(who.item_ids(0), time=who.columns["time"][rows], columns=columns)
    assert not past.starts.all(), "the example has groups of several events"
    some = Candidates.every(asked.candidates.vocabulary)
    got = ready.answer(past, ready.catalogue.moved(some.items, some.vocabulary))
    np.testing.assert_allclose(got, model.score(who, some)[0], atol=1e-5)
    bare = ready.answer(ready.past(who.item_ids(0)), ready.catalogue.moved(some.items, some.vocabulary))
    assert np.abs(bare - got).max() > 1e-3, "what is known of events counts"


def test_bucket_tables_and_the_last_events(models, split):
    model, asked = models("sdim"), split.test.questions("slates")
    ready = model.prepared()
    for i in range(0, len(asked), 5):
        who = asked.histories[i : i + 1]
        some = Candidates.every(asked.candidates.vocabulary)
        (table,) = model.bucket_tables(who)
        rows = ready.catalogue.moved(some.items, some.vocabulary)
        got = ready.answer(ready.read(who.last(model.short)), rows, table=table)
        np.testing.assert_allclose(got, model.score(who, some)[0], atol=1e-5)


def test_people_and_moments(monkeypatch):
    people = pa.table({"user": [f"u{i:02d}" for i in range(50)], "town": [f"t{i % 3}" for i in range(50)],
                       "age": [float(i % 17) for i in range(50)]})  # fmt: skip

    def opened(table, items):
        place = table.column_names.index("store")
        return Log.open(
            table.set_column(place, "store", [[f"s{i % 3}" for i in range(len(table))]]), items=items, users=people
        )

    monkeypatch.setattr(sys.modules["ethogram.testing.example"], "Log", SimpleNamespace(open=opened))
    cut = example().split("temporal")
    model = loud(system("din", **QUICK).fit(cut.train, cut.valid))
    assert {c.name for c in model.fitted.features.of("user")} == {"town", "age"}
    assert model.fitted.features.of("context")
    ready, asked = model.prepared(), cut.test.questions("slates")
    contexts = [None, pa.table({"store": ["s1"]}), pa.table({"store": ["s0", "s1"] * 20})]
    some = Candidates.every(asked.candidates.vocabulary)
    for i in range(0, len(asked), 7):
        who = asked.histories[i : i + 1]
        for context in contexts:
            got, expected = ready.score(who, some, context), model.score(who, some, context)
            np.testing.assert_allclose(got, expected, atol=1e-5)
    named = ready.answer(ready.read(who), ready.catalogue.moved(some.items, some.vocabulary), user="u03")
    assert (
        np.abs(named - ready.answer(ready.read(who), ready.catalogue.moved(some.items, some.vocabulary))).max() > 1e-4
    )


def test_what_has_no_arrays_says_so_and_is_timed_plainly(split):
    asked = split.test.questions("slates")
    with pytest.raises(NotFitted, match="prepared before fit"):
        system("din").prepared()
    model = system("deepfm", **QUICK).fit(split.train, split.valid)
    with pytest.raises(OptionError, match="cross = deepfm"):
        model.prepared()
    assert latency(model, asked, candidates=5, requests=1).way == "plain"
    assert latency(system("smoothed_rates").fit(split.train), asked, candidates=5, requests=1).way == "plain"
    for options, said in (
        ({"long": "category", "category": "category"}, "retrieves"),
        ({"attention": (8, 4)}, "hidden"),
    ):
        with pytest.raises(OptionError, match=said):
            system("sdim", **QUICK, **options).fit(split.train, split.valid).prepared()


def test_the_calibrated_score_is_prepared_too(split):
    model = system("mean_pooled", **QUICK, calibrate="platt").fit(split.train, split.valid)
    asked = split.test.questions("slates")
    some = Candidates.every(asked.candidates.vocabulary)
    np.testing.assert_allclose(
        model.prepared().score(asked.histories[:1], some), model.score(asked.histories[:1], some), atol=1e-5
    )
    assert latency(model, asked, candidates=5, requests=1).way == "prepared"


def test_several_questions_and_other_side_tables_are_left_to_the_network(models, split):
    model, asked = models("din"), split.test.questions("slates")
    ready, some = model.prepared(), Candidates.every(asked.candidates.vocabulary)
    three = asked.histories[:3]
    np.testing.assert_array_equal(ready.score(three, some), model.score(three, some))
    other = {"items": three.tables["items"].set_column(1, "category", [["c0"] * 40])}
    odd = replace(three[:1], tables=other)
    np.testing.assert_array_equal(ready.score(odd, some), model.score(odd, some))
    assert np.abs(ready.score(odd, some) - ready.score(three[:1], some)).max() > 1e-4
    lists = slate_log.random_log()
    tagged = loud(system("din", **QUICK).fit(lists))
    one = lists.questions("slates").histories[5:6]
    every = Candidates.every(lists.vocabulary("item"))
    np.testing.assert_allclose(tagged.prepared().score(one, every), tagged.score(one, every), atol=1e-5)
