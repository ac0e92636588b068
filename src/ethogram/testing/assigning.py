"""Promises of systems that find groups of cases in a log and place further cases among them."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ethogram.log import Log
from ethogram.system import load, options
from ethogram.testing.case import Case, refused
from ethogram.verbs import Table

COLUMNS = ("user", "session", "cluster", "probability", "risk")
PAGES = ("home", "search", "item", "reviews", "cart", "pay")
GANG = ("search", "item", "item", "pay")


@cache
def visits(again: int = 0) -> Log:
    """150 sessions of as many people that go their own ways, and 25 of a gang that all go one way, some tagged."""
    rng, rows = np.random.default_rng(again), []
    for i in range(175):
        gang = i >= 150
        path = GANG if gang else [PAGES[p] for p in rng.integers(0, 5, rng.integers(3, 9))] + ["pay"]
        clock = int(rng.integers(0, 7 * 86_400))
        for at, page in enumerate(path):
            last = at == len(path) - 1
            rows.append({
                "user": f"u{again}{i:03d}", "session": f"s{again}{i:03d}", "kind": page, "item": page, "time": clock,
                "value": float(rng.normal(60, 2) if gang else rng.gamma(2, 30)) if last else None,
                "label": float(gang and i % 3 == 0) if last else None,
                "age": float(rng.exponential(2 if gang else 300)) if last else None,
            })  # fmt: skip
            clock += 2 + int(rng.integers(0, 2)) if gang else int(rng.gamma(2, 15)) + 1
    return Log.open(pa.Table.from_pylist(rows))


def fitted(case: Case) -> Any:
    """The system after one fit, shared by the checks that only ask it."""
    if "groups" not in case._fits:
        case._fits["groups"] = case.make().fit(visits(), seed=3)
    return case._fits["groups"]


def not_fitted(case: Case) -> None:
    """A verb before `fit` raises NotFitted, and so does saving."""
    built = case.make()
    refused({"assign": lambda: built.assign(visits()), "cards": built.cards, "state": built.state})


def options_stay(case: Case) -> None:
    """`fit` returns the system itself and changes none of its options."""
    built = case.make()
    before = {n: repr(v) for n, v in options(built).items()}
    assert built.fit(visits(), seed=1) is built, "fit did not return the system"
    assert before == {n: repr(v) for n, v in options(built).items()}, "options changed"


def deterministic(case: Case) -> None:
    """The same log, options and seed give the same groups; asking twice too."""
    first = fitted(case).assign(visits())
    assert first.equals(fitted(case).assign(visits())), "asking twice differs"
    assert first.equals(case.make().fit(visits(), seed=3).assign(visits())), "two fits with one seed differ"


def saved(case: Case) -> None:
    """Saved and loaded, it places the same, from plain files."""
    built = fitted(case)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        built.save(path)
        back = load(path)
    assert repr(back) == repr(built), f"options changed: {back!r}"
    for log in (visits(), visits(1)):
        assert back.assign(log).equals(built.assign(log)), "loaded, it places otherwise"
    assert back.cards().equals(built.cards()), "loaded, its cards differ"


ALWAYS = (not_fitted, options_stay, deterministic, saved)


def table(case: Case) -> None:
    """A row for each case, known or new: who, which session, group or -1, probability and risk in [0, 1]."""
    size = fitted(case).cards().num_rows
    for log in (visits(), visits(1)):
        found = fitted(case).assign(log)
        assert tuple(found.column_names[:5]) == COLUMNS, f"columns are {found.column_names}"
        sessions = found.column("session").to_pylist()
        assert sorted(sessions) == sorted(set(log.vocabulary("session").ids.to_pylist())), "not one row for each case"
        cluster = found.column("cluster").to_numpy()
        assert found.schema.field("cluster").type == pa.int32()
        assert ((cluster >= -1) & (cluster < size)).all(), "a case stands in a group that has no card"
        for name in ("probability", "risk"):
            values = found.column(name).to_numpy()
            assert ((values >= 0) & (values <= 1)).all(), f"{name} outside [0, 1]"
        assert (found.column("probability").to_numpy()[cluster < 0] == 0).all(), "probability of no group is not 0"


def cards(case: Case) -> None:
    """A card for each group, whose sizes are those of the cases of the fit in it."""
    found = fitted(case).cards()
    assert {"cluster", "size", "risk", "flagged"} <= set(found.column_names), f"columns are {found.column_names}"
    told = dict(zip(found.column("cluster").to_pylist(), found.column("size").to_pylist(), strict=True))
    mine = fitted(case).assign(visits()).column("cluster").to_numpy()
    counted = {int(c): int(n) for c, n in zip(*np.unique(mine[mine >= 0], return_counts=True), strict=True)}
    assert told == counted, f"cards say {told}, the cases {counted}"


def alone(case: Case) -> None:
    """Where a case is placed does not hang on the other cases."""
    for log in (visits(), visits(1)):
        whole = _by_session(fitted(case).assign(log))
        for session in sorted(whole)[::35]:
            single = _by_session(fitted(case).assign(log.where(f"session == '{session}'")))
            assert set(single) == {session}
            one, other = single[session], whole[session]
            assert one["cluster"] == other["cluster"], f"{session}: another group alone"
            assert abs(one["probability"] - other["probability"]) < 1e-4, f"{session}: another probability alone"


def shuffled(case: Case) -> None:
    """The order of the rows of the source says nothing."""
    rows = visits().table()
    mixed = Log.open(rows.select([c for c in rows.column_names if not c.endswith("_code") and c != "event"])
                     .take(np.random.default_rng(0).permutation(rows.num_rows)))  # fmt: skip
    one, other = _by_session(fitted(case).assign(visits())), _by_session(fitted(case).assign(mixed))
    assert {s: r["cluster"] for s, r in one.items()} == {s: r["cluster"] for s, r in other.items()}


def _by_session(found: Table) -> dict[str, dict[str, Any]]:
    return {r["session"]: r for r in found.to_pylist()}


ASSIGNS = (table, cards, alone, shuffled)
