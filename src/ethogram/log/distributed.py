"""Events that lie on a cluster: steps run there; what models learn from comes here as codes and numbers."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ethogram.errors import StepError
from ethogram.log import kernels
from ethogram.log.engine import Engine
from ethogram.log.events import TIME, Events
from ethogram.log.roles import CLOCKS, Roles
from ethogram.log.sequences import Sequences
from ethogram.log.vocabulary import UNKNOWN, Vocabulary

NUMBERED = {"session": np.int32, "fold": np.int32, "order": np.int64}
"""Columns that steps make, and how kernels number them."""
BINS, FEW = 4_096, 100_000


class Vocabularies(Mapping[str, Vocabulary]):
    """Coded column -> its ids, brought here when first asked for."""

    def __init__(self, frames: Mapping[str, Any], engine: Engine):
        self._frames, self._engine = frames, engine
        self._read: dict[str, Vocabulary] = {}

    def __getitem__(self, name: str) -> Vocabulary:
        if name not in self._read:
            found = self._engine.collect(self._frames[name])
            code = f"{name}_code"
            keys = code if code in found.column_names else name
            self._read[name] = Vocabulary(found.sort_by(keys).column(name))
        return self._read[name]

    def __contains__(self, name: object) -> bool:
        return name in self._frames

    def __iter__(self) -> Any:
        return iter(self._frames)

    def __len__(self) -> int:
        return len(self._frames)


class Distributed(Events):
    """Events of a frame that lies in an engine of its own (see `cluster.read`); arrays come here when asked for."""

    distributed = True
    _frame: Any
    _engine: Engine

    def __init__(
        self, *, roles: Roles, frame: Any, engine: Engine, schema: Mapping[str, pa.DataType], ids: Mapping[str, Any],
        quarantined: Mapping[str, int], repeated: int, tables: Mapping[str, pa.Table], said: Mapping[str, str],
    ) -> None:  # fmt: skip
        facts = {
            "roles": roles, "schema": schema, "quarantined": quarantined, "repeated": repeated, "tables": tables,
            "said": said, "vocabularies": Vocabularies(ids, engine), "_frame": frame, "_engine": engine,
        }  # fmt: skip
        self.__dict__.update(facts)

    def __len__(self) -> int:
        return self._size

    def __reduce__(self) -> Any:
        raise StepError("a log on a cluster cannot be pickled; write it: log.write(path), and open that anywhere.")

    @cached_property
    def _size(self) -> int:
        import narwhals as nw

        return int(self._engine.collect(self._frame.select(nw.len().alias("n"))).column("n")[0].as_py())

    @cached_property
    def _here(self) -> tuple[Sequences, pa.Table | None]:
        return self.gathered(self._frame)

    @cached_property
    def sequences(self) -> Sequences:
        return self._here[0]

    @cached_property
    def apart(self) -> pa.Table | None:
        return self._here[1]

    def frame(self, engine: Engine) -> Any:
        return self._frame

    def table(self) -> pa.Table:
        found = self._engine.collect(self._frame).select(list(self.schema)).cast(pa.schema(list(self.schema.items())))
        return found.sort_by([(c, "ascending") for c in ("user_code", *CLOCKS, "event") if c in self.schema])

    def gathered(self, frame: Any, made: tuple[str, ...] = ()) -> tuple[Sequences, pa.Table | None]:
        """(the events of a frame in memory, the columns that arrays cannot give back exactly): what the same events
        are when they are imported here.

        Parameters
        ----------
        made : columns that steps have numbered.
        """
        from ethogram.log.importer import number
        from ethogram.log.judge import APART

        names = [c for c in frame.collect_schema().names() if c not in ("user", "item")]
        table = self._engine.collect(frame.select(*names))
        user = table.column("user_code").to_numpy()
        order, offsets = kernels.sort_events(
            user, [_plain(table.column(c), c) for c in (*CLOCKS, "event") if c in names], int(user.max(initial=-1)) + 1
        )
        table = table.take(pa.array(order))
        there = np.flatnonzero(np.diff(offsets))
        arrays: dict[str, np.ndarray] = {"event": table.column("event").to_numpy()}
        apart: dict[str, pa.ChunkedArray] = {}
        for name in names:
            column = table.column(name)
            if name in ("user_code", "event"):
                continue
            if name in made:
                arrays[name] = pc.fill_null(column, -1).to_numpy().astype(NUMBERED[name])
            elif name == "item_code":
                arrays["item"] = pc.fill_null(column, UNKNOWN).to_numpy().astype(np.int32)
            elif name == "time":
                arrays[name] = _plain(column, name)
            elif name in self.vocabularies:
                arrays[name] = self.vocabularies[name].encode(column)
            else:
                array, exact = (None, False) if name in APART else number(column, name)
                if array is not None:
                    arrays[name] = array
                if not exact:
                    apart[name] = column
        known = {n: v for n, v in self.vocabularies.items() if n not in made}
        made_of = Sequences(there.astype(np.int32), np.append(offsets[there], len(user)), arrays, known)
        return made_of, pa.table(apart) if apart else None


def _plain(column: pa.ChunkedArray, name: str) -> np.ndarray:
    if name != "time":
        return np.asarray(column.to_numpy())
    return np.asarray(column.cast(TIME).cast(pa.int64()).to_numpy())


class Instants:
    """Times of a frame's events by their rank, found by counting where they lie."""

    def __init__(self, frame: Any, engine: Engine):
        import narwhals as nw

        self._frame, self._engine = engine.micros(frame, "time", "_us").select("_us"), engine
        at = nw.col("_us")
        row = self._engine.collect(self._frame.select(nw.len().alias("n"), at.min().alias("a"), at.max().alias("b")))
        self._size, self._low, self._high = (row.column(c)[0].as_py() for c in ("n", "a", "b"))

    def __len__(self) -> int:
        return int(self._size)

    def before(self, instant: int) -> int:
        """How many are earlier."""
        import narwhals as nw

        found = self._engine.collect(self._frame.filter(nw.col("_us") < instant).select(nw.len().alias("n")))
        return int(found.column("n")[0].as_py())

    def at(self, place: int) -> int:
        """The time that so many are earlier than, or equal to: counted in bins, then again inside the bin."""
        import narwhals as nw

        low, high, rows = int(self._low), int(self._high), self._frame
        left = len(self)
        while left > FEW and low < high:
            width = -(-(high - low + 1) // BINS)
            bins = rows.with_columns(_bin=(nw.col("_us") - low) // width).group_by("_bin").agg(nw.len().alias("n"))
            found = self._engine.collect(bins).sort_by("_bin")
            counts = found.column("n").to_numpy()
            chosen = int(np.searchsorted(np.cumsum(counts), place, side="right"))
            place, left = place - int(counts[:chosen].sum()), int(counts[chosen])
            low += width * int(found.column("_bin")[chosen].as_py())
            high = min(high, low + width - 1)
            rows = self._frame.filter((nw.col("_us") >= low) & (nw.col("_us") <= high))
        return low if low == high else int(np.sort(self._engine.collect(rows).column("_us").to_numpy())[place])
