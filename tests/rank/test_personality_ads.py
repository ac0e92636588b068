"""Personality-aware adverts: the prediction written out, new and known people, controls, what is sensitive."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

import ethogram
from ethogram import data
from ethogram.errors import NotFitted, OptionError, StepError
from ethogram.evaluate.classification import auc
from ethogram.evaluate.ratings import rmse
from ethogram.log import Candidates, Histories, Log

WORLD = {"users": 90, "categories": 5, "per_category": 6, "pictures": 4, "strength": 0.7, "cells": 0.6, "seed": 3}
PLAIN = {"pictures": False, "facts": False, "favourites": False}


@cache
def log(**how):
    return data.load("adverts", **{**WORLD, **how})


@cache
def fold(protocol):
    return log().split(protocol, folds=3).parts[0]


@cache
def fitted(protocol="new-user", **options):
    return ethogram.system("personality_ads", **options).fit(fold(protocol).train, seed=1)


def asked(protocol="new-user"):
    return fold(protocol).test.questions()


def reached(protocol="new-user", **options):
    """(rmse, auc) on the held-out fold."""
    q = asked(protocol)
    model = fitted(protocol, **options)
    rated = model.rate(q.histories, q.candidates)
    return rmse(fold(protocol).test.ratings(), rated), auc(q.label, model.score(q.histories, q.candidates))


def test_what_is_expected_of_somebody_new_written_out():
    model, q = fitted(), asked()
    number, design = model.fitted.number, model.fitted.design
    people = log().users.to_pandas().set_index("user")
    adverts = log().items.to_pandas().set_index("item")
    features = {c.name: c for c in design.features.of("user")}
    user = q.histories.vocabularies["user"].decode(q.histories.users[:1]).to_pylist()[0]
    columns = []
    for name in design.names():
        raw = people.loc[user, name]
        if features[name].type == "numeric":
            columns.append((raw - features[name].mean) / features[name].deviation)
        else:
            known = design.features.vocabularies[features[name].table].ids.to_pylist()
            columns += [float(raw == value) for value in known]
    codes, _ = q.candidates.flat(len(q))
    for at in range(3):
        item = q.candidates.vocabulary.decode(codes[at : at + 1]).to_pylist()[0]
        category = design.values.index(adverts.loc[item, "category"])
        eta = number.level + np.dot(columns, number.common + number.own[category])
        eta += number.slope * people.loc[user, f"prefers_{adverts.loc[item, 'category']}"]
        for effect, name in zip(number.effects, design.effects, strict=True):
            values = design.features.vocabularies["item" if name == "item" else f"item.{name}"].ids.to_pylist()
            eta += effect[values.index(item if name == "item" else adverts.loc[item, name])]
        said = model.rate(q.histories[:1], q.candidates[slice(0, 1)])[at]
        assert said == pytest.approx(np.clip(eta, 1, 5), abs=1e-5)


def test_past_answers_carry_over_as_written():
    """Somebody with the columns of nobody, who answered three adverts: D and D_c by hand."""
    model = fitted(**PLAIN, traits="none")
    found = model.fitted
    table = fold("new-user").train.table().to_pandas()
    user = table["user"].iloc[0]
    past = table[table["user"] == user].head(3)
    rows = {"user": ["x"] * 3, "item": past["item"].tolist(), "order": [0, 1, 2], "value": [5.0, 5.0, 1.0],
            "label": [1.0, 1.0, 0.0]}  # fmt: skip
    import pyarrow as pa

    stranger = Log.open(pa.table(rows), items=log().items, users=log().users)
    names = log().items["item"].to_pylist()
    offers = Candidates.of(names)
    fresh = model.rate(Histories.of([[]]), offers)[0]
    base = dict(zip(names, fresh, strict=True))
    category = dict(zip(names, log().items["category"].to_pylist(), strict=True))
    left = [v - base[i] for v, i in zip(rows["value"], rows["item"], strict=True)]
    d = sum(left) / (3 + found.spread.person)
    said = model.rate(stranger.histories(), offers)[0]
    for at, name in enumerate(names):
        own = [r - d for r, i in zip(left, rows["item"], strict=True) if category[i] == category[name]]
        expected = np.clip(base[name] + d + sum(own) / (len(own) + found.spread.category), 1, 5)
        assert said[at] == pytest.approx(expected, abs=1e-5)


def test_personality_tells_how_somebody_new_will_rate():
    with_, without = reached(**PLAIN), reached(**PLAIN, traits="none")
    wrong = reached(**PLAIN, traits="permuted")
    assert with_[0] < 0.95 * without[0]
    assert with_[1] > without[1] + 0.04
    assert wrong[0] > 0.98 * without[0], "traits of other people tell nothing"
    pictures = reached(facts=False, favourites=False, traits="none")
    assert pictures[1] > without[1] + 0.02, "pictures are tied to traits"


def test_known_people_are_known_by_their_answers():
    assert reached("within-user", **PLAIN, traits="none")[0] < 0.95 * reached("new-user", **PLAIN, traits="none")[0]
    silent = reached("within-user", **PLAIN, traits="none", history=False)
    assert reached("within-user", **PLAIN, traits="none")[1] > silent[1] + 0.03


def test_means_are_means():
    train, q = fold("new-user").train.table().to_pandas(), asked()
    codes, _ = q.candidates.flat(len(q))
    names = q.candidates.vocabulary.decode(codes).to_pylist()
    everything = fitted(learner="global").rate(q.histories, q.candidates)
    np.testing.assert_allclose(everything, train["value"].mean(), atol=1e-3)
    of = dict(zip(*(log().items[c].to_pylist() for c in ("item", "category")), strict=True))
    means = train.groupby(train["item"].map(of))["value"].mean()
    said = fitted(learner="category", shrink=1e-6).rate(q.histories, q.candidates)
    np.testing.assert_allclose(said, [means[of[n]] for n in names], atol=2e-3)
    one = fitted(learner="item", shrink=1e-6).rate(q.histories, q.candidates)
    np.testing.assert_allclose(one, train.groupby("item")["value"].mean()[names], atol=2e-3)
    known = asked("within-user")
    person = fitted("within-user", learner="user").rate(known.histories, known.candidates)
    assert np.ptp(person[: int(known.candidates.flat(len(known))[1][1])]) < 1e-3, "a person's mean knows no advert"
    assert np.ptp(person) > 0.3


def test_an_advert_nobody_rated_is_judged_by_its_category():
    low = reached("new-item", adverts=True)
    assert low[1] > 0.6
    model, q = fitted("new-item"), asked("new-item")
    design = model.fitted.design
    items = design.features.encode(q.histories, q.candidates).items["item"].values
    assert (items[np.unique(q.candidates.flat(len(q))[0]) + 1] == 1).all(), "they are unseen"


@pytest.mark.parametrize("how", [{}, {"learner": "svm", "max_rows": 300}, {"infer": True}])
def test_saved_and_restored(how, tmp_path):
    model, q = fitted(**how), asked()
    again = ethogram.load(model.save(tmp_path / "model"))
    np.testing.assert_array_equal(again.score(q.histories, q.candidates), model.score(q.histories, q.candidates))
    np.testing.assert_array_equal(again.rate(q.histories, q.candidates), model.rate(q.histories, q.candidates))


def test_support_vectors_are_asked_as_scikit_learn_asks_them():
    from sklearn.svm import SVR

    from ethogram.rank.personality_ads.svm import Machine

    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(80, 3)), rng.normal(size=80)
    model = SVR(C=2.0, epsilon=0.1, gamma="scale").fit(x, y)
    np.testing.assert_allclose(Machine.ratings(x, y, 2.0).predict(x), model.predict(x))
    label = (y + x[:, 0] > 0).astype(float)
    made = Machine.answers(x, label, 1.0, np.arange(80))
    assert auc(label, made.predict(x)) > 0.8
    assert reached(learner="svm", max_rows=600)[1] > 0.62


def test_traits_are_inferred_on_request_only():
    q = asked()
    with pytest.raises(OptionError, match="set infer = true"):
        fitted().infer_traits(q.histories, purpose="study")
    model = fitted("within-user", infer=True)
    known = asked("within-user").histories
    with pytest.raises(OptionError, match="for what purpose"):
        model.infer_traits(known, purpose=" ")
    table = model.infer_traits(known, purpose="a measurement of the risk").to_pandas()
    assert table["purpose"].eq("a measurement of the risk").all()
    people = log().users.to_pandas().set_index("user")
    r = [np.corrcoef(part["estimate"], people.loc[part["user"], trait])[0, 1] for trait, part in table.groupby("trait")]
    assert np.mean(r) > 0.4
    assert 0 < table["r2"].mean() < 0.8


def test_associations_find_the_ties_and_a_tendency_to_buy():
    made = data.load("adverts", **{**WORLD, "tendency": 1.0, "cells": 0.0, "users": 150})
    from ethogram.rank.personality_ads import PersonalityAds

    rows = PersonalityAds.associations(made, permutations=300).to_pylist()
    found = {(r["trait"], r["outcome"]): r for r in rows}
    assert found["extraversion", "click share"]["found"]
    assert found["extraversion", "mean value"]["partial"] > 0.4
    assert sum(r["found"] for r in rows if r["trait"] != "extraversion") <= 2
    with pytest.raises(OptionError, match="no table of people with traits"):
        PersonalityAds.associations(Log.open(log().events.table().select(["user", "item", "time", "label"])))
    with pytest.raises(OptionError, match="Did you mean 'category'"):
        PersonalityAds.associations(made, by="categry")


def test_bad_options_and_logs():
    def make(**options):
        return ethogram.system("personality_ads", **options)

    with pytest.raises(OptionError, match="reads no traits"):
        make(learner="category", traits="given")
    with pytest.raises(OptionError, match="numbers above 0"):
        make(shrink=0.0)
    with pytest.raises(OptionError, match="Did you mean 'ridge'"):
        make(learner="rigde")
    with pytest.raises(OptionError, match="Did you mean 'format'"):
        make(by="formt").fit(log())
    events = log().events.table().select(["user", "item", "time", "value", "label"])
    bare = Log.open(events, items=log().items)
    with pytest.raises(OptionError, match="has no column openness"):
        make(traits="given").fit(bare)
    with pytest.raises(OptionError, match="infer = true needs people"):
        make(infer=True).fit(bare)
    with pytest.raises(StepError, match="no event carries a label"):
        make().fit(Log.open(events.drop_columns(["label"])))
    with pytest.raises(StepError, match="needs both answers"):
        make().fit(Log.open(events.filter(events["label"].to_numpy() > 0)))
    with pytest.raises(NotFitted):
        make().score(Histories.of([[]]), Candidates.of(["a"]))


def test_missing_traits_count_as_average():
    import pyarrow as pa

    people = log().users
    holes = pa.array(np.arange(len(people)) % 4 == 0)
    import pyarrow.compute as pc

    column = pc.if_else(holes, pa.scalar(None, pa.float32()), people["openness"].combine_chunks())
    people = people.set_column(people.column_names.index("openness"), "openness", column)
    events = log().events.table().select(["user", "item", "time", "value", "label"])
    part = Log.open(events, items=log().items, users=people).split("new-user", folds=3).parts[0]
    q = part.test.questions()
    p = ethogram.system("personality_ads").fit(part.train).score(q.histories, q.candidates)
    assert auc(q.label, p) > 0.6
