import numpy as np
import pyarrow as pa
import pytest

from ethogram.errors import OptionError
from ethogram.evaluate import deletion
from ethogram.log import Candidates, Histories, Log, Questions

WORTH = {f"i{j}": float(j) for j in range(10)}


class Adds:
    """Log odds = sum of what the past events are worth; explains by worth, or names the least."""

    last = None

    def __init__(self, honest=True, probabilities=True):
        self.honest, self.probabilities = honest, probabilities

    def score(self, histories, candidates, context=None):
        totals = np.array([sum(WORTH[i] for i in histories.item_ids(q)) for q in range(len(histories))]) / 10
        flat = np.repeat(totals, candidates.counts(len(histories)))
        return candidates.shape(1 / (1 + np.exp(-flat)) if self.probabilities else 2 + flat, len(histories))

    def explain(self, histories, candidates, k=3):
        rows = []
        for q in range(len(histories)):
            found = sorted(histories.item_ids(q), key=WORTH.get, reverse=self.honest)[:k]
            rows += [(q, "x", item, 0.1, r + 1) for r, item in enumerate(found)]
        names = ("question", "candidate", "item", "share", "rank")
        told = pa.table(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))
        return told.add_column(3, "time", pa.nulls(len(rows), pa.timestamp("us", "UTC")))


def asked(n=40, seed=0):
    rng = np.random.default_rng(seed)
    lists = [[f"i{j}" for j in rng.integers(0, 10, 8)] for _ in range(n)]
    return Questions(Histories.of(lists), Candidates.of([["x"]] * n), np.ones(n, np.float32), np.ones(n, np.float32))


@pytest.mark.parametrize("probabilities", [True, False])
def test_changes_are_those_of_the_sums(probabilities):
    some = asked()
    found = deletion(Adds(probabilities=probabilities), some, k=2, draws=200)
    lists = [sorted((WORTH[i] for i in some.histories.item_ids(q)), reverse=True) for q in range(40)]
    rows = found.rows.to_pylist()
    assert [r["question"] for r in rows] == list(range(40))
    for r in rows:
        values = lists[r["question"]]
        assert r["deleted"] == 2
        assert r["named"] == pytest.approx(sum(values[:2]) / 10, abs=1e-5)
        assert r["random"] == pytest.approx(2 * np.mean(values) / 10, abs=0.08)
    assert found.odds is probabilities
    assert found.difference.value == pytest.approx(found.named - found.random)
    assert found.difference.low > 0
    assert found.json()["difference"] == list(found.difference[:3])


def test_an_explanation_that_names_the_least_fails():
    found = deletion(Adds(honest=False), asked(), k=2)
    assert found.difference.high < 0


def test_equal_items_and_times_are_deleted_one_by_one():
    """Two events of one item in one group: both named, both gone; context of the pair comes along."""
    rows = [("u", i, t, None) for i, t in (("i9", 1), ("i9", 1), ("i1", 2), ("i2", 3), ("i0", 4), ("i0", 5))]
    rows += [("u", "x", 9, 1.0)]
    table = dict(zip(("user", "item", "time", "label"), map(list, zip(*rows, strict=True)), strict=True))
    some = Log.open(pa.table(table | {"time": [1_700_000_000 + t for t in table["time"]]})).questions("slates")
    found = deletion(Adds(), some, k=2, pairs=1)
    assert found.rows["named"].to_pylist() == pytest.approx([1.8], abs=1e-5)


def test_only_what_is_read_is_deleted():
    system = Adds()
    system.last = 5
    found = deletion(system, asked(), k=2)
    assert found.k == 2
    whole = [sorted((WORTH[i] for i in asked().histories.item_ids(q)[-5:]), reverse=True) for q in range(40)]
    assert found.rows["named"].to_pylist() == pytest.approx([sum(v[:2]) / 10 for v in whole], abs=1e-5)


def test_bad_input():
    with pytest.raises(OptionError, match="k = 0"):
        deletion(Adds(), asked(), k=0)
    with pytest.raises(OptionError, match="no history holds more than 40 events"):
        deletion(Adds(), asked(), k=20)

    class Invents(Adds):
        def explain(self, histories, candidates, k=3):
            return super().explain(histories, candidates, k).set_column(2, "item", pa.array(["never"] * 120))

    with pytest.raises(OptionError, match="Invents names event 'never', which is not in the history of question 0"):
        deletion(Invents(), asked())
