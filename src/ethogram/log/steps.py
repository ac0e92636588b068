"""Steps: what turns one log into another. Each is written twice, with one result.

`frame` is a narwhals LazyFrame -> LazyFrame (any engine, any size); `rows` is a kernel over `Sequences` in
memory. Tests hold the two against each other on every engine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pyarrow as pa

from ethogram.errors import StepError, nearest
from ethogram.log import condition, kernels
from ethogram.log.sequences import Sequences

if TYPE_CHECKING:
    from ethogram.log.engine import Engine
    from ethogram.log.log import Log


class Step(Protocol):
    """A frozen, hashable, picklable recipe."""

    def frame(self, frame: Any, engine: Engine) -> Any: ...

    def rows(self, sequences: Sequences, before: Log) -> Sequences:
        """`before` is the log that the step is applied to."""
        ...


@dataclass(frozen=True)
class Where:
    """Events that meet a condition (see `condition.expression`)."""

    text: str

    def frame(self, frame: Any, engine: Engine) -> Any:
        return frame.filter(condition.expression(self.text, frame.collect_schema().names()))

    def rows(self, sequences: Sequences, before: Log) -> Sequences:
        # on the engine, in the columns' own precision: float32 would decide `value >= 4.1` otherwise
        events = before.engine_().collect(self.frame(before.frame(), before.engine_()).select("event"))
        return sequences.keep(among(sequences.columns["event"], events.column("event").to_numpy()))


@dataclass(frozen=True)
class Until:
    """Events strictly before an instant (microseconds since 1970 UTC)."""

    micros: int

    def frame(self, frame: Any, engine: Engine) -> Any:
        import narwhals as nw

        need(frame.collect_schema().names(), "time", "until")
        return frame.filter(nw.col("time") < nw.lit(condition.instant(self.micros)))

    def rows(self, sequences: Sequences, before: Log) -> Sequences:
        need(sequences.columns, "time", "until")
        return sequences.cut(sequences.offsets[:-1], sequences.before("time", self.micros))


@dataclass(frozen=True)
class Core:
    """Only users with at least `min_user` and items with at least `min_item` events, to a fixed point."""

    min_user: int
    min_item: int

    def frame(self, frame: Any, engine: Engine) -> Any:
        import narwhals as nw

        need(frame.collect_schema().names(), "item", "core")
        frame = engine.persist(frame)
        size = -1
        while True:
            now = engine.collect(frame.select(nw.len().alias("n"))).column("n")[0].as_py()
            if now == size:
                return frame
            size = now
            users = frame.group_by("user_code").agg(nw.len().alias("n")).filter(nw.col("n") >= self.min_user)
            items = (
                frame.filter(~nw.col("item_code").is_null())
                .group_by("item_code")
                .agg(nw.len().alias("n"))
                .filter(nw.col("n") >= self.min_item)
            )
            # both counts are taken before either goes, as in the kernel
            kept = frame.join(users.select("user_code"), on="user_code", how="semi")
            with_item = kept.join(items.select("item_code"), on="item_code", how="semi")
            without = kept.filter(nw.col("item_code").is_null())
            frame = engine.persist(nw.concat([with_item, without]))

    def rows(self, sequences: Sequences, before: Log) -> Sequences:
        need(sequences.columns, "item", "core")
        item = np.asarray(sequences.columns["item"])
        users = int(sequences.users.max(initial=-1)) + 1
        kept = kernels.core(sequences.user, item, users, int(item.max(initial=-1)) + 1, self.min_user, self.min_item)
        return sequences.keep(kept)


@dataclass(frozen=True)
class Sessions:
    """Column `session`: number of the visit within the user, from 0; a gap of more than `gap` microseconds ends one."""

    gap: int

    def frame(self, frame: Any, engine: Engine) -> Any:
        import narwhals as nw

        names = frame.collect_schema().names()
        need(names, "time", "sessions")
        order = ("_us", *(("order",) if "order" in names else ()), "event")
        frame = engine.micros(frame, "time", "_us")
        before = nw.col("_us").shift(1).over("user_code", order_by=order)
        frame = frame.with_columns(
            _new=nw.when((nw.col("_us") - before) > self.gap).then(nw.lit(1)).otherwise(nw.lit(0))
        )
        number = nw.col("_new").cum_sum().over("user_code", order_by=order)
        return frame.with_columns(session=number.cast(nw.Int32)).drop("_us", "_new")

    def rows(self, sequences: Sequences, before: Log) -> Sequences:
        need(sequences.columns, "time", "sessions")
        numbers = kernels.sessions(sequences.offsets, np.asarray(sequences.columns["time"]), self.gap)
        known = {k: v for k, v in sequences.vocabularies.items() if k != "session"}
        return Sequences(sequences.users, sequences.offsets, {**sequences.columns, "session": numbers}, known)


@dataclass(frozen=True)
class Fold:
    """Column `fold`: the user's events gathered by a column (merchant, category ...), numbered from 0 in order of
    first appearance; values that first appear at the same time are numbered by value."""

    by: str

    def frame(self, frame: Any, engine: Engine) -> Any:
        import narwhals as nw

        names = frame.collect_schema().names()
        by = self._column(names)
        clocks = tuple(c for c in ("time", "order") if c in names)
        first = frame.filter(~nw.col(by).is_null())
        for clock in clocks:  # the first clock, then among equals the first of the next
            first = first.with_columns(_low=nw.col(clock).min().over("user_code", by)).filter(
                nw.col(clock) == nw.col("_low")
            )
        kept = first.select("user_code", by, *clocks).unique().with_columns(_one=nw.lit(1))
        number = nw.col("_one").cum_sum().over("user_code", order_by=(*clocks, by)) - 1
        numbered = kept.with_columns(fold=number.cast(nw.Int32)).select("user_code", by, "fold")
        return frame.join(numbered, on=["user_code", by], how="left")

    def rows(self, sequences: Sequences, before: Log) -> Sequences:
        by = self._column([*sequences.columns, "user"])
        values = np.asarray(sequences.columns[by])
        if by in sequences.vocabularies:  # order by value, not by code: codes depend on what was appended when
            ids = sequences.vocabularies[by].ids
            rank = np.empty(len(ids), np.int64)
            rank[np.argsort(ids.to_numpy(zero_copy_only=False), kind="stable")] = np.arange(len(ids))
            missing = values < 0
            values = np.where(missing, -1, rank[np.maximum(values, 0)]) if len(ids) else np.full(len(values), -1)
        else:
            missing = np.isnan(values) if values.dtype.kind == "f" else np.zeros(len(values), bool)
        _, values = np.unique(values, return_inverse=True)
        out = np.full(len(values), -1, np.int32)
        rows = np.flatnonzero(~missing)
        pair = sequences.user[rows].astype(np.int64) * (int(values.max(initial=0)) + 1) + values[rows]
        distinct, first, inverse = np.unique(pair, return_index=True, return_inverse=True)
        group = sequences.group[rows[first]]  # rows are sorted by clock, so the first row is in the first group
        order = np.lexsort((distinct, group))
        user = sequences.user[rows[first]][order]
        starts = np.flatnonzero(np.r_[True, user[1:] != user[:-1]]) if len(user) else np.zeros(0, np.int64)
        number = np.empty(len(order), np.int32)
        number[order] = np.arange(len(order)) - np.repeat(starts, np.diff(np.r_[starts, len(order)]))
        out[rows] = number[inverse]
        return sequences.with_column("fold", out)

    def _column(self, names: Any) -> str:
        by = "item" if self.by == "item" else self.by
        if by not in names:
            raise StepError(f"fold: no column '{by}'.{nearest(by, names)} Columns: {', '.join(names)}.")
        return by


@dataclass(frozen=True)
class StoredOrder:
    """Column `order`: the stored row order among equal times is taken for the truth, for comparison with peers."""

    def frame(self, frame: Any, engine: Engine) -> Any:
        import narwhals as nw

        clocks = tuple(c for c in ("time", "order") if c in frame.collect_schema().names())
        number = nw.col("_one").cum_sum().over("user_code", order_by=(*clocks, "event")) - 1
        return frame.with_columns(_one=nw.lit(1)).with_columns(order=number.cast(nw.Int64)).drop("_one")

    def rows(self, sequences: Sequences, before: Log) -> Sequences:
        number = np.arange(len(sequences)) - np.repeat(sequences.offsets[:-1], sequences.lengths)
        return sequences.with_column("order", number)


def numbered(made: tuple[Step, ...]) -> tuple[str, ...]:
    """Columns that these steps add."""
    added = {Sessions: "session", Fold: "fold", StoredOrder: "order"}
    return tuple({added[type(s)] for s in made if type(s) in added})


def need(names: Any, column: str, step: str) -> None:
    """Raise StepError if a step's column is missing."""
    if column not in names:
        raise StepError(f"{step}: the log has no {column}. Columns: {', '.join(names)}.")


def among(values: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """bool per value: is it one of `kept`? Through a table, because event ids are dense."""
    if len(values) == 0 or len(kept) == 0:
        return np.zeros(len(values), bool)
    low, high = int(values.min()), int(values.max())
    if high - low > 64 * len(values) + 1024:
        return np.isin(values, kept)
    table = np.zeros(high - low + 1, bool)
    table[kept[(kept >= low) & (kept <= high)] - low] = True
    return table[values - low]


def as_micros(column: pa.ChunkedArray) -> np.ndarray:
    return column.cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_numpy()
