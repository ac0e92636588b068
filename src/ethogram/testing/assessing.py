"""Promises of systems that learn to judge people of a log: `fit`, then `assess` with reasons."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ethogram.errors import LeakError
from ethogram.log import Log
from ethogram.system import load, options
from ethogram.testing.case import Case, equal, refused
from ethogram.testing.example import example

DAY = 86_400_000_000
COLUMNS = ("user", "time", "risk", "reason", "reasons")


@cache
def decided(*, shuffled: bool = False) -> Log:
    """The example log, each person decided a day behind the last event; who bought most in the end is a yes."""
    log = example(shuffled=shuffled, exposures=False)
    table = log.table()
    user = log.vocabulary("user").ids.to_pylist()
    who = np.array([user.index(u) for u in table["user"].to_pylist()])
    time = table["time"].cast(pa.int64()).to_numpy()
    last = np.zeros(len(user), np.int64)
    np.maximum.at(last, who, time)
    much = np.bincount(who, np.nan_to_num(table["value"].to_numpy()), len(user))
    label = (much > np.median(much)).astype(float)
    label[::9] = np.nan  # not known yet
    users = pa.table(
        {
            "user": user, "decided": pa.array(last + DAY, pa.timestamp("us", "UTC")),
            "known": pa.array(last + 2 * DAY, pa.timestamp("us", "UTC")),
            "default": pa.array(label, mask=np.isnan(label)), "age": np.arange(len(user)) % 50 + 20.0,
            "group": np.array(["a", "b"])[np.arange(len(user)) % 2],
        }
    )  # fmt: skip
    kept = [n for n in table.column_names if n not in ("event", "user_code", "item_code")]
    return Log.open(table.select(kept), items=log.items, users=users)


def _fitted(case: Case) -> Any:
    if "assesses" not in case._fits:
        case._fits["assesses"] = case.make().fit(decided(), seed=3)
    return case._fits["assesses"]


def _answers(built: Any, log: Log) -> dict[str, Any]:
    table = built.assess(log)
    return {n: table[n].to_pylist() if n in ("reason", "reasons") else table[n].to_numpy() for n in table.column_names}


def _same(one: dict[str, Any], other: dict[str, Any]) -> str:
    words = [n for n in ("reason", "reasons") if one.get(n) != other.get(n)]
    numbers = [{k: v for k, v in a.items() if k not in ("reason", "reasons")} for a in (one, other)]
    return f"{words[0]} differs" if words else equal(*numbers)


def not_fitted(case: Case) -> None:
    """A verb before `fit` raises NotFitted, and so does saving."""
    built = case.make()
    refused({"assess": lambda: built.assess(decided()), "state": built.state})


def options_stay(case: Case) -> None:
    """`fit` returns the system itself and changes none of its options; nor does judging."""
    built = case.make()
    before = {n: repr(v) for n, v in options(built).items()}
    assert built.fit(decided(), seed=1) is built, "fit did not return the system"
    built.assess(decided())
    assert before == {n: repr(v) for n, v in options(built).items()}, "options changed"


def deterministic(case: Case) -> None:
    """The same log, options and seed give the same answers; asking twice too."""
    first = _answers(_fitted(case), decided())
    assert not (why := _same(first, _answers(_fitted(case), decided()))), f"asking twice: {why}"
    assert not (why := _same(first, _answers(case.make().fit(decided(), seed=3), decided()))), f"two fits: {why}"


def saved(case: Case) -> None:
    """Saved and loaded, it answers the same, from plain files."""
    built = _fitted(case)
    with tempfile.TemporaryDirectory() as folder:
        built.save(Path(folder) / "model")
        back = load(Path(folder) / "model")
    assert repr(back) == repr(built), f"options changed: {back!r}"
    assert not (why := _same(_answers(built, decided()), _answers(back, decided()))), f"loaded: {why}"


ALWAYS = (not_fitted, options_stay, deterministic, saved)


def a_row_for_each(case: Case) -> None:
    """Every user is judged once: a probability, a sentence, and reasons whose shares lie in [0, 1]."""
    table = _fitted(case).assess(decided())
    assert table.column_names[: len(COLUMNS)] == list(COLUMNS), f"columns are {table.column_names}"
    assert table["user"].to_pylist() == decided().vocabulary("user").ids.to_pylist(), "somebody is left out"
    risk = table["risk"].to_numpy()
    assert table.schema.field("risk").type == pa.float64()
    assert ((risk >= 0) & (risk <= 1)).all(), "a risk is no probability"
    assert risk.std() > 0, "everybody has the same risk"
    assert all(table["reason"].to_pylist()), "an answer without a reason"
    for told in table["reasons"].to_pylist():
        assert [set(r) for r in told] == [{"what", "value", "share"}] * len(told)
        shares = [r["share"] for r in told]
        assert all(0 <= s <= 1 + 1e-6 for s in shares), f"shares {shares}"
        assert sum(shares) <= 1 + 1e-5
        assert shares == sorted(shares, reverse=True), "the largest share does not come first"


def alone(case: Case) -> None:
    """What is said of somebody does not hang on who else is judged, nor on the order of rows in the source."""
    whole = _fitted(case).assess(decided())
    ids = whole["user"].to_pylist()
    other = decided(shuffled=True)
    moved = dict(zip(*(_fitted(case).assess(other)[n].to_pylist() for n in ("user", "risk")), strict=True))
    for i in (0, 7, len(ids) - 1):
        risk = whole["risk"][i].as_py()
        single = _fitted(case).assess(decided().where(f"user == '{ids[i]}'"))
        assert abs(single["risk"][0].as_py() - risk) <= 1e-5 * max(1.0, risk), f"{ids[i]} alone"
        assert abs(moved[ids[i]] - risk) <= 1e-5 * max(1.0, risk), f"{ids[i]} where rows come in another order"


def outcomes_are_not_read(case: Case) -> None:
    """What came of the decisions changes no answer, and nobody needs to be in the side table."""
    log = decided()
    table = log.table()
    kept = [n for n in table.column_names if n not in ("event", "user_code", "item_code")]
    names = ("user", "decided", "age", "group")
    blind = Log.open(table.select(kept), items=log.items, users=log.users.select(names))  # type: ignore[union-attr]
    risks = (_fitted(case).assess(each)["risk"].to_numpy() for each in (log, blind))
    np.testing.assert_allclose(next(risks), next(risks), rtol=1e-6)


def leaks_are_refused(case: Case) -> None:
    """Events at or behind a decision are refused, with how many and whose, or cut off where the option says so."""
    log = decided()
    table, users = log.table(), log.users
    assert users is not None
    when = users["decided"].cast(pa.int64()).to_numpy().copy()
    when[0] -= 3 * DAY
    early = users.set_column(1, "decided", pa.array(when, pa.timestamp("us", "UTC")))
    kept = [n for n in table.column_names if n not in ("event", "user_code", "item_code")]
    leaking = Log.open(table.select(kept), items=log.items, users=early)
    for call in (lambda: _fitted(case).assess(leaking), lambda: case.make().fit(leaking)):
        told = ""
        try:
            call()
        except LeakError as error:
            told = str(error)
        assert told, "a payment behind the decision was read"
        assert str(users["user"][0]) in told, f"it is not told whose: {told}"


LEARNED = (a_row_for_each, alone, outcomes_are_not_read, leaks_are_refused)
