"""The generator: chains, times, what is planted and what is not; the real sample and its quarantine."""

import json

import numpy as np
import pytest

from ethogram.data.ban_evasion import BanEvasion
from ethogram.data.returning_accounts import KINDS, RATES, ReturningAccounts
from ethogram.data.wikidiff import change
from ethogram.errors import MissingData, OptionError
from ethogram.log import Log

SMALL = {"pairs": 150, "malicious": 300, "benign": 300, "days": 100}


@pytest.fixture(scope="module")
def made():
    return ReturningAccounts(**SMALL, seed=3)


def test_people_come_back_after_their_ban(made):
    read = made.read()
    users = {r["user"]: r for r in read.users.to_pylist()}
    children = [r for r in users.values() if r["parent"] is not None]
    assert len(children) == 150
    assert len({r["parent"] for r in children}) == 150
    assert all(r["created"] > users[r["parent"]]["blocked"] for r in children)
    assert all(r["master"] == users[r["parent"]]["master"] for r in children)
    kinds = dict(zip(*(made.truth()["accounts"][c].to_pylist() for c in ("user", "kind")), strict=True))
    assert all(kinds[r["parent"]] == "evading" for r in children)
    assert sum(k == "benign" for k in kinds.values()) == 300


def test_edits_lie_in_the_life_of_their_account(made):
    read = made.read()
    log = Log.open(read.events, users=read.users, strict=True, **read.roles)
    users = {r["user"]: r for r in read.users.to_pylist()}
    rows = log.table().to_pylist()
    assert {r["user"] for r in rows} == set(users)
    assert all(users[r["user"]]["created"] <= r["time"] for r in rows)
    assert all(r["time"] < users[r["user"]]["blocked"] for r in rows if users[r["user"]]["blocked"])


def test_the_same_seed_gives_the_same_and_another_another(made):
    again, other = ReturningAccounts(**SMALL, seed=3), ReturningAccounts(**SMALL, seed=4)
    assert again.read().events.equals(made.read().events)
    assert not other.read().events.equals(made.read().events)


def test_without_effect_nothing_is_planted():
    nothing = ReturningAccounts(**SMALL, effect=0.0)
    assert all(not nothing.rates.differs(name, a, b) for name in RATES for a in KINDS for b in KINDS)
    assert all(not brought.any() for brought in nothing._made[0].shared.values())
    one = ReturningAccounts(**SMALL, planted=("swear", "pages"))
    assert one.rates.differs("swear", "evading", "malicious")
    assert not one.rates.differs("talk", "evading", "malicious")
    assert [n for n, held in one._made[0].shared.items() if held.any()] == ["pages"]


def test_rates_are_met(made):
    people, _, edits = made._made
    talk = np.asarray(edits["ns"]) % 2 == 1
    expected = people.rates["talk"][edits["account"]]
    assert talk.mean() == pytest.approx(expected.mean(), abs=4 * np.sqrt(0.15 / len(talk)))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"planted": ("swears",)}, "Did you mean 'swear'"), ({"effect": 3.0}, "effect = 3.0"),
        ({"pairs": 0}, "1 or more"), ({"again": 1.0}, "again"),
    ],
)  # fmt: skip
def test_bad_options(options, said):
    with pytest.raises(OptionError, match=said):
        ReturningAccounts(**options)


def test_a_difference_is_read():
    row = '<tr><td class="diff-{}line"><div>{}</div></td></tr>'
    assert change(row.format("added", "new &lt;b&gt;")) == ("new <b>", "")
    assert change(row.format("deleted", "old")) == ("", "old")
    old, new = (
        '<td class="diff-deletedline"><div>a b</div></td>',
        '<td class="diff-addedline"><div>a b<ins> c</ins></div></td>',
    )
    assert change(f"<tr>{old}{new}</tr>") == ("c", "")
    assert change('<tr><td class="diff-context"><div>same</div></td></tr>') == ("", "")


HEAD = "parent-username,parent-id,parent-creation-time,parent-block-time"
CHILD = ",child-username,child-id,child-creation-time,child-block-time"
OLD = "Old,1,2020-01-01 00:00:00,2020-01-05 00:00:00"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("ETHOGRAM_DATA", str(tmp_path))
    root = tmp_path / "ban-evasion"
    for name in ("ban_evasion_pairs", "task1", "task2", "task3a", "task3b"):
        for inner in ("user_contribs", "revision_text"):
            (root / name / inner).mkdir(parents=True)
    lists = {
        "ban_evasion_pairs/evasion_pairs_meta.csv": f"{HEAD}{CHILD},master-username,master-id\n"
        f"{OLD},New,2,2020-01-07 00:00:00,,Old,1\n"
        f"{OLD},Early,3,2020-01-04 00:00:00,,Old,1\n"
        "Gone,4,2020-01-01 00:00:00,,Later,5,2020-02-01 00:00:00,,Gone,4\n",
        "task1/task1_matched_pairs_meta.csv": f"{HEAD},label\nBack,6,2020-01-09 00:00:00,2020-01-08 00:00:00,1\n"
        "Old,7,2020-01-01 00:00:00,2020-01-05 00:00:00,1\nOdd,8,yesterday,2020-01-05 00:00:00,1\n",
        "task2/task2_matched_pairs_meta.csv": f"{HEAD}{CHILD},label\n{OLD},Control,9,2020-01-07 00:00:00,,0\n",
        "task3a/task3a_matched_pairs_meta.csv": f"{HEAD}{CHILD},label\n",
        "task3b/task3b_matched_pairs_meta.csv": f"{HEAD}{CHILD},label\n",
    }
    for name, text in lists.items():
        (root / name).write_text(text)
    return root


def contribution(user, revision, **more):
    row = {
        "userid": 2,
        "user": user,
        "pageid": 5,
        "revid": revision,
        "ns": 0,
        "title": "Hens",
        "comment": "c",
        "size": 9,
    }
    return {**row, "sizediff": 3, "timestamp": "2020-01-08T00:00:00Z", **more}


def test_the_real_files_are_read_and_what_contradicts_itself_is_set_aside(folder):
    told = folder / "ban_evasion_pairs"
    rows = [contribution("New", 11, minor=""), contribution("New", 12, timestamp=None)]
    (told / "user_contribs" / "New.json").write_text(json.dumps(rows))
    (told / "user_contribs" / "Nothing.json").write_text("[]")
    (told / "user_contribs" / "Broken.json").write_text("{")
    text = {"diff": {"to": 11, "*": ""}, "*": "a whole page"}
    (told / "revision_text" / "11.json").write_text(
        json.dumps({"pages": {"5": {"ns": 0, "title": "Hens", "revisions": [text]}}})
    )
    (told / "revision_text" / "13.json").write_text("{}")
    real = BanEvasion()
    read = real.read()
    events = read.events.to_pylist()
    assert [(e["user"], e["text"], e["minor"], e["revision"]) for e in events] == [("New", "a whole page", True, 11)]
    users = {r["user"]: r for r in read.users.to_pylist()}
    assert (users["New"]["parent"], users["New"]["master"], users["New"]["blocked"]) == ("Old", "Old", None)
    assert users["Control"]["parent"] is None
    assert [(p["task"], p["parent"], p["child"], p["label"]) for p in real.pairs().to_pylist()] == [
        ("ban_evasion_pairs", "Old", "New", 1), ("task2", "Old", "Control", 0)
    ]  # fmt: skip
    reasons = "\n".join(f"{r['file']} {r['row']}: {r['reason']}" for r in real.aside().to_pylist())
    for said in (
        "evasion_pairs_meta.csv 2: child 'Early' was made before its parent was banned",
        "evasion_pairs_meta.csv 3: parent 'Gone' without a time of its ban",
        "task1_matched_pairs_meta.csv 1: parent 'Back' was banned before it was made",
        "task1_matched_pairs_meta.csv 2: parent 'Old' is told twice, differently",
        "task1_matched_pairs_meta.csv 3: parent 'Odd' without a time that can be read",
        "New.json 2: contribution without timestamp", "Nothing.json 0: the account has no contributions",
        "Broken.json 0: no list of contributions", "13.json 0: no revision with its text",
    ):  # fmt: skip
        assert said in reasons


def test_without_the_files_it_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("ETHOGRAM_DATA", str(tmp_path))
    with pytest.raises(MissingData, match="ban-evasion"):
        BanEvasion().read()


def test_the_sample():
    try:
        real = BanEvasion()
        read = real.read()
    except MissingData as error:
        pytest.skip(str(error))
    assert (len(read.events), len(real.pairs()), len(real.revisions())) == (572, 45, 40)
    assert sum(p["child"] is None for p in real.pairs().to_pylist()) == 9
