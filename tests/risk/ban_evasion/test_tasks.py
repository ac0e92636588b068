"""Controls are matched, people stay on one side, candidates are those banned before."""

import numpy as np
import pytest
from tests.risk.ban_evasion.conftest import account, at, edit, log_of

from ethogram.errors import StepError
from ethogram.evaluate.grouped import grouped_folds
from ethogram.risk.ban_evasion import T1, T2, T3A, Accounts, Tasks
from ethogram.risk.ban_evasion.judged import middle_rank, out_of_fold, reciprocal_ranks
from ethogram.risk.ban_evasion.tasks import CALIPER


@pytest.fixture(scope="module")
def tasks(made):
    return Tasks(Accounts.of(made))


@pytest.mark.parametrize(("key", "kind"), [(T2, 2), (T3A, 1)])
def test_pairs_and_their_controls(tasks, key, kind):
    a, task = tasks.accounts, tasks.make(key)
    half = len(task) // 2
    assert task.label.tolist() == [True] * half + [False] * half
    assert (a.parent[task.child[:half]] == task.parent[:half]).all()
    assert (task.parent[:half] == task.parent[half:]).all()
    assert (a.kind[task.child[half:]] == kind).all()
    assert len(set(task.child.tolist())) == len(task)
    assert (a.created[task.child] > a.blocked[task.parent]).all()
    gap = np.abs(a.created[task.child[:half]] - a.created[task.child[half:]])
    lag = a.created[task.child[:half]] - a.blocked[task.parent[:half]]
    assert (gap <= np.minimum(CALIPER, lag / 2)).all()
    assert half + task.alone == ((a.parent >= 0) & (np.isfinite(a.blocked) | (key == T2))).sum()


def test_who_returns_and_its_controls(tasks):
    a, task = tasks.accounts, tasks.make(T1)
    half = len(task) // 2
    assert a.is_parent[task.parent[:half]].all()
    assert (a.kind[task.parent[half:]] == 1).all()
    assert (np.abs(a.blocked[task.parent[:half]] - a.blocked[task.parent[half:]]) <= CALIPER).all()


@pytest.mark.parametrize("key", [T1, T2, T3A])
def test_folds_keep_people_and_matched_pairs_together(tasks, key):
    task, half = tasks.make(key), len(tasks.make(key)) // 2
    fold = grouped_folds(task.groups, 5)
    assert (fold[:half] == fold[half:]).all()
    person = tasks.accounts.master[task.parent[:half]]
    assert all(len(set(fold[:half][person == p].tolist())) == 1 for p in set(person.tolist()))
    met = []

    def learn(columns, label, names):
        met.append(set(columns[:, 0].tolist()))
        return lambda rows: [len(met[-1] & set(rows[:, 0].tolist()))] * len(rows)

    persons = task.groups[:, None].astype(float)
    assert (out_of_fold(persons, task, learn, folds=5) == 0).all()


def test_candidates_were_banned_before_and_closest(tasks):
    a = tasks.accounts
    parents, children = tasks.n[a.is_parent], tasks.n[a.parent >= 0]
    found = tasks.candidates(children, parents, 6)
    assert (found[:, 0] == a.parent[children]).all()
    for child, held in zip(children, found, strict=True):
        possible = [p for p in parents[a.blocked[parents] < a.created[child]] if p != a.parent[child]]
        nearest = sorted(possible, key=lambda p: -a.blocked[p])[:5]
        assert [h for h in held[1:] if h >= 0] == nearest


def test_ranks_count_ties_half(tasks):
    scores = np.array([[2.0, 1, 3, 2], [5, 1, 1, 1], [0, 0, 0, -np.inf]])
    assert middle_rank(scores).tolist() == [2.5, 1.0, 2.0]
    task = tasks.make(T3A)
    ways = {"constant": lambda f, columns: np.zeros(len(columns))}
    found = reciprocal_ranks(tasks, task, ways, k=10, folds=3)
    held = (tasks.candidates(task.child[task.label], tasks.n[tasks.accounts.is_parent], 10) >= 0).sum(1)
    np.testing.assert_allclose(found["constant"], 2 / (1 + held))
    assert found["T3a"].mean() > found["constant"].mean() + 0.1


def test_too_few_are_refused():
    few = [account("a", at(0), at(1)), account("b", at(2), at(3), "a"), account("c", at(2), at(3))]
    with pytest.raises(StepError, match="it takes 20 or more"):
        Tasks(Accounts.of(log_of(few, [edit("a", at(0, 1))]))).make(T2)
