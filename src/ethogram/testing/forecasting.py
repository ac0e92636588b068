"""Promises of systems that know when people's next events come."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pyarrow as pa

from ethogram.errors import OptionError
from ethogram.log import Histories, Log
from ethogram.log.histories import FOREVER
from ethogram.testing import always
from ethogram.testing.case import Case, log, parts

COLUMNS = ("question", "user", "step", "time", "low", "high", "kind", "probability")


def strangers(case: Case) -> None:
    """People who were not in training are answered: bare lists, without times or kinds, known by name or not."""
    histories, _ = case.asked
    lists = [histories.item_ids(i) for i in range(len(histories))][:10]
    for users in (None, [f"stranger {i}" for i in range(len(lists))]):
        rows = case.fitted.forecast(Histories.of(lists, users=users)).to_pylist()
        assert len(rows) == len(lists)
        assert all(r["time"] is None for r in rows), "an instant, from a history without times"


def empty_history(case: Case) -> None:
    """Nobody is turned away for having done nothing."""
    histories, _ = case.asked
    known = Histories(
        histories.columns, histories.starts, histories.start, histories.start, histories.users, histories.time,
        histories.vocabularies, histories.tables,
    )  # fmt: skip
    for empty in (known, Histories.of([[]] * 3)):
        rows = case.fitted.forecast(empty).to_pylist()
        assert len(rows) == len(empty)


def groups(case: Case) -> None:
    """The order of rows in the source, and so inside groups of equal time, changes no forecast."""
    other = parts(log(shuffled=True))
    first = _by_person(case.fitted, case.asked[0])
    second = _by_person(case.fit(other), other.test.questions("next").histories)
    assert first.keys() == second.keys(), "other questions"
    for key, row in first.items():
        gap = abs((row["time"] - second[key]["time"]).total_seconds())
        assert gap < 2, f"user and time {key}: {row['time']} against {second[key]['time']}"
        assert row["kind"] == second[key]["kind"], f"user and time {key}: {row['kind']}, {second[key]['kind']}"


ALWAYS = (
    always.not_fitted, always.options_stay, always.deterministic, always.no_global_state, always.independent,
    always.inputs_untouched, always.saved, groups, strangers, empty_history,
)  # fmt: skip


def table(case: Case) -> None:
    """k rows for each question, in order; expected inside its interval, after it was asked; kinds of the log."""
    histories = case.asked[0]
    found = case.fitted.forecast(histories, 3, seed=2)
    assert found.column_names[: len(COLUMNS)] == list(COLUMNS), f"columns are {found.column_names}"
    assert pa.types.is_timestamp(found.schema.field("time").type), "time is no instant"
    rows = found.to_pylist()
    assert [(r["question"], r["step"]) for r in rows] == [(q, s) for q in range(len(histories)) for s in (1, 2, 3)]
    kinds = set(case.log.vocabulary("kind").ids.to_pylist())
    asked = pa.array(histories.time, pa.timestamp("us", "UTC")).to_pylist()
    for r in rows:
        if r["time"] is not None:
            assert r["low"] <= r["time"] <= r["high"], f"outside its interval: {r}"
            assert r["time"] >= asked[r["question"]], f"before it was asked: {r}"
        if r["kind"] is not None:
            assert 0 <= r["probability"] <= 1, f"no probability: {r}"
            assert r["kind"] in kinds, f"a kind that the log has not: {r}"
    for before, after in itertools.pairwise(rows):
        if after["step"] > 1 and before["time"] and after["time"]:
            assert before["time"] <= after["time"], f"step {after['step']} is expected before the one ahead of it"
    assert case.fitted.forecast(histories[:0]).num_rows == 0


def alone(case: Case) -> None:
    """What is forecast for a question does not hang on the other questions."""
    histories = case.asked[0]
    whole = case.fitted.forecast(histories, seed=4).to_pylist()
    for i in (0, len(histories) // 2, len(histories) - 1):
        single = case.fitted.forecast(histories[i : i + 1], seed=4).to_pylist()[0]
        assert single["kind"] == whole[i]["kind"], f"question {i}: another kind alone"
        assert abs((single["time"] - whole[i]["time"]).total_seconds()) < 2, f"question {i}: another time alone"


def seeds(case: Case) -> None:
    """The same seed gives the same forecast."""
    few = case.asked[0][:5]
    assert case.fitted.forecast(few, seed=1).equals(case.fitted.forecast(few, seed=1)), "the same seed differs"


def later(case: Case) -> None:
    """Asked later with nothing done meanwhile, the next event is expected later."""
    few = case.asked[0][:5]
    last = few.time + 30 * 86_400_000_000
    asked = Histories(few.columns, few.starts, few.start, few.stop, few.users, last, few.vocabularies, few.tables)
    rows = case.fitted.forecast(asked).to_pylist()
    begins = pa.array(last, pa.timestamp("us", "UTC")).to_pylist()
    assert all(r["time"] is None or r["time"] >= begins[r["question"]] for r in rows), "expected in the past"


def odd_questions(case: Case) -> None:
    """k below 1 is an OptionError; unknown kinds and silences of centuries are answered."""
    few = case.asked[0][:2]
    for wrong in (0, -1, 1.5):
        try:
            case.fitted.forecast(few, wrong)
        except OptionError:
            continue
        raise AssertionError(f"k = {wrong} was taken")
    odd = Log.open({"user": ["a", "a", "b"], "item": [1, 1, 1], "kind": ["never met"] * 3,
                    "time": ["2024-01-01", "2024-01-02", "1970-01-02"]})  # fmt: skip
    asked = odd.histories()
    asked = Histories(
        asked.columns, asked.starts, asked.start, asked.stop, asked.users, np.full(len(asked), FOREVER),
        asked.vocabularies, asked.tables,
    )  # fmt: skip
    assert case.fitted.forecast(asked, 2).num_rows == 4


FORECASTS = (table, alone, seeds, later, odd_questions)


def _by_person(built: Any, histories: Histories) -> dict[tuple[Any, int], dict[str, Any]]:
    rows = built.forecast(histories, seed=5).to_pylist()
    return {(r["user"], int(histories.time[r["question"]])): r for r in rows}
