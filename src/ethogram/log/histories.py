"""Questions as data: what somebody did so far, and among what one has to choose."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa

from ethogram.errors import OptionError
from ethogram.log import facts, kernels
from ethogram.log.sequences import Sequences
from ethogram.log.vocabulary import UNKNOWN, Vocabulary

FOREVER = np.iinfo(np.int64).max


@dataclass(frozen=True, eq=False, repr=False)
class Histories:
    """n histories, one per question, as slices of shared columns: no prefix is ever copied.

    Attributes
    ----------
    columns : name -> array[N]; `item` holds int32 codes of `vocabularies["item"]`.
    starts : bool[N], row begins an equal-time group.
    start, stop : int64[n]; history i is rows ``start[i]:stop[i]``, oldest first, strictly before the question.
    users : int32[n] codes of `vocabularies["user"]`, -1 for strangers.
    time : int64[n], microseconds UTC at which each question is asked.
    """

    columns: Mapping[str, np.ndarray]
    starts: np.ndarray
    start: np.ndarray
    stop: np.ndarray
    users: np.ndarray
    time: np.ndarray
    vocabularies: Mapping[str, Vocabulary]
    tables: Mapping[str, pa.Table] = field(default_factory=dict)
    "Side tables `items` and `users` of the log that the histories came from, keyed by their first column."

    def __len__(self) -> int:
        return len(self.start)

    def __repr__(self) -> str:
        known = int((self.users >= 0).sum())
        events = int(self.lengths.sum())
        return f"Histories({len(self):,} questions, {events:,} past events, {known:,} of known users)"

    @property
    def lengths(self) -> np.ndarray:
        return self.stop - self.start

    @property
    def item(self) -> np.ndarray:
        """Item codes of all shared rows, int32[N]."""
        return self.columns["item"]

    @classmethod
    def of(cls, items: Iterable[Sequence[Any]], *, users: Sequence[Any] | None = None, time: Any = None) -> Histories:
        """Histories from lists of item ids, oldest first; an empty list is somebody about whom nothing is known.

        >>> Histories.of([[10, 20], []]).lengths.tolist()
        [2, 0]
        """
        lists = [list(h) for h in items]
        lengths = np.fromiter((len(h) for h in lists), np.int64, len(lists))
        stop = np.cumsum(lengths)
        flat = [i for h in lists for i in h]
        kinds = {type(i) for i in flat}
        if not kinds <= {int}:
            flat = [str(i) for i in flat]
        ids = Vocabulary(pa.array(sorted(set(flat)), pa.int64() if kinds == {int} else pa.string()))
        total = len(flat)
        known = (
            Vocabulary([u for u in dict.fromkeys(users) if u is not None])
            if users is not None
            else Vocabulary(pa.array([], pa.string()))
        )
        asked = (
            np.full(len(lists), FOREVER) if time is None else np.broadcast_to(np.asarray(time, np.int64), len(lists))
        )
        return cls(
            {"item": ids.encode(pa.array(flat, ids.ids.type)), "order": kernels.within(stop - lengths, stop)},
            np.ones(total, bool),
            stop - lengths,
            stop,
            known.encode(list(users)) if users is not None else np.full(len(lists), UNKNOWN, np.int32),
            asked,
            {"user": known, "item": ids},
        )

    @classmethod
    def at(
        cls,
        sequences: Sequences,
        users: np.ndarray,
        clocks: Mapping[str, np.ndarray] | None = None,
        *,
        tables: Mapping[str, pa.Table] | None = None,
    ) -> Histories:
        """For each (user code, clock) the events of strictly earlier groups; without clocks, all events."""
        place = sequences.find(users)
        here = np.maximum(place, 0)
        start = np.where(place >= 0, sequences.offsets[here] if len(sequences.users) else 0, 0).astype(np.int64)
        stop = np.where(place >= 0, sequences.offsets[here + 1] if len(sequences.users) else 0, 0).astype(np.int64)
        if clocks is None:
            time = np.full(len(users), FOREVER)
        else:
            names = sequences.clocks
            stop = kernels.strictly_before(
                start,
                stop,
                [np.asarray(sequences.columns[c]) for c in names],
                [np.asarray(clocks[c]) for c in names],
            )
            time = np.asarray(clocks[names[0]], np.int64)
        return cls(
            sequences.columns,
            sequences.starts,
            start,
            stop,
            np.asarray(users, np.int32),
            time,
            sequences.vocabularies,
            tables or {},
        )

    def __getitem__(self, rows: Any) -> Histories:
        """The questions `rows` (slice, index array or mask); columns stay shared."""
        return replace(self, start=self.start[rows], stop=self.stop[rows], users=self.users[rows], time=self.time[rows])

    def last(self, n: int) -> Histories:
        """Histories of at most the last `n` events, cut between equal-time groups.

        A group that straddles the cut is left out whole, unless it is all that there is: which part of a
        basket was stored last says nothing.
        """
        if n < 1:
            raise OptionError(f"last: n = {n} is not a length; give 1 or more.")
        return replace(self, start=kernels.cut_at_group(self.start, self.stop, self.starts, n))

    def only(self, rows: np.ndarray) -> Histories:
        """Histories that keep only the shared rows where `rows` (bool[N]) holds."""
        before = np.concatenate([[0], np.cumsum(rows)])
        picked = facts.places(rows)
        group = facts.numbered(self.starts)[picked]
        starts = np.ones(len(picked), bool)
        starts[1:] = group[1:] != group[:-1]
        return replace(
            self,
            columns={k: np.asarray(c)[picked] for k, c in self.columns.items()},
            starts=starts,
            start=before[self.start],
            stop=before[self.stop],
        )

    def taken(self, rows: np.ndarray, offsets: np.ndarray) -> Histories:
        """The same questions with other histories: the shared rows ``rows[offsets[i]:offsets[i + 1]]``, in their order.

        Columns are copied, so that a row may stand in one history and be missing in another.
        """
        group = facts.numbered(self.starts)[rows]
        starts = np.ones(len(rows), bool)
        starts[1:] = group[1:] != group[:-1]
        starts[offsets[:-1][np.diff(offsets) > 0]] = True
        columns = {k: np.asarray(c)[rows] for k, c in self.columns.items()}
        return replace(self, columns=columns, starts=starts, start=offsets[:-1], stop=offsets[1:])

    def tally(self) -> np.ndarray:
        """How often each item occurs in all histories together, int64[V]; a row counts for each that holds it."""
        size = len(self.vocabularies["item"])
        span = self.span
        if span is not None:
            return facts.tally(self.item[span], size)
        counts = np.zeros(size, np.int64)
        for _, part in self.blocks(1 << 14):
            counts += facts.tally(np.asarray(part.item)[part.flat()[0]], size)
        return counts

    @property
    def span(self) -> slice | None:
        """The shared rows that the histories hold one after another without a gap, None if they do not."""
        if not len(self) or not np.array_equal(self.start[1:], self.stop[:-1]):
            return None
        return slice(int(self.start[0]), int(self.stop[-1]))

    def flat(self) -> tuple[np.ndarray, np.ndarray]:
        """(rows int64[sum of lengths], offsets int64[n + 1]): the shared rows of each history in turn."""
        return kernels.ragged_rows(self.start, self.stop)

    def item_ids(self, i: int) -> list[Any]:
        """Ids of the items of history i, oldest first."""
        return list(self.vocabularies["item"].decode(self.item[self.start[i] : self.stop[i]]).to_pylist())

    def blocks(self, size: int) -> Iterator[tuple[slice, Histories]]:
        """Consecutive blocks of at most `size` questions."""
        for at in range(0, len(self), size):
            rows = slice(at, min(at + size, len(self)))
            yield rows, self[rows]


@dataclass(frozen=True, eq=False, repr=False)
class Candidates:
    """Items to judge for each question.

    Three shapes: `shared` (the same c items for every question), dense ([n, c]) and ragged. Scores come back
    in the same shape: [n, c] for the first two, flat[total] beside `offsets` for the third.

    Attributes
    ----------
    items : int32 codes of `vocabulary`; [c] if shared, [n, c] if dense, [total] if ragged; -1 is an unknown item.
    offsets : int64[n + 1] if ragged, else None.
    """

    items: np.ndarray
    vocabulary: Vocabulary
    offsets: np.ndarray | None = None
    shared: bool = False

    @classmethod
    def of(cls, items: Iterable[Any], vocabulary: Vocabulary | None = None) -> Candidates:
        """Candidates from ids: a flat list is shared by all questions, a list of lists is one list each."""
        rows = list(items)
        if not rows or not isinstance(rows[0], list | tuple | np.ndarray):
            ids = vocabulary or Vocabulary(list(dict.fromkeys(rows)))
            return cls(ids.encode(rows), ids, shared=True)
        flat = [i for row in rows for i in row]
        ids = vocabulary or Vocabulary(list(dict.fromkeys(flat)))
        codes = ids.encode(flat)
        lengths = np.fromiter((len(r) for r in rows), np.int64, len(rows))
        if len(set(lengths.tolist())) == 1:
            return cls(codes.reshape(len(rows), -1), ids)
        return cls(codes, ids, np.concatenate([[0], np.cumsum(lengths)]))

    @classmethod
    def every(cls, vocabulary: Vocabulary) -> Candidates:
        """The whole catalogue, in order of its codes, for every question."""
        return cls(np.arange(len(vocabulary), dtype=np.int32), vocabulary, shared=True)

    def __repr__(self) -> str:
        if self.offsets is not None:
            return f"Candidates({len(self.items):,} items in {len(self.offsets) - 1:,} lists)"
        shape = " x ".join(f"{s:,}" for s in self.items.shape)
        return f"Candidates({shape} items{', the same for all questions' if self.shared else ''})"

    def counts(self, n: int) -> np.ndarray:
        """Number of candidates of each of n questions, int64[n]."""
        if self.offsets is not None:
            return np.diff(self.offsets)
        return np.full(n, self.items.shape[-1], np.int64)

    def flat(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        """(codes int32[total], offsets int64[n + 1]) whatever the shape."""
        if self.offsets is not None:
            return self.items, self.offsets
        width = self.items.shape[-1]
        codes = np.broadcast_to(self.items, (n, width)).reshape(-1)
        return codes, np.arange(n + 1, dtype=np.int64) * width

    def shape(self, scores: np.ndarray, n: int) -> np.ndarray:
        """Flat scores in the shape that the caller gets back."""
        return scores if self.offsets is not None else scores.reshape(n, -1)

    def __getitem__(self, rows: slice) -> Candidates:
        """The candidates of a block of consecutive questions."""
        if self.shared:
            return self
        if self.offsets is None:
            return replace(self, items=self.items[rows])
        start, stop, _ = rows.indices(len(self.offsets) - 1)
        first, last = self.offsets[start], self.offsets[stop]
        return replace(self, items=self.items[first:last], offsets=self.offsets[start : stop + 1] - first)


@dataclass(frozen=True, eq=False, repr=False)
class Questions:
    """What a model is asked and what really happened.

    `candidates` are the slates (rank) or, for the next-group question (recommend), the items of that group;
    `label` and `weight` lie flat beside ``candidates.flat(n)``.
    """

    histories: Histories
    candidates: Candidates
    label: np.ndarray
    weight: np.ndarray
    context: Mapping[str, np.ndarray] = field(default_factory=dict)
    "Columns of the asking events, flat beside the candidates (coded as in the log)."
    labels: Mapping[str, np.ndarray] = field(default_factory=dict)
    "Answers to each goal (see `ethogram.log.goals`), float32, NaN where missing; filled for questions of ``goals``."

    def __len__(self) -> int:
        return len(self.histories)

    def __repr__(self) -> str:
        positive = f"{float((self.label > 0).mean()):.1%} positive" if len(self.label) else "no labels"
        return f"Questions({self.histories!r}, {self.candidates!r}, {positive})"

    def __getitem__(self, rows: slice) -> Questions:
        first, last, _ = rows.indices(len(self))
        rows = slice(first, max(first, last))
        _, offsets = self.candidates.flat(len(self))
        flat = slice(offsets[rows.start], offsets[rows.stop])
        return Questions(
            self.histories[rows],
            self.candidates[rows],
            self.label[flat],
            self.weight[flat],
            {k: v[flat] for k, v in self.context.items()},
            {k: v[flat] for k, v in self.labels.items()},
        )
