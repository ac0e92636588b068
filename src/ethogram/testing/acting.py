"""Promises of systems that learn nothing from logs but act, judge logs, or audit models."""

from __future__ import annotations

import asyncio
import math
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ethogram.log import Log
from ethogram.system import LEARNED, load, options
from ethogram.testing.case import Case
from ethogram.verbs import Seen

STEPS = ("user", "order", "kind", "text", "actor")
ECHO = "scripted:echo"
"""The model of checks: it says what it is told."""


class Room:
    """An environment with one tool that answers, until it has been asked five times."""

    def __init__(self) -> None:
        self.asked = 0

    def reset(self, goal: str, seed: int = 0) -> Seen:
        self.asked = 0
        return Seen(goal)

    def actions(self) -> Mapping[str, str]:
        return {"look": "where to look"}

    def step(self, action: str, argument: str) -> Seen:
        self.asked += 1
        found = action == "look"
        told = f"You see {argument[:20]}." if found else f"There is no tool '{action[:20]}'."
        return Seen(told, float(found), self.asked >= 5, "observation" if found else "failure")


def options_stay_put(case: Case) -> None:
    """Making it changes no option, and two of them share nothing."""
    one, other = case.make(), case.make()
    assert options(one).keys() == options(other).keys()
    assert one is not other


def saved_whole(case: Case) -> None:
    """Saved and loaded, it has the same options."""
    built = _taught(case)[0]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        built.save(path)
        back = load(path)
    assert repr(back) == repr(built), f"options changed: {back!r}"


ALWAYS = (options_stay_put, saved_whole)


def _taught(case: Case) -> tuple[Any, Log]:
    """The system and a log for it: its own example, learned from once, where it brings one; else the log of all
    checks."""
    built = case.make()
    if "assess" in case.info.verbs and hasattr(built, "fit") and hasattr(built, "example") and not case.has("simulate"):
        if "taught" not in case._fits:
            log = built.example(seed=1)
            case._fits["taught"] = built.fit(log, seed=1), log
        taught: tuple[Any, Log] = case._fits["taught"]
        return taught
    return built, case.log


def is_a_log(case: Case) -> None:
    """Its steps are a log: who, in which order, what sort of step, what was said, who wrote it."""
    made = case.make().act("Find the key.", Room(), seed=1)
    assert isinstance(made, Log), f"act returned {type(made).__name__}"
    table = made.table()
    lacking = [c for c in STEPS if c not in table.column_names]
    assert not lacking, f"the log of steps has no {lacking}"
    assert table.num_rows > 0, "no step was taken"
    order = table.column("order").to_numpy()
    assert (np.diff(order) > 0).all(), "two steps share their place"
    assert not any(c.null_count for c in map(table.column, ("kind", "actor"))), "a step without kind or actor"


def repeatable(case: Case) -> None:
    """The same goal, environment and seed with the same model give the same steps."""
    tables = [case.make().act("Find the key.", Room(), seed=1).table() for _ in range(2)]
    one, other = (t.select([c for c in t.column_names if c != "time"]).to_pylist() for t in tables)
    assert one == other, "two runs differ"


ACTS = (is_a_log, repeatable)


def a_row_for_each(case: Case) -> None:
    """Every user of the log is judged, and asking twice gives the same."""
    built, log = (case.fitted, case.log) if any(case.has(verb) for verb in LEARNED) else _taught(case)
    # who simulates judges what was simulated: the log may need more than the usual roles
    log = built.run(built.example(seed=1), 20, seed=1) if case.has("simulate") else log
    built = built.fit(log, seed=1) if case.has("assign") else built
    table = built.assess(log)
    assert table.column_names[0] == "user", f"the first column is {table.column_names[0]}"
    users = set(log.vocabulary("user").ids.to_pylist())
    assert set(table.column("user").to_pylist()) == users, "somebody is left out"
    assert table.equals(built.assess(log)), "asking twice differs"


def answers_cannot_mislead(case: Case) -> None:
    """Of a system with an example of its own: a saved one answers the same, risks are probabilities that differ, and
    reasons come with shares of all evidence, none below 0, the largest first. What speaks against may say so in words
    or by a signed `weight`."""
    built, log = _taught(case)
    if "taught" not in case._fits:
        return
    table = built.assess(log)
    with tempfile.TemporaryDirectory() as folder:
        built.save(Path(folder) / "model")
        assert load(Path(folder) / "model").assess(log).equals(table), "saved and loaded, it answers otherwise"
    if "risk" in table.column_names:
        risk = table["risk"].to_numpy()
        assert ((risk >= 0) & (risk <= 1)).all(), "a risk is no probability"
        assert risk.std() > 0, "everybody has the same risk"
    if "reasons" not in table.column_names:
        return
    assert all(table["reason"].to_pylist()), "an answer without a reason"
    for told in table["reasons"].to_pylist():
        shares = [r["share"] for r in told if isinstance(r, dict)]
        assert all(0 <= s <= 1 + 1e-6 for s in shares), f"shares {shares}"
        assert sum(shares) <= 1 + 1e-5, f"shares {shares} are more than all"
        assert shares == sorted(shares, reverse=True), "the largest share does not come first"


ASSESSES = (a_row_for_each, answers_cannot_mislead)


def cases_are_fixed(case: Case) -> None:
    """Equal seeds give equal cases with unique ids."""
    built = case.make()
    first = list(built.items(3))
    assert first, "there is nothing to ask"
    assert len({i.id for i in first}) == len(first), "two items share an id"
    assert [i.id for i in first] == [i.id for i in built.items(3)], "equal seeds give other items"


def planted_are_found(case: Case) -> None:
    """What is planted in a subject is found again, within its tolerance."""
    from ethogram.lm.auditing import audit

    built = case.make()
    subjects = list(built.planted())
    assert subjects, "no subject with known behaviour"
    for one in subjects:
        report = asyncio.run(audit(built, one.lm, seed=3))
        for name, truth in one.truth.items():
            assert name in report.metrics, f"{one.name}: the report has no {name}"
            value = report.metrics[name][0]
            assert abs(value - truth) <= one.tolerance, f"{one.name}: {name} is {value:.4g}, planted was {truth:.4g}"


def intervals_hold_their_values(case: Case) -> None:
    """Every metric lies in its interval, and the verdict is one of three with a reason."""
    from ethogram.lm.auditing import audit

    built: Any = case.make()
    report = asyncio.run(audit(built, next(iter(built.planted())).lm, seed=3))
    for name, (value, low, high) in {**report.metrics, **report.contrasts}.items():
        assert math.isnan(value) or low - 1e-9 <= value <= high + 1e-9, f"{name}: {value} outside [{low}, {high}]"
    assert report.verdict in ("pass", "fail", "inconclusive")
    assert report.why
    assert report.rows is not None


AUDITS = (cases_are_fixed, planted_are_found, intervals_hold_their_values)
