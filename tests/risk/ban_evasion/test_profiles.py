"""Attributes by hand, and nothing that happened after the moment."""

import numpy as np
import pytest
from tests.risk.ban_evasion.conftest import account, at, edit, log_of

from ethogram.errors import StepError
from ethogram.risk.ban_evasion import T2, Accounts, Tasks
from ethogram.risk.ban_evasion.pairs import COLUMNS, SIMILARITIES, similarities
from ethogram.risk.ban_evasion.profiles import ATTRIBUTES
from ethogram.risk.ban_evasion.tasks import checked_columns

ACCOUNTS = [account("Punk1", at(0), at(10)), account("Punk25", at(12), at(20), "Punk1"), account("quiet", at(2))]
EDITS = [
    edit("Punk1", at(0, 1), "Red hens", "damn hens lay eggs", sizediff=10, comment="fixed"),
    edit("Punk1", at(0, 1, 10), "Red hens", "hens lay", sizediff=-5, comment="Undid revision 5"),
    edit("Punk1", at(3, 5), "Talk:Blue cows", "cows give milk", ns=1, sizediff=3, minor=True),
    edit("Punk1", at(11), "Green pigs", "too late", sizediff=1),
    edit("Punk25", at(12, 1), "Red hens", "hens lay eggs"),
    edit("Punk25", at(12, 2), "Green pigs", "pigs"),
    edit("Punk25", at(12, 3), "Green pigs", "pigs"),
    edit("Punk25", at(12, 4), "Talk:Blue cows", "cows give milk", ns=1),
]


@pytest.fixture
def tasks():
    return Tasks(Accounts.of(log_of(ACCOUNTS, EDITS)))


def row(tasks, *names):
    return np.array([tasks.accounts.names.index(n) for n in names])


def test_attributes_by_hand(tasks):
    found = dict(zip(ATTRIBUTES, tasks.old(row(tasks, "Punk1")).numbers[0], strict=True))
    expected = {
        "age": np.log1p(240), "delay": np.log1p(3600), "edits": np.log1p(3), "active days": np.log1p(2),
        "pages": np.log1p(2), "revisions per page": np.log(1.5), "edits per day": np.log(1.5), "gap": np.log(600),
        "talk": 1 / 3, "own pages": 0, "deletions": 1 / 3, "minor": 1 / 3, "reverts": 1 / 3, "commented": 1 / 3,
        "comment length": np.log1p(5), "size": (np.log1p(10) - np.log1p(5) + np.log1p(3)) / 3, "swear": 1 / 9,
        "hours 0-4": 2 / 3, "hours 4-8": 1 / 3, "weekend": 1 / 3, "name length": 5, "name digits": 0.2,
    }  # fmt: skip
    assert {n: found[n] for n in expected} == pytest.approx(expected)
    assert np.isnan(found["gap spread"])  # one gap has no spread


def test_who_did_nothing_has_a_name_and_an_age_only(tasks):
    found = dict(zip(ATTRIBUTES, tasks.old(row(tasks, "quiet")).numbers[0], strict=True))
    assert found["edits"] == 0
    assert found["name length"] == 5
    assert np.isnan([found["talk"], found["swear"], found["gap"], found["hours 0-4"]]).all()


def test_similarities_by_hand(tasks):
    old, new = tasks.old(row(tasks, "Punk1")), tasks.reported(row(tasks, "Punk25", "quiet"))
    zero = np.zeros(2, np.int64)
    held = similarities(old, new, zero, np.arange(2), tasks.idf)
    found = dict(zip(SIMILARITIES, held[0], strict=True))
    # {hens, cows} and {hens, pigs, cows}: the late edit of the first does not count
    assert found["same pages"] == pytest.approx(2 / 3)
    assert found["on old pages"] == pytest.approx(2 / 3)
    assert found["same name"] == pytest.approx(1 - 2 / 6)
    assert found["same name words"] == 1
    # damn hens lay eggs cows give milk, against hens lay eggs pigs cows give milk
    assert found["same vocabulary"] == pytest.approx(6 / 8)
    assert found["same hours"] == pytest.approx(2 / 3 + 1 / 4)
    nothing = dict(zip(SIMILARITIES, held[1], strict=True))
    assert np.isnan([nothing["same added"], nothing["same titles"], nothing["same hours"]]).all()


def test_cosines_are_those_of_tf_idf(tasks):
    old, new = tasks.old(row(tasks, "Punk1")), tasks.reported(row(tasks, "Punk25"))
    documents = [
        ("Punk1", "damn hens lay eggs hens lay cows give milk"),
        ("Punk25", "hens lay eggs pigs pigs cows give milk"),
    ]
    everything = {"Punk1": documents[0][1] + " too late", "Punk25": documents[1][1], "quiet": ""}
    vocabulary = sorted({w for t in everything.values() for w in t.split()})
    idf = [np.log(4 / (1 + sum(w in t.split() for t in everything.values()))) + 1 for w in vocabulary]
    rows = []
    for _, text in documents:
        counts = np.array([text.split().count(w) for w in vocabulary], float)
        rows.append(np.where(counts > 0, 1 + np.log(np.maximum(counts, 1)), 0) * idf)
    expected = rows[0] @ rows[1] / np.linalg.norm(rows[0]) / np.linalg.norm(rows[1])
    zero = np.zeros(1, np.int64)
    found = similarities(old, new, zero, zero, tasks.idf)[0, list(SIMILARITIES).index("same added")]
    assert found == pytest.approx(expected, rel=1e-6)


def test_early_detection_reads_three_edits(tasks):
    rows = row(tasks, "Punk1", "Punk25")
    before = tasks.columns(T2, rows[:1], rows[1:])
    fewer = Tasks(Accounts.of(log_of(ACCOUNTS, EDITS[:-1])))
    fewer.idf = tasks.idf
    np.testing.assert_array_equal(before, fewer.columns(T2, rows[:1], rows[1:]))
    zero = np.zeros(1, np.int64)
    with pytest.raises(StepError, match="reads 3 edits of a new account; the profile of 'Punk25' holds 4"):
        checked_columns(T2, tasks.old(rows[:1]), tasks.reported(rows[1:]), zero, zero, tasks.idf)


def test_neither_the_wait_nor_the_end_is_seen(tasks):
    """Another time of the ban of the child, or of its making, changes nothing of the pair but what it did by then."""
    other = [ACCOUNTS[0], account("Punk25", at(11, 23), at(25), "Punk1"), ACCOUNTS[2]]
    rows = row(tasks, "Punk1", "Punk25")
    moved = Tasks(Accounts.of(log_of(other, EDITS)))
    one, two = (t.columns(T2, rows[:1], rows[1:])[0] for t in (tasks, moved))
    assert {c for c, a, b in zip(COLUMNS, one, two, strict=True) if not (a == b or np.isnan([a, b]).all())} == {
        "difference: delay", "new: delay"
    }  # fmt: skip
