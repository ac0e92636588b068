"""Running an audit: every case put to the subject, graded, and reported. What is asked and how it is judged is the
audit's own; order, concurrency, faults and the table are the same for all."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa

from ethogram.errors import BudgetSpent, LMError, OptionError
from ethogram.verbs import Audits, Item, Report, Transcript


async def audit(
    built: Audits, lm: Any, *, seed: int = 0, items: Sequence[Item] | None = None, most: int | None = None,
    lanes: int = 8, watch: Any = None,
) -> Report:  # fmt: skip
    """The report of a subject.

    Parameters
    ----------
    lm : the subject: an LM, or what the audit's `episode` takes.
    items : the cases; default all that the audit has. most : take only so many, the first.
    lanes : cases under way at once. watch : told {"done", "questions"} as cases end.

    A case that a model's fault ends is a row with an `error` and no grades; a spent budget ends the run, and the
    report stands on the cases before it and says so.

    Raises
    ------
    OptionError
        No cases. LMError: every case ended by a fault; it is the first.
    """
    cases = list(built.items(seed) if items is None else items)[:most]
    if not cases:
        raise OptionError("an audit needs at least one item.")
    gate, done, first, spent = asyncio.Semaphore(max(1, lanes)), 0, [], False

    async def one(item: Item) -> Transcript | None:
        nonlocal done, spent
        async with gate:
            if spent:
                return None
            try:
                made = await built.episode(item, lm)
            except BudgetSpent:
                spent = True
                return None
            except LMError as error:
                first.append(error)
                made = Transcript(item.id, error=f"{type(error).__name__}: {error}")
            done += 1
            if watch is not None:
                watch({"done": done, "questions": len(cases)})
            return made

    found = await asyncio.gather(*map(one, cases))
    told = [(i, t) for i, t in zip(cases, found, strict=True) if t is not None]
    if first and all(t.error for _, t in told):
        raise first[0]
    rows = table(built, told)
    report = built.summarise(rows)
    notes = list(report.notes)
    if spent:
        notes.append(f"the budget was spent after {len(told)} of {len(cases)} cases")
    if first:
        notes.append(f"{len(first)} of {len(told)} cases ended by a fault of the model, the first: {first[0]}")
    return replace(report, subject=str(getattr(lm, "identity", lm)), rows=rows, notes=tuple(notes))


def table(built: Audits, told: Sequence[tuple[Item, Transcript]]) -> pa.Table:
    """Graded rows: `item`, `group`, `pair`, `error`, then the grades (null where nothing could be read)."""
    grades: list[Mapping[str, float | None]] = [{} if t.error else built.grade(i, t) for i, t in told]
    names = list(dict.fromkeys(n for g in grades for n in g))
    columns: dict[str, Any] = {
        "item": [i.id for i, _ in told],
        "group": [i.group for i, _ in told],
        "pair": [i.pair for i, _ in told],
        "error": [t.error for _, t in told],
    }
    for name in names:
        values = [g.get(name) for g in grades]
        columns[name] = pa.array([None if v is None else float(v) for v in values], pa.float64())
    return pa.table(columns)
