"""A slate network held ready for requests: one person, some hundred candidates, no encoding, no graph, no batch.

Made once for a fitted network and a catalogue. Everything that depends on an item alone lies in arrays by its row: its
vector, its signatures, its popularity. A request looks rows up and multiplies:

    logit(t) = Tower(z(t)),   z(t) = E_t W_e + sum_p [v_p(t) ; v_p(t) * e_t] W_p + [user ; context ; length] W_u

where the last term, and interests that are the same for all candidates, are one vector for the request. Scores are
those of `SlateNetwork` to float32 rounding. What has no arrays (`OptionError` says what) is served by the network.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from ethogram.errors import OptionError
from ethogram.log import Candidates, Features, Histories, Vocabulary
from ethogram.nn.buckets import BucketTable
from ethogram.nn.prepared.asking import Asking
from ethogram.nn.prepared.attended import cut
from ethogram.nn.prepared.catalogue import STRANGE, Catalogue
from ethogram.nn.prepared.dense import Dense, F, array
from ethogram.nn.prepared.interests import Reading, interests
from ethogram.nn.prepared.past import Past, Vectors
from ethogram.nn.ranker import SlateRanker
from ethogram.nn.slates import SlateNetwork


@dataclass(frozen=True, eq=False)
class Prepared:
    """See the module; `Prepared.of` makes it."""

    ranker: SlateRanker
    catalogue: Catalogue
    tables: Mapping[str, pa.Table]
    vectors: Vectors
    readings: tuple[Reading, ...]
    beside: int
    asking: Asking
    popularity: np.ndarray
    tower: Dense
    product: bool
    finish: Callable[[np.ndarray], np.ndarray]

    @classmethod
    def of(
        cls, ranker: SlateRanker, vocabulary: Vocabulary | None = None, *,
        tables: Mapping[str, pa.Table] | None = None, finish: Callable[[np.ndarray], np.ndarray] = np.asarray,
    ) -> Prepared:  # fmt: skip
        """Arrays of a fitted network.

        Parameters
        ----------
        vocabulary : the catalogue; all items of training and of its side table unless given.
        tables : side tables of items and users that requests come with; those of training unless given.
        finish : what is done with the probabilities, such as a calibration.

        Raises
        ------
        OptionError
            A part of the network has no arrays.
        """
        network, features = ranker.network, ranker.features
        if type(network) is not SlateNetwork or network.tower is None:
            raise OptionError(
                f"prepared: no arrays for {type(network).__name__} with cross = {network.crossing.cross}."
            )
        if network.crossing.cross not in ("none", "product") or dict(features.sequences) != {"history": None}:
            raise OptionError(f"prepared: no arrays for cross = {network.crossing.cross} and several sequences.")
        tables = dict(features.side) if tables is None else dict(tables)
        known = _known(features, vocabulary, tables.get("items"))
        batch = features.encode(_nobody(tables), Candidates.every(_and_a_stranger(known)))
        count = len(known)
        # the items of the batch are: none, the catalogue, the stranger
        order = np.concatenate([[0, count + 1], np.arange(1, count + 1)])
        columns = batch.items
        with torch.no_grad():
            network.eval()
            own = array(network.items(columns, torch.from_numpy(order)))
            vectors = Vectors.of(own, network.events, network.event)
            readings = interests(network.interest, own, columns, order, not vectors.events)
            popularity = array(network.popularity)[columns["item"].values[order].astype(np.int64)]
            asking = Asking.of(network, features, tables.get("users"))
            tower = Dense.of(network.tower)
        product = network.crossing.cross == "product"
        return cls(
            ranker, Catalogue(known), tables, vectors, tuple(readings), network.beside, asking, popularity, tower,
            product, finish,
        )  # fmt: skip

    # -- what a request is made of -------------------------------------------------------------------------------

    def past(
        self, items: Sequence[Any], *, time: Sequence[int] | None = None,
        columns: Mapping[str, Sequence[Any]] | None = None, cut: bool = True,
    ) -> Past:  # fmt: skip
        """A history from item ids, oldest first.

        Parameters
        ----------
        time : microseconds; events of equal time are one group. Without it each is a group of its own.
        columns : event columns as they stand in the log; one that is not given is missing throughout.
        cut : leave out what the network does not read.
        """
        when = None if time is None else np.asarray(time, np.int64)
        starts = np.ones(len(items), bool)
        if when is not None:
            starts[1:] = when[1:] != when[:-1]
        coded = self.asking.events(len(items), columns or {})
        past = Past(self.catalogue.rows(items), coded, starts, when)
        return self._cut(past) if cut else replace(past, vectors=self.vectors.of_events(past.rows, past.columns))

    def read(self, histories: Histories) -> Past:
        """The history of one question."""
        rows = slice(int(histories.start[0]), int(histories.stop[0]))
        columns = histories.columns
        when = None if "time" not in columns else np.asarray(columns["time"][rows])
        coded = self.asking.coded(rows, columns, histories.vocabularies)
        items = self.catalogue.moved(np.asarray(columns["item"][rows]), histories.vocabularies["item"])
        return self._cut(Past(items, coded, np.asarray(histories.starts[rows]), when))

    def _cut(self, past: Past) -> Past:
        last = self.ranker.features.last
        if last is not None and len(past) > last:
            at = cut(past.starts, last)
            past = Past(
                past.rows[at:], {k: v[at:] for k, v in past.columns.items()}, past.starts[at:],
                None if past.time is None else past.time[at:],
            )  # fmt: skip
        return replace(past, vectors=self.vectors.of_events(past.rows, past.columns))

    # -- scores ---------------------------------------------------------------------------------------------------

    def answer(
        self, past: Past, rows: np.ndarray, *, table: BucketTable | None = None, user: Any = None,
        context: pa.Table | None = None,
    ) -> np.ndarray:  # fmt: skip
        """Scores [C] of the candidates in these rows of the catalogue.

        Parameters
        ----------
        table : of the whole history; `past` then holds at least those last events that the network attends to.
        user : id, for networks that read columns of users. context : one row, or one per candidate.
        """
        items = self.vectors.items[rows]
        length = len(past) if table is None else table.events
        fixed, each = self.asking.inputs(user, context, len(rows))
        first, product, width = self.tower.weights[0], self.product, items.shape[1]
        found = [one.read(past, items, rows, table) for one in self.readings]
        columns, weights = [items], [first[:width]]
        at, cross = width, len(first) - 2 - width * sum(1 for _ in found)
        added = self.tower.biases[0] + fixed @ first[self._users(len(found), width) :][: len(fixed)]
        for one in found:
            interest, by = one[..., :width], first[at : at + width]
            crossed = first[cross : cross + width]
            at, cross = at + width, cross + width
            if interest.ndim == 1:  # the same for every candidate: v W + e (v * W')
                added += interest @ by
                if product:
                    weights[0] = weights[0] + interest[:, None] * crossed
                continue
            columns.append(interest)
            weights.append(by)
            if product:
                columns.append(interest * items)
                weights.append(crossed)
            if self.beside:
                columns.append(one[:, width:])
                weights.append(first[at : at + self.beside])
        if each is not None:
            columns.append(each)
            weights.append(first[self._users(len(found), width) + len(fixed) :][: each.shape[1]])
        added += F(0.2 * np.log1p(length)) * first[-2]
        values = np.concatenate(columns, 1) @ np.concatenate(weights)
        values += (F(0.2) * self.popularity[rows])[:, None] * first[-1]
        logits = self.tower.finish(values, added)
        return self.finish(1 / (1 + np.exp(-logits)))

    def _users(self, interests: int, width: int) -> int:
        """Where the columns of users begin among the tower's inputs."""
        return width * (1 + interests) + self.beside

    def score(self, histories: Histories, candidates: Candidates, context: pa.Table | None = None) -> np.ndarray:
        """What the system's `score` gives; several questions, and items that only it can read, are left to it."""
        strange = not self._reads(histories) or len(histories) != 1
        rows = None if strange else self.catalogue.moved(candidates.flat(1)[0], candidates.vocabulary)
        if rows is None or (self.asking.hashes and (rows == STRANGE).any()):
            return self.finish(self.ranker.score(histories, candidates, context))
        past = self.read(histories)
        if self.asking.hashes and (past.rows == STRANGE).any():
            return self.finish(self.ranker.score(histories, candidates, context))
        user = None if histories.users[0] < 0 else histories.vocabularies["user"].ids[int(histories.users[0])].as_py()
        return candidates.shape(self.answer(past, rows, user=user, context=context), 1)

    def _reads(self, histories: Histories) -> bool:
        """Whether the histories come with the side tables that the arrays were made of."""
        return all(_same(self.tables.get(name), table) for name, table in histories.tables.items())


def _known(features: Features, vocabulary: Vocabulary | None, side: pa.Table | None) -> Vocabulary:
    if vocabulary is not None:
        return vocabulary
    return features.items if side is None else features.items.extend(side.column(0))


def _and_a_stranger(known: Vocabulary) -> Vocabulary:
    """With one more id, that of an item which is not in the catalogue."""
    if known.is_integer:
        taken = known.ids.to_numpy()
        return known.extend(pa.array([int(taken.max()) + 1 if len(taken) else 0]))
    name = "\x00nobody knows this item"
    return known.extend(pa.array([name]))


def _nobody(tables: Mapping[str, pa.Table]) -> Histories:
    return replace(Histories.of([[]]), tables=tables)


def _same(one: pa.Table | None, other: pa.Table | None) -> bool:
    return one is other or (one is not None and other is not None and one.equals(other))
