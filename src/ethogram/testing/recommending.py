"""Promises of the verbs `recommend` and `update`."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from ethogram.errors import EthogramError, OptionError, UnknownName
from ethogram.log import Candidates, Histories, Log
from ethogram.system import options
from ethogram.testing.case import Case, answers, close, log, parts
from ethogram.verbs import State

POOR = {
    "one item": {"user": [1, 1, 2, 2], "item": [5] * 4, "time": ["2024-01-01", "2024-01-02"] * 2},
    "one time": {"user": [1, 1, 1, 2, 2, 2], "item": [5, 6, 7, 5, 6, 8], "time": ["2024-01-01"] * 6},
    "one event each": {"user": [1, 2, 3], "item": [5, 6, 5], "time": ["2024-01-01", "2024-01-02", "2024-01-03"]},
}
"""Logs from which there is next to nothing to learn."""
COLUMNS = ["question", "user", "item", "score", "rank"]
"""What every answer begins with; systems may say more in further columns."""


def table(case: Case) -> None:
    """Answers come in the caller's ids: one row per question and rank, best first, no item twice."""
    histories, _ = case.asked
    items, users = case.log.vocabulary("item"), histories.vocabularies["user"]
    found = case.fitted.recommend(histories, 5, exclude_seen=False)
    assert found.column_names[:5] == COLUMNS, f"columns {found.column_names} do not begin with {COLUMNS}"
    assert found.schema.field("item").type == items.ids.type, f"item ids come as {found.schema.field('item').type}"
    said = _by_question(found, len(histories))
    for i, rows in enumerate(said):
        assert [r["rank"] for r in rows] == [1, 2, 3, 4, 5], f"question {i}: ranks {[r['rank'] for r in rows]}"
        assert len({r["item"] for r in rows}) == 5, f"question {i}: an item twice"
        assert all(a["score"] >= b["score"] for a, b in pairwise(rows)), f"question {i}: order"
        assert {r["item"] for r in rows} <= set(items.ids.to_pylist()), f"question {i}: an id that is not the caller's"
        assert {r["user"] for r in rows} == {users.ids[int(histories.users[i])].as_py()}, f"question {i}: another user"


def how_many(case: Case) -> None:
    """k below 1 is an error; k beyond the catalogue gives the catalogue once."""
    histories, _ = case.asked
    for k in (0, -1):
        try:
            case.fitted.recommend(histories, k)
        except OptionError:
            continue
        raise AssertionError(f"k = {k} did not raise OptionError")
    whole = len(case.log.vocabulary("item"))
    found = _by_question(case.fitted.recommend(histories[:2], 10 * whole, exclude_seen=False), 2)
    assert all(len({r["item"] for r in rows}) == len(rows) <= whole for rows in found), "an item twice"
    best = _by_question(case.fitted.recommend(histories[:2], 3, exclude_seen=False), 2)
    for few, many in zip(best, found, strict=True):
        assert close([r["score"] for r in few], [r["score"] for r in many[:3]]), "k changes the scores"


def alone(case: Case) -> None:
    """A question is answered alike alone and in a crowd: same scores (1e-5), same items outside ties."""
    histories, _ = case.asked
    together = _by_question(case.fitted.recommend(histories, 5), len(histories))
    for i in range(min(len(histories), 6)):
        single = _by_question(case.fitted.recommend(histories[i : i + 1], 5), 1)[0]
        _alike(single, together[i], f"question {i}")


def exclude_seen(case: Case) -> None:
    """True leaves out the history, False does not; None decides by the training log's repeat ratio."""
    histories, _ = case.asked
    met = [set(histories.item_ids(i)) for i in range(len(histories))]

    def said(built: Any, **how: Any) -> list[list[dict[str, Any]]]:
        return _by_question(built.recommend(histories, 5, **how), len(histories))

    for i, rows in enumerate(said(case.fitted, exclude_seen=True)):
        seen = {r["item"] for r in rows} & met[i]
        assert not seen, f"question {i}: {seen} had been met"
    for one, other in zip(said(case.fitted), said(case.fitted, exclude_seen=False), strict=True):
        _alike(one, other, "repeats are common, so None must mean False")
    fresh = case.fit(parts(log(repeats=False)))
    for one, other in zip(said(fresh), said(fresh, exclude_seen=True), strict=True):
        _alike(one, other, "repeats never happen, so None must mean True")


def among(case: Case) -> None:
    """Only what is among the given items is recommended; an id that training never met is no error."""
    histories, _ = case.asked
    n, catalogue = len(histories), case.log.vocabulary("item").ids.to_pylist()
    allowed = catalogue[5:9]
    found = case.fitted.recommend(histories, 3, exclude_seen=False, among=Candidates.of([*allowed, 10**12]))
    rows = _by_question(found, n)
    assert {r["item"] for q in rows for r in q} <= {*allowed, 10**12}, "an item that was not among the given"
    assert all(len(q) == 3 for q in rows), "fewer than there are"
    lists = [catalogue[i % 10 : i % 10 + 4 + i % 3] for i in range(n)]
    each = _by_question(case.fitted.recommend(histories, 10, exclude_seen=False, among=Candidates.of(lists)), n)
    for i, q in enumerate(each):
        assert {r["item"] for r in q} == set(lists[i]), f"question {i}: not its own list"


def nobody(case: Case) -> None:
    """Somebody who did nothing gets k items."""
    found = case.fitted.recommend(Histories.of([[], []]), 5)
    assert np.bincount(found.column("question").to_numpy(), minlength=2).tolist() == [5, 5], "fewer than k"
    assert found.column("user").null_count == 10, "a stranger has no user id"
    none = case.fitted.recommend(Histories.of([]), 5)
    assert none.num_rows == 0, "rows without a question"
    assert none.column_names == found.column_names, "no question, other columns"


def odd_questions(case: Case) -> None:
    """A session longer than any model reads, an item that training never met and an empty `among` are answered."""
    catalogue = case.log.vocabulary("item").ids.to_pylist()
    asked = Histories.of([[catalogue[i % len(catalogue)] for i in range(700)], [10**12], catalogue[:1], []])
    found = case.fitted.recommend(asked, 3, exclude_seen=False)
    assert [len(rows) for rows in _by_question(found, 4)] == [3] * 4, "fewer than k"
    assert np.isfinite(found.column("score").to_numpy()).all(), "a score that is no number"
    if "status" in found.column_names:
        said = [rows[0]["status"] for rows in _by_question(found, 4)]
        assert said == ["warm"] * 3 + ["cold"], f"status {said} of three strangers with a history and one without"
    none = case.fitted.recommend(asked, 3, among=Candidates.of([]))
    assert none.num_rows == 0, "recommended where nothing was offered"
    assert none.schema.equals(found.schema), "nothing offered, other columns"
    if case.has("similar_items"):
        for few in (case.fitted.similar_items(catalogue[:1], 3, among=Candidates.of([])),
                    case.fitted.similar_items([], 3)):  # fmt: skip
            assert few.num_rows == 0, "items like nothing, or among nothing"


def poor_logs(case: Case) -> None:
    """A log of one item, of one time only, or of one event each is learned from, or refused by an error that says why.

    Where it is learned from, everybody gets as many items as there are.
    """
    for name, rows in POOR.items():
        try:
            built = case.make().fit(Log.open(pa.table(rows)), seed=1)
        except EthogramError as error:
            if len(str(error).split()) < 5:
                raise AssertionError(f"{name}: '{error}' does not say what is wrong") from error
            continue
        except Exception as error:
            raise AssertionError(f"{name}: fit raises {type(error).__name__}: {error}") from error
        found = built.recommend(Histories.of([[5], []]), 10, exclude_seen=False)
        sizes = [len(said) for said in _by_question(found, 2)]
        assert sizes == [len(set(rows["item"]))] * 2, f"{name}: {sizes} items"
        assert np.isfinite(found.column("score").to_numpy()).all(), f"{name}: a score that is no number"
        if case.has("similar_items"):
            assert 5 not in built.similar_items([5], 3).column("item").to_pylist(), f"{name}: an item is its own"
        if case.has("explain"):
            built.explain(Histories.of([[5], []]), Candidates.of([5]))


def exposures(case: Case) -> None:
    """What was only shown (events with a label, beside events without) does not count as done."""
    # a pipeline's ranker may learn from what was shown; who chooses from the catalogue learns from what was done
    if case.info.uses:
        return
    histories, _ = case.asked
    without = log(exposures=False)
    cut = case.parts.test.steps[-1].start
    train = without.split("temporal", valid_from=case.parts.valid.steps[-1].start, test_from=cut)
    other = case.make().fit(train.train, train.valid, seed=3)
    first = case.fitted.recommend(histories, 5, exclude_seen=False)
    second = other.recommend(histories, 5, exclude_seen=False)
    assert close(first.column("score").to_numpy(), second.column("score").to_numpy()), "what was shown is counted"


def updates(case: Case) -> None:
    """`update` takes in later events: it returns the system, keeps the options, and the same twice gives the same."""
    first, second = case.fit(case.parts), case.fit(case.parts)
    before = repr(options(first))
    assert first.update(case.parts.test) is first, "update did not return the system"
    second.update(case.parts.test)
    assert repr(options(first)) == before, "options changed"
    if not case.has("recommend"):  # nothing to list what is new: what was taken in shows in the state
        assert _bytes(first.state()) != _bytes(case.fitted.state()), "an update changes nothing"
    one, other = answers(first, *case.asked), answers(second, *case.asked)
    assert all(np.array_equal(np.asarray(one[n]), np.asarray(other[n])) for n in one), "two updates differ"
    if not case.has("recommend"):
        return
    new = Log.open({"user": ["a newcomer"] * 2, "item": [10**9, 10**9 + 1], "time": ["2100-01-01", "2100-01-02"]})
    first.update(new)
    found = first.recommend(Histories.of([[10**9]]), len(case.log.vocabulary("item")) + 2, exclude_seen=False)
    assert 10**9 + 1 in found.column("item").to_pylist(), "an item that an update brought is never recommended"


def similar(case: Case) -> None:
    """Items like an item come in the caller's ids, best first, never itself; a strange item is an error."""
    met = {i for q in range(len(case.asked[0])) for i in case.asked[0].item_ids(q)}
    catalogue = case.log.vocabulary("item").ids.to_pylist()
    asked = sorted(met)[:3]
    found = case.fitted.similar_items(asked, 4)
    assert found.column_names[:4] == ["query", "item", "similarity", "rank"], f"columns {found.column_names}"
    rows = found.to_pylist()
    assert {r["query"] for r in rows} == set(asked), "not the items that were asked about"
    for query in asked:
        mine = [r for r in rows if r["query"] == query]
        assert [r["rank"] for r in mine] == list(range(1, len(mine) + 1)), f"{query}: ranks"
        assert all(a["similarity"] >= b["similarity"] for a, b in pairwise(mine)), f"{query}: order"
        named = {r["item"] for r in mine}
        assert len(named) == len(mine), f"{query}: an item twice"
        assert named <= set(catalogue) - {query}, f"{query}: itself, or what does not exist"
    few = case.fitted.similar_items(asked[:1], 4, among=Candidates.of([*asked, 10**12])).to_pylist()
    assert {r["item"] for r in few} <= set(asked[1:]), "an item that was not among the given"
    for wrong, error in (([10**12], UnknownName), (asked, OptionError)):
        try:
            case.fitted.similar_items(wrong, 4 if error is UnknownName else 0)
        except error:
            continue
        raise AssertionError(f"no {error.__name__} for {wrong}")


def _bytes(state: State) -> list[bytes]:
    """All arrays of a state and its parts, in the order of their names."""
    own = [np.ascontiguousarray(state.arrays[n]).tobytes() for n in sorted(state.arrays)]
    return own + [b for n in sorted(state.parts) for b in _bytes(state.parts[n])]


def _by_question(found: pa.Table, n: int) -> list[list[dict[str, Any]]]:
    rows: list[list[dict[str, Any]]] = [[] for _ in range(n)]
    for row in found.to_pylist():
        rows[row["question"]].append(row)
    return [sorted(r, key=lambda x: x["rank"]) for r in rows]


def _alike(one: list[dict[str, Any]], other: list[dict[str, Any]], what: str) -> None:
    a, b = [r["score"] for r in one], [r["score"] for r in other]
    assert close(a, b), f"{what}: scores {a} against {b}"
    # the last may tie with what was cut off; the others name the same item where the score stands clear
    step = 1e-4 * max(map(abs, b), default=0.0) + 1e-12
    for i in range(len(b) - 1):
        if (i == 0 or b[i - 1] - b[i] > step) and b[i] - b[i + 1] > step:
            assert one[i]["item"] == other[i]["item"], f"{what}: item {one[i]['item']} against {other[i]['item']}"


CHECKS = (table, how_many, alone, exclude_seen, among, nobody, odd_questions, poor_logs, exposures)
UPDATE = (updates,)
SIMILAR = (similar,)
