"""Accounts are read from a log, and what cannot be true is refused with the name of the account."""

import numpy as np
import pyarrow as pa
import pytest
from tests.risk.ban_evasion.conftest import account, at, edit, log_of

from ethogram.errors import RolesError, SourceError, StepError
from ethogram.log import Log
from ethogram.risk.ban_evasion import Accounts

GOOD = [
    account("old", at(0), at(5), master="old"), account("new", at(7), at(9), "old", "old"),
    account("third", at(12), None, "new"), account("vandal", at(1), at(2)), account("fine", at(1)),
    account("silent", at(3)),
]  # fmt: skip
EDITS = [edit("new", at(8)), edit("old", at(1)), edit("old", at(4), "B"), edit("old", at(6)), edit("fine", at(2)),
         edit("vandal", at(1, 5)), edit("third", at(13))]  # fmt: skip


def by_name(accounts, values):
    return dict(zip(accounts.names, values.tolist(), strict=True))


def test_accounts_with_their_kinds_people_and_edits():
    a = Accounts.of(log_of(GOOD, EDITS))
    assert by_name(a, a.kind) == {"old": 0, "new": 0, "third": 3, "vandal": 1, "fine": 2, "silent": 2}
    person = by_name(a, a.master)
    assert person["old"] == person["new"] == person["third"] != person["vandal"]
    assert by_name(a, np.diff(a.offsets)) == {"old": 3, "new": 1, "third": 1, "vandal": 1, "fine": 1, "silent": 0}
    old = a.names.index("old")
    rows = np.array([old])
    # the edit after the ban is not read, nor is one at the instant itself
    assert (a.stops(rows, a.blocked[rows]) - a.offsets[rows]).tolist() == [2]
    assert (a.stops(rows, np.array([at(4).timestamp()])) - a.offsets[rows]).tolist() == [1]
    assert (a.stops(rows, np.array([np.nan]), 2) - a.offsets[rows]).tolist() == [2]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (account("new", at(4), at(9), "old"), "account 'new' was made before its parent was banned"),
        (account("new", at(7), at(6), "old"), "account 'new' was banned before it was made"),
        (account("new", at(7), at(9), "fine"), "account 'new' has a parent without a time of its ban"),
        (account("new", at(7), at(9), "nobody"), "'new' names the parent 'nobody'"),
        (account("new", None, at(9), "old"), "account 'new' has a parent and no time of creation"),
        (account("new", at(20), at(25), "old"), "account 'new' has edits from before it was made"),
    ],
)
def test_what_cannot_be_true_is_refused(change, said):
    with pytest.raises(StepError, match=said):
        Accounts.of(log_of([change if a["user"] == "new" else a for a in GOOD], EDITS))


def test_other_logs_are_refused():
    with pytest.raises(SourceError, match="more than one row"):
        Accounts.of(log_of([*GOOD, account("new", at(8), None)], EDITS))
    events = pa.Table.from_pylist(EDITS)
    with pytest.raises(RolesError, match="lacks created, blocked"):
        Accounts.of(Log.open(events))
    texts = Log.open(events, users=pa.table({"user": ["old"], "created": ["2020"], "blocked": [None]}))
    with pytest.raises(RolesError, match="give instants"):
        Accounts.of(texts)
    clockless = Log.open(pa.table({"user": ["old"], "order": [1]}), users=pa.Table.from_pylist(GOOD[:1]))
    with pytest.raises(RolesError, match="role time"):
        Accounts.of(clockless)
