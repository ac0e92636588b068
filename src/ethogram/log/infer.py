"""Guess the features of a log from its columns: types by content, tables by name, vocabularies from what it holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ethogram.log import facts, room
from ethogram.log.columns import Column, Of, as_floats, split_lists
from ethogram.log.features import Features
from ethogram.log.goals import goals
from ethogram.log.questions import OUTCOMES, behaviour
from ethogram.log.sequences import Sequences
from ethogram.log.vocabulary import Vocabulary

if TYPE_CHECKING:
    from ethogram.log.log import Log

HASH_ABOVE = 1_000_000
"""Distinct values above which a table is hashed to `HASH_ABOVE` rows (nobody wants 31 GB of raw ids)."""
TEXT_BUCKETS = 20_000
ENOUGH = 4_000_000
"""Numbers of an event column that its scale is told from."""
NOT_BEHAVIOUR = (
    "item",
    "event",
    "time",
    "order",
    "weight",
    "session",
    "fold",
    "slate",
    "cause",
    "position",
    "propensity",
)
"""Columns of past events that identify or place them and say nothing of taste."""


def infer(log: Log) -> Features:
    """Item identity; every column of the side tables; numbers and codes of past events; context of the questions.

    User ids are not features: whoever is not in training should be served as well as who is. Text with mostly
    distinct values is read as hashed words, lists as several categories, integers of few distinct values as
    categories. Columns without information (one value) and columns that only say when (week, month) are left out.
    """
    rows = log.sequences()
    done = behaviour(rows)
    item = np.asarray(rows.columns["item"])
    counts = facts.tally(item, len(rows.vocabularies["item"]))
    seen = np.flatnonzero(counts)
    vocabularies = {"item": Vocabulary(rows.vocabularies["item"].ids.take(pa.array(seen)))}
    hashed = HASH_ABOVE if len(seen) > HASH_ABOVE else 0
    columns = [Column(name="item", of="item", type="categorical", table="item", buckets=hashed)]
    tallies = {"item": np.concatenate([[0, 0], counts[seen]]).astype(np.int64)} if not hashed else {}

    for of, side in (("item", log.items), ("user", log.users)):
        if side is None:
            continue
        known = rows.vocabularies[of].encode(side.column(0))
        weight = counts[known] * (known >= 0) if of == "item" else (known >= 0).astype(np.int64)
        for name in side.column_names[1:]:
            made = _side(name, side.column(name).combine_chunks(), of, weight > 0)  # type: ignore[arg-type]
            if made is not None:
                columns.append(made[0])
                if made[1] is not None:
                    vocabularies[made[0].table] = made[1]
    for name in done.columns:
        if name not in NOT_BEHAVIOUR:
            _event(done, name, "event", columns, vocabularies)
    if done is not rows or "label" in rows.columns:
        asked = (
            rows.keep(room.mapped(np.asarray(rows.columns["label"]), bool, lambda c: ~np.isnan(c)))
            if "label" in rows.columns
            else rows
        )
        for name in asked.columns:
            if name not in OUTCOMES and name != "kind" and name not in goals(asked.columns):
                _event(asked, name, "context", columns, vocabularies)
    return Features(tuple(columns), vocabularies, tallies, log.tables)


def _side(name: str, values: pa.Array, of: Of, trained: np.ndarray) -> tuple[Column, Vocabulary | None] | None:
    table = f"{of}.{name}"
    here = values.filter(pa.array(trained))
    if pa.types.is_list(values.type) or pa.types.is_large_list(values.type):
        column = Column(name=name, of=of, type="multi", table=table)
        return column, Vocabulary(_sorted(split_lists(here, column)[1]))
    if pa.types.is_boolean(values.type):
        values, here = values.cast(pa.int8()), here.cast(pa.int8())
    distinct = pc.unique(here.drop_null())
    if len(distinct) < 2:
        return None
    if pa.types.is_floating(values.type) or (pa.types.is_integer(values.type) and len(distinct) > 1_000):
        return _numeric(name, of, as_floats(here)), None
    if not (
        pa.types.is_string(values.type) or pa.types.is_large_string(values.type) or pa.types.is_integer(values.type)
    ):
        return None  # times, binaries, structs: nothing that can be guessed
    if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        words = pc.mean(pc.count_substring(distinct, " ")).as_py() + 1
        if len(distinct) > 0.3 * len(here) and words >= 2:
            return Column(name=name, of=of, type="text", table=table, buckets=TEXT_BUCKETS), None
    if len(distinct) > HASH_ABOVE:
        return Column(name=name, of=of, type="categorical", table=table, buckets=HASH_ABOVE), None
    return Column(name=name, of=of, type="categorical", table=table), Vocabulary(_sorted(distinct))


def _event(rows: Sequences, name: str, of: Of, columns: list[Column], vocabularies: dict[str, Vocabulary]) -> None:
    """Declare a column of events; columns of one name share a table in history and context."""
    values = np.asarray(rows.columns[name])
    table = f"event.{name}"
    if _is_clock(rows, values):
        return
    if name in rows.vocabularies:
        used = np.flatnonzero(facts.tally(values, len(rows.vocabularies[name])))
        if len(used) < 2:
            return
        ids = rows.vocabularies[name].ids.take(pa.array(used))
    elif values.dtype.kind == "f":
        there = _some(values)
        there = there[~np.isnan(there)]
        distinct = np.unique(there[:200_000])
        if len(distinct) < 2:
            return
        if len(distinct) > 20 or (distinct % 1).any():
            columns.append(_numeric(name, of, there.astype(np.float64)))
            return
        distinct = _distinct(values)
        ids = pa.array(distinct[~np.isnan(distinct)])
    else:
        distinct = _distinct(values)
        if len(distinct) < 2:
            return
        ids = pa.array(distinct)
    if len(ids) > HASH_ABOVE:
        columns.append(Column(name=name, of=of, type="categorical", table=table, buckets=HASH_ABOVE))
        return
    columns.append(Column(name=name, of=of, type="categorical", table=table))
    vocabularies[table] = vocabularies[table].extend(ids) if table in vocabularies else Vocabulary(_sorted(ids))


def _is_clock(rows: Sequences, values: np.ndarray) -> bool:
    """A column that time alone tells (week, month, year): whatever comes later holds values never seen before."""
    if "time" not in rows.columns or values.dtype.kind == "f" or len(values) < 100:
        return False
    some = np.linspace(0, len(values) - 1, min(len(values), 100_000)).astype(np.int64)
    ordered = values[some][np.argsort(np.asarray(rows.columns["time"])[some], kind="stable")]
    changes = int(np.count_nonzero(ordered[1:] != ordered[:-1]))
    return 2 < len(np.unique(ordered)) <= changes + 1 <= 2 * len(np.unique(ordered))


def _some(values: np.ndarray) -> np.ndarray:
    """All values, or so many of a long column that its scale is known: evenly spaced, no copy of the others."""
    return values[:: max(1, len(values) // ENOUGH)]


def _distinct(values: np.ndarray) -> np.ndarray:
    """Distinct values, ascending; more than `HASH_ABOVE` where there are more, perhaps not all."""
    found = values[:0]
    for rows in room.blocks(len(values), 4 * room.BLOCK):
        found = np.unique(np.concatenate([found, values[rows]]))
        if len(found) > HASH_ABOVE:
            break
    return found


def _numeric(name: str, of: Of, values: np.ndarray) -> Column:
    values = values[np.isfinite(values)]
    median, top = (float(np.quantile(np.abs(values), q)) for q in (0.5, 0.99))
    scale = "log" if top > 20 * max(median, 1e-9) or top > 1_000 else "standard"
    if scale == "log":
        values = np.sign(values) * np.log1p(np.abs(values))
    return Column(
        name=name,
        of=of,
        type="numeric",
        scale=scale,  # type: ignore[arg-type]
        mean=float(values.mean()),
        deviation=float(values.std()) or 1.0,
    )


def _sorted(values: pa.Array) -> pa.Array:
    values = pc.unique(values.drop_null())
    return values.take(pc.sort_indices(values))
