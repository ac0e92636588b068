"""Logs that no ranking system may learn from: all refuse in the same words, before any work."""

from functools import cache

import numpy as np
import pyarrow as pa
import pytest

import ethogram
from ethogram import data
from ethogram.errors import OptionError, StepError
from ethogram.log import Candidates, Histories, Log, Questions
from ethogram.numeric.slates import no_leak

RANKERS = sorted(s.key for s in ethogram.systems() if s.area == "rank" and "score" in s.verbs and not s.missing())


def log(label=lambda i: float(i % 3 == 0), weight=lambda i: 1.0, leak=None):
    """Five past events and three slates of three each; `leak` seconds before a slate, what is taken in it is logged."""
    rows = []
    for user in range(12):
        for day in range(5):
            rows.append((f"u{user}", f"i{(user + day) % 9}", 86_400 * day, None, None, None))
        for slate in range(3):
            when = 86_400 * (10 + slate)
            for place in range(3):
                answer = label(place)
                item = f"i{(3 * slate + place + user) % 9}"
                rows.append((f"u{user}", item, when, answer, weight(answer), slate))
                if leak is not None and answer == 1:
                    rows.append((f"u{user}", item, when - leak, None, None, None))
    names = ("user", "item", "time", "label", "weight", "slate")
    columns = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
    columns["time"] = [1_700_000_000 + t for t in columns["time"]]
    return Log.open(pa.table(columns))


WRONG = {
    "three values": ({"label": float}, "a label is 2; a ranker learns from answers that are 0 or 1"),
    "constant": ({"label": lambda i: 1.0}, "all 108 labels of the training slates are equal"),
    "no weight": ({"weight": lambda a: 0.0}, "have no weight; a ranker needs both answers"),
    "no weight of one answer": ({"weight": lambda a: a}, "have no weight; a ranker needs both answers"),
    "leak": ({"leak": 1}, "the target is in its own history: 100% of the items that were taken"),
}


@pytest.mark.parametrize("key", RANKERS)
@pytest.mark.parametrize("name", WRONG)
def test_every_ranker_refuses(key, name):
    how, told = WRONG[name]
    built = ethogram.system(key)
    with pytest.raises(StepError, match=told):
        built.fit(log(**how))
    assert built.fitted is None


def test_what_is_logged_with_the_answer_itself_is_no_leak():
    no_leak(log(leak=0).questions("slates"))
    no_leak(log(leak=86_400 * 9).questions("slates"))
    no_leak(log().questions("slates"))


def asked(histories, label, n=30):
    items = Candidates.of([["x", "y"]] * n)
    return Questions(histories, items, np.tile(np.float32(label), n), np.ones(2 * n, np.float32))


def test_lists_that_end_with_their_target():
    with pytest.raises(StepError, match="100% of the items that were taken, and 0% of the others"):
        no_leak(asked(Histories.of([["a", "b", "x"]] * 30), [1, 0]))
    no_leak(asked(Histories.of([["x", "a", "b"]] * 30), [1, 0]))  # met before, and something came between
    no_leak(asked(Histories.of([["a", "x", "y"]] * 30), [1, 0]))  # what was not taken came last
    no_leak(asked(Histories.of([["a", "b", "x"]] * 10), [1, 0], n=10))  # too few to tell from a habit


def test_a_history_that_goes_on_after_its_question():
    known = log().histories()
    late = known[0:1]
    question = Questions(
        Histories(late.columns, late.starts, late.start, late.stop, late.users, np.array([1_700_000_000 * 10**6]),
                  late.vocabularies),
        Candidates.of([["i0", "i1"]]), np.float32([0, 1]), np.ones(2, np.float32),
    )  # fmt: skip
    with pytest.raises(StepError, match=r"question 0 is asked at 2023-11-14T22:13:20.000000Z, and its history holds"):
        no_leak(question)


@cache
def placed(key):
    """A ranker that learned where each slate was shown."""
    table = pa.table(
        {
            "user": [f"u{i % 12}" for i in range(360)],
            "item": [f"i{i % 7}" for i in range(360)],
            "time": [1_700_000_000 + 86_400 * (i // 12) for i in range(360)],
            "label": [float(i % 5 == 0) for i in range(360)],
            "place": ["top" if i % 2 else "side" for i in range(360)],
        }
    )
    few = {"epochs": 1, "steps": 5}
    built = ethogram.system(key)
    named = {n: v for n, v in few.items() if hasattr(built, n)}
    return ethogram.system(key, **named).fit(Log.open(table))


READ_CONTEXT = [key for key in RANKERS if key not in ("personality_ads", "reloop2", "smoothed_rates")]


@pytest.mark.parametrize("key", READ_CONTEXT)
def test_a_feature_that_training_did_not_see_is_refused_and_a_new_value_is_not(key):
    people, items = Histories.of([["i1", "i2"], []]), Candidates.of(["i1", "i3"])
    model = placed(key)
    with pytest.raises(OptionError, match=r"context: training saw no column 'plase'. Did you mean 'place'\?"):
        model.score(people, items, pa.table({"plase": ["top", "side"]}))
    with pytest.raises(OptionError, match="leave 'colour' out, or fit on a log that has it"):
        model.score(people, items, pa.table({"place": ["top", "side"], "colour": ["red", "red"]}))
    found = model.score(people, items, pa.table({"place": ["top", "behind the shelf"]}))
    assert found.shape == (2, 2)
    assert ((found > 0) & (found < 1)).all()


def test_one_answer_in_ten_missing_is_counted_and_no_negative():
    """Of several goals; the ranker goes on and says how many answers there were."""
    pytest.importorskip("torch")
    some = data.load("conflict", users=60, items=60, values=6, slates=6, candidates=5, missing=0.1)
    model = ethogram.system("dtrn", dim=4, side=4, epochs=1).fit(some)
    answers = some.questions("goals").labels
    told = model.fitted.told.to_pylist()
    assert [row["goal"] for row in told] == ["label", "label_buy"]
    for row in told:
        label = answers[row["goal"]]
        assert row["missing"] == np.isnan(label).sum()
        assert row["missing"] / len(label) == pytest.approx(0.1, abs=0.03)
        assert row["positive_rate"] == pytest.approx(np.nanmean(label))
