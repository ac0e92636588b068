"""The three tools: risks, parents, cards, the report; and what they answer to poor logs."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from tests.risk.ban_evasion.conftest import account, at, edit, generated, log_of

from ethogram.errors import NotFitted, OptionError, UnknownName
from ethogram.evaluate.classification import auc
from ethogram.risk.ban_evasion import T2, T3A, Accounts, BanEvasion, Tasks
from ethogram.risk.ban_evasion.card import said
from ethogram.risk.ban_evasion.scorers import learn, restored, saved
from ethogram.risk.ban_evasion.shortlist import Banned, Blocking
from ethogram.system import load


@pytest.fixture(scope="module")
def fresh():
    """Accounts that were not learned from."""
    return generated(6)


@pytest.fixture(scope="module")
def assessed(learned, fresh):
    return learned.assess(fresh)


def test_one_row_for_each_account_in_order(learned, fresh, assessed):
    a = Accounts.of(fresh)
    assert assessed.column_names[:5] == ["user", "time", "risk", "reason", "reasons"]
    assert assessed.column_names[5:] == ["parent", "parent_score", "returns"]
    third = a.time[np.minimum(a.offsets[:-1] + 2, a.offsets[1:] - 1)]
    np.testing.assert_allclose(assessed["time"].cast(pa.int64()).to_numpy() / 1e6, third)
    assert assessed["user"].to_pylist() == a.names
    risk = assessed["risk"].to_numpy()
    assert risk.dtype == np.float64
    assert ((risk >= 0) & (risk <= 1)).all()
    assert auc(a.parent >= 0, risk) > 0.6
    banned = np.isfinite(a.blocked)
    assert (assessed["returns"].is_valid().to_numpy() == banned).all()
    back = assessed["returns"].to_numpy()[banned]
    assert auc(a.is_parent[banned], back) > 0.6


def test_candidates_were_banned_before_the_account_was_made(fresh, assessed):
    a = Accounts.of(fresh)
    place = {n: i for i, n in enumerate(a.names)}
    named = [(i, place[p]) for i, p in enumerate(assessed["parent"].to_pylist()) if p is not None]
    assert len(named) > 100
    assert all(a.blocked[p] < a.created[i] for i, p in named)


def test_scores_are_those_of_the_pair_and_reasons_its_largest_parts(learned, fresh, assessed):
    tasks = Tasks(Accounts.of(fresh), learned.fitted.idf)
    row = next(r for r in assessed.to_pylist() if r["parent_score"] is not None)
    a, scorer = tasks.accounts, learned.fitted.scorers[T2]
    pair = (np.array([a.names.index(row["parent"])]), np.array([a.names.index(row["user"])]))
    columns = tasks.columns(T2, *pair)
    assert scorer.probability(columns)[0] == pytest.approx(row["parent_score"])
    parts = scorer.parts(columns)[0]
    best = np.argsort(-np.abs(parts), kind="stable")[:3]
    assert [r["weight"] for r in row["reasons"]] == pytest.approx(parts[best].tolist())
    shares = np.abs(parts[best]) / np.abs(parts).sum()
    assert [r["share"] for r in row["reasons"]] == pytest.approx(shares.tolist())
    assert "guilty" not in row["reason"]
    assert "human" in row["reason"]


def test_shares_cannot_mislead(assessed):
    """They are of all evidence, for and against, and what speaks against says so."""
    told = [row for row in assessed["reasons"].to_pylist() if row]
    assert len(told) > 100
    for row in told:
        shares = [r["share"] for r in row]
        assert all(0 <= s <= 1 for s in shares)
        assert sum(shares) <= 1 + 1e-9
        assert shares == sorted(shares, reverse=True)
        assert all(r["what"].startswith("against: ") == (r["weight"] < 0) for r in row)
    assert {r["weight"] < 0 for row in told for r in row} == {True, False}


@pytest.mark.parametrize("kind", ["boosted", "logistic", "blend"])
def test_every_scorer_is_a_sum_of_parts_and_comes_back(made, kind):
    task = Tasks(Accounts.of(made)).make(T2)
    one = learn(kind, task.columns, task.label, task.names, 30.0)
    z, parts = one.logit(task.columns), one.parts(task.columns)
    assert np.ptp(z - parts.sum(1)) < 1e-9
    assert auc(task.label, z) > 0.85
    back = restored(saved(one))
    assert type(back) is type(one)
    assert back.names == task.names
    np.testing.assert_array_equal(back.logit(task.columns), z)


def test_parents_are_ranked(learned, fresh):
    a, found = Accounts.of(fresh), learned.parents(fresh, 4)
    assert found.column_names == ["user", "parent", "score", "rank", "reasons"]
    rows = found.to_pylist()
    first = {r["user"]: r["parent"] for r in rows if r["rank"] == 1}
    true = {a.names[i]: a.names[a.parent[i]] for i in np.flatnonzero(a.parent >= 0)}
    assert np.mean([first.get(u) == p for u, p in true.items()]) > 0.5
    for one, other in pairwise(rows):
        if one["user"] == other["user"]:
            assert other["rank"] == one["rank"] + 1
            assert other["score"] <= one["score"]
    with pytest.raises(OptionError, match="k = 0"):
        learned.parents(fresh, 0)


def test_a_card_tells_evidence_and_leaves_the_decision(learned, fresh):
    a = Accounts.of(fresh)
    child = int(np.flatnonzero(a.parent >= 0)[0])
    card = learned.card(fresh, a.names[child], a.names[a.parent[child]])
    assert 0 <= card.score <= 1
    assert card.gap_days == pytest.approx((a.created[child] - a.blocked[a.parent[child]]) / 86_400)
    edited = [{a.titles[p] for p in a.page[a.offsets[i] : a.offsets[i + 1]]} for i in (child, a.parent[child])]
    assert set(card.pages) <= edited[0] & edited[1]
    assert "the decision remains with a human" in str(card)
    with pytest.raises(UnknownName, match="nobody"):
        learned.card(fresh, "nobody", a.names[0])


def test_the_report_has_four_axes_and_finds_what_pairs_share(learned, fresh):
    rows = learned.report(fresh).to_pylist()
    assert {r["axis"] for r in rows} == {"username", "pages", "added content", "psycholinguistics"}
    assert len({r["comparison"] for r in rows}) == 4
    found = {r["attribute"] for r in rows if r["comparison"] == "pairs / random pairs" and r["differs"]}
    assert {"same grams", "same pages", "same titles"} <= found
    assert not {"difference: minor", "difference: words per edit"} & found


def test_the_page_opens_offline_and_tells_every_comparison(learned, fresh, tmp_path):
    page = learned.page(fresh, tmp_path / "who.html").read_text("utf-8")
    rows = learned.report(fresh).to_pylist()
    assert "http" not in page.replace("http-equiv", "")
    assert page.count("<section") == len({r["comparison"] for r in rows}) + 1
    assert page.count('scope="row"') == len(rows)
    assert "how alike the titles of their pages are" in page
    assert "says of one account whose it is" in page


def test_every_attribute_is_told_in_words(learned):
    task = Tasks(Accounts.of(learned.example())).make(T2)
    words = [said(name) for name in task.names]
    assert len(set(words)) == len(words)
    assert not [w for w in words if w.startswith(("difference: ", "new: "))]


def test_precision_at_k(learned, fresh):
    rows = learned.precision(fresh, (10, 10_000)).to_pylist()
    everybody = len(Accounts.of(fresh))
    assert rows[1]["k"] == everybody
    assert rows[1]["precision"] == pytest.approx(rows[1]["base"])
    assert rows[0]["precision"] > rows[0]["base"]


def test_saved_it_judges_the_same(learned, fresh, assessed, tmp_path):
    learned.save(tmp_path / "model")
    assert load(tmp_path / "model").assess(fresh).equals(assessed)


def test_three_edits_are_read_and_no_more(learned):
    accounts = [account("old", at(0), at(5)), account("new", at(7))]
    edits = [edit("old", at(1), "Hens", "hens lay"), *(edit("new", at(8, h), "Hens", "hens lay") for h in range(6))]
    whole, early = (learned.assess(log_of(accounts, e)) for e in (edits, edits[:4]))
    assert whole.equals(early)
    report = BanEvasion(stage="report").restore(learned.state())
    other = [report.assess(log_of(accounts, e))["risk"].to_pylist()[0] for e in (edits, edits[:4])]
    assert other[0] != other[1]


def test_poor_logs_are_answered(learned):
    accounts = [account("old", at(0), at(5)), account("silent", at(7)), account("unborn", None), account("new", at(8))]
    edits = [edit("old", at(1), "Hens", "hens"), edit("new", at(9), "Cows", "")]
    rows = {r["user"]: r for r in learned.assess(log_of(accounts, edits)).to_pylist()}
    assert set(rows) == {"old", "silent", "unborn", "new"}
    assert rows["old"]["parent"] is None
    assert rows["old"]["risk"] == 0
    assert rows["unborn"]["parent"] is None
    assert rows["old"]["reasons"] == []
    nobody = [account("a", at(0)), account("b", at(1))]
    alone = learned.assess(log_of(nobody, [edit("a", at(1))]))
    assert alone["risk"].to_pylist() == [0, 0]
    assert alone["returns"].null_count == 2
    assert learned.parents(log_of(nobody, [edit("a", at(1))])).num_rows == 0


def test_the_index_grows_and_forgets(learned, fresh):
    tasks = Tasks(Accounts.of(fresh), learned.fitted.idf)
    a = tasks.accounts
    banned = tasks.n[np.isfinite(a.blocked)]
    index = Banned(tasks.idf, learned.fitted.blocking[T3A])
    for rows in np.array_split(banned, 3):
        index.add(tasks.old(rows), a.blocked[rows])
    child = tasks.n[a.parent >= 0][:20]
    places, _ = index.search(tasks.reported(child), a.created[child], 10)
    names = [[index.names[p] for p in row if p >= 0] for row in places]
    true = [a.names[p] for p in a.parent[child]]
    assert np.mean([t in held for t, held in zip(true, names, strict=True)]) > 0.6
    gone = next(t for t, held in zip(true, names, strict=True) if t in held)
    assert index.forget(gone) == 1
    places, _ = index.search(tasks.reported(child), a.created[child], 10)
    assert gone not in {index.names[p] for p in places.ravel() if p >= 0}


def test_blocking_learns_what_returns_share_and_how_soon_they_come(made):
    """Against made-up truth: people bring pages and come back soon; where nobody's ban is near, time says nothing."""
    tasks = Tasks(Accounts.of(made))
    found = Blocking.learn(tasks, T3A)
    assert min(found.weights) >= 0
    assert found.weights[1] > 3  # titles
    assert found.fade > 0.5
    a = tasks.accounts
    # the same returns years later: every account that was banned before is as far away
    far = replace(a, created=np.where(a.parent >= 0, a.created + 5e10, a.created), blocked=a.blocked)
    tasks.accounts = far
    assert Blocking.learn(tasks, T3A).fade < found.fade
    few = replace(a, parent=np.where(np.cumsum(a.parent >= 0) > 10, -1, a.parent))
    tasks.accounts = few
    assert Blocking.learn(tasks, T3A) == Blocking()


def test_bad_options_and_no_fit():
    for wrong in ({"candidates": 0}, {"l2": 0.0}, {"reasons": 0}, {"stage": "late"}, {"scorer": "guess"}):
        with pytest.raises(OptionError):
            BanEvasion(**wrong)
    with pytest.raises(NotFitted):
        BanEvasion().parents(log_of([account("a", at(0))], [edit("a", at(1))]))
    assert isinstance(BanEvasion().example(seed=1).users, pa.Table)
