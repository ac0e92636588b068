"""What a request says beside items: columns of past events, of the person, of the moment; from ids to numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from ethogram.log import Candidates, Column, Features, Histories, Vocabulary
from ethogram.nn.prepared.dense import F, array
from ethogram.nn.slates import SlateNetwork


@dataclass(frozen=True, eq=False)
class Asking:
    """See the module.

    Attributes
    ----------
    users : float32[people + 1, width], first of a stranger. people : id -> row. hashes : ids of items are hashed.
    missing : float32[width], the context of a request that brings none.
    """

    features: Features
    network: SlateNetwork
    users: np.ndarray
    people: Mapping[Any, int]
    missing: np.ndarray
    hashes: bool
    held: dict[str, tuple[Vocabulary, np.ndarray]] = field(default_factory=dict)

    @classmethod
    def of(cls, network: SlateNetwork, features: Features, side: pa.Table | None) -> Asking:
        """Of a fitted network, with the side table of its users."""
        users, people = np.zeros((1, 0), F), {}
        if network.users.columns:
            ids = [] if side is None else side.column(0).to_pylist()
            asked = Histories.of([[]] * (len(ids) + 1), users=[None, *ids])
            if side is not None:
                asked = replace(asked, tables={"users": side})
            batch = features.encode(asked, Candidates.of([[]] * (len(ids) + 1)))
            users = array(network.users(batch.users))
            people = {key: i + 1 for i, x in enumerate(ids) for key in (x, str(x))}  # ids come as text over the wire
        nothing = features.encode(Histories.of([[]]), Candidates.of(["no item"]))
        assert nothing.candidates is not None
        found = network.context(nothing.candidates.columns)
        hashes = any(c.buckets and c.name == "item" for c in features.of("item"))
        missing = np.zeros(0, F) if found is None else array(found)[0]
        return cls(features, network, users, people, missing, hashes)

    def events(self, count: int, columns: Mapping[str, Sequence[Any]]) -> dict[str, np.ndarray]:
        """Event columns as they stand in the log, encoded."""
        made: dict[str, np.ndarray] = {}
        for c in self.features.of("event"):
            given = columns.get(c.name)
            if given is None:
                made[c.name] = self._plain(c, None, count)
            elif all(v is None or (isinstance(v, int | float) and not isinstance(v, bool)) for v in given):
                made[c.name] = self._plain(c, np.array([np.nan if v is None else v for v in given], F), count)
            else:
                raw = pa.array([None if v is None else str(v) for v in given], pa.string())
                number = c.type == "numeric"
                made[c.name] = c.numbers(raw) if number else c.rows(raw, self.features.vocabularies.get(c.table))
        return made

    def coded(
        self, rows: slice, columns: Mapping[str, np.ndarray], vocabularies: Mapping[str, Vocabulary]
    ) -> dict[str, np.ndarray]:
        """Event columns of histories, encoded."""
        made: dict[str, np.ndarray] = {}
        for c in self.features.of("event"):
            if c.name in columns and c.type != "numeric" and c.name in vocabularies:
                made[c.name] = self._rows(c, vocabularies[c.name])[np.asarray(columns[c.name][rows])]
            else:
                values = np.asarray(columns[c.name][rows]) if c.name in columns else None
                made[c.name] = self._plain(c, values, rows.stop - rows.start)
        return made

    def _rows(self, c: Column, coded: Vocabulary) -> np.ndarray:
        """By code of a caller's vocabulary, that of -1 last."""
        held = self.held.get(c.name)
        if held is None or held[0] is not coded:
            rows = np.append(c.rows(coded.ids, self.features.vocabularies.get(c.table)), 0).astype(np.int32)
            self.held[c.name] = held = (coded, rows)
        return held[1]

    def _plain(self, c: Column, values: np.ndarray | None, count: int) -> np.ndarray:
        if values is None:
            return np.zeros(count, F if c.type == "numeric" else np.int32)
        if c.type == "numeric":
            return c.numbers(values)
        mask = np.isnan(values) if values.dtype.kind == "f" else None
        return c.rows(pa.array(values, mask=mask), self.features.vocabularies.get(c.table))

    def inputs(self, user: Any, context: pa.Table | None, count: int) -> tuple[np.ndarray, np.ndarray | None]:
        """(what holds for all candidates: columns of the person and, if it is one, of the moment; else [C, width])."""
        person = self.users[self.people.get(user, 0)] if self.users.shape[1] else self.users[0]
        if not len(self.missing):
            return person, None
        if context is None:
            return np.concatenate([person, self.missing]), None
        columns: dict[str, np.ndarray] = {}
        for c in self.features.of("context"):
            if c.name not in context.column_names:
                columns[c.name] = np.zeros(len(context), F if c.type == "numeric" else np.int32)
                continue
            raw = context.column(c.name).combine_chunks()
            table = self.features.vocabularies.get(c.table)
            columns[c.name] = c.numbers(raw) if c.type == "numeric" else c.rows(raw, table)
        with torch.no_grad():
            found = array(self.network.context(columns))
        if len(found) == 1:
            return np.concatenate([person, found[0]]), None
        return person, found
