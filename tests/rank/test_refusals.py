"""Logs that no ranking system may learn from: all refuse in the same words, before any work."""

import numpy as np
import pyarrow as pa
import pytest

import ethogram
from ethogram.errors import StepError
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
