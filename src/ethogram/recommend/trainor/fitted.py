"""A fitted network of trips: what it learns from, how it is trained, what it makes of a history, what is kept of it."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from ethogram.errors import OptionError
from ethogram.evaluate.ranking import per_question, stand
from ethogram.log import Candidates, Histories, Questions, Vocabulary
from ethogram.log.kernels import cut_at_group, ragged_rows
from ethogram.nn.saved import arrays, restore
from ethogram.nn.session_graph import Walks
from ethogram.nn.topics import Bags
from ethogram.nn.train import Trained, train
from ethogram.numeric.geography import kernel
from ethogram.numeric.interactions import Interactions
from ethogram.numeric.known import Known
from ethogram.numeric.neighbours import Neighbours
from ethogram.numeric.similar import cosines, similar
from ethogram.numeric.trips import Travel, Trips
from ethogram.numeric.vectors import ByVectors
from ethogram.recommend.trainor.network import Batch, Sizes, TrainorNetwork
from ethogram.verbs import Log, State, Table, Watch

BLOCK = 512
"""Histories read at once."""


class Events(NamedTuple):
    """The events at home of n histories that the network can read: rows of items and of categories (0: unknown), which
    begin a group of equal times, offsets int64[n + 1], and each event's place in ``histories.flat()``."""

    items: np.ndarray
    categories: np.ndarray
    begins: np.ndarray
    offsets: np.ndarray
    place: np.ndarray

    def some(self, which: np.ndarray) -> tuple[Tensor, Tensor, Walks]:
        """What the network reads of these histories."""
        rows, offsets = ragged_rows(self.offsets[which], self.offsets[which + 1])
        items, categories, begins = self.items[rows], self.categories[rows], self.begins[rows].copy()
        begins[offsets[:-1][np.diff(offsets) > 0]] = True
        node = items * (int(self.categories.max(initial=0)) + 1) + categories
        return torch.from_numpy(items), torch.from_numpy(categories), Walks.of(node, begins, offsets)


@dataclass(frozen=True, eq=False)
class Fitted(ByVectors):
    """See the module.

    Attributes
    ----------
    known : counts what travellers visited; its rows are the places. travel : tells home from away.
    home : int64[items + 1], row of each item at home, 0 unknown. category : int64[items + 1], row of its category.
    categories : their names. without : trips before which nothing was known at home.
    """

    known: Known
    travel: Travel
    home: np.ndarray
    category: np.ndarray
    categories: Vocabulary
    sizes: Sizes
    near: Neighbours | None
    network: TrainorNetwork
    options: Any
    trained: Trained
    without: int

    @classmethod
    def fit(cls, options: Any, log: Log, valid: Log | None, *, seed: int, watch: Watch | None) -> Fitted:
        """Train on the trips of a log; `valid` decides when to stop."""
        done, all_known = log.histories(), Known.of(log)
        travel = Travel.of(done, options.town, options.trip)
        trips = travel.trips(done)
        if not len(trips):
            raise OptionError(
                "trainor: the training log holds no trip with events at home before it. A trip is events of kind "
                f"'{options.trip}', else of items in another town (column '{options.town}' of the items) than the "
                "person's own, else a person's last group of equal times behind an earlier one."
            )
        if trips.without:
            logging.getLogger(__name__).warning(
                "trainor: %d of %d trips teach nothing, as nothing at home is known before them",
                trips.without, trips.without + len(trips),
            )  # fmt: skip
        counts = np.bincount(trips.items[trips.items >= 0], minlength=len(all_known.items))
        known = Known(all_known.items, all_known.users, counts, all_known.repeats)
        there = np.flatnonzero(counts)
        met = np.unique(np.asarray(trips.before.item)[trips.before.flat()[0]])
        home = np.zeros(len(travel.items) + 1, np.int64)
        home[met[met >= 0]] = 1 + np.arange(int((met >= 0).sum()))
        categories, category = _named(done, options.category, travel.items)
        town = np.unique(travel.town[there], return_inverse=True)[1]
        sizes = Sizes(int(home.max()), len(categories), len(trips), len(there), town)
        near = _near(done, options, travel.items, there)
        network = TrainorNetwork(options, sizes, near, counts[there], category[there], seed)
        made = cls(known, travel, home, category, categories, sizes, near, network, options, Trained(), trips.without)
        lessons = Lessons(made, trips)
        if options.warm and options.intent != "none":
            network.topics.fit(lessons.bags, epochs=options.warm, lr=options.lr, batch=options.batch, seed=seed)
        asked = None if valid is None or not len(valid.sequences()) else valid.questions("next")
        found = train(
            network, lessons.batches, network.loss, epochs=options.epochs, seed=seed, patience=options.patience,
            optimisers=[torch.optim.Adam(network.parameters(), options.lr, weight_decay=options.l2)],
            valid=None if asked is None else Judge(made, asked, seed), watch=watch,
        )  # fmt: skip
        network.eval()
        return cls(known, travel, home, category, categories, sizes, near, network, options, found, trips.without)

    @cached_property
    def vectors(self) -> np.ndarray:
        """P and the bias of each place, float32[D, dim + 1]."""
        return self.judged()

    @torch.no_grad()
    def judged(self) -> np.ndarray:
        """The same of the network as it is now."""
        return np.hstack([self.network.places().numpy(), self.network.bias[:, None].numpy()])

    def events(self, histories: Histories) -> Events:
        """What can be read: at home, of an item or at least a category that training met, the last `length`."""
        rows, offsets = histories.flat()
        own = np.append(histories.vocabularies["item"].codes_in(self.travel.items), np.int32(-1))
        code = own[np.asarray(histories.item)[rows]]
        items, categories = self.home[code], self.category[code]
        there = ~self.travel.away(histories)[0] & ((items > 0) | (categories > 0))
        starts = histories.starts[rows].copy()
        starts[offsets[:-1][np.diff(offsets) > 0]] = True
        group, place = np.cumsum(starts)[there], np.flatnonzero(there)
        ends = np.concatenate([[0], np.cumsum(there)])[offsets]
        begins = np.ones(len(place), bool)
        begins[1:] = group[1:] != group[:-1]
        begins[ends[:-1][np.diff(ends) > 0]] = True
        return _last(Events(items[place], categories[place], begins, ends, place), self.options.length)

    @torch.no_grad()
    def preferences(self, histories: Histories) -> tuple[Tensor, np.ndarray]:
        """(h_u [n, dim], bool[n]: whether anything is known)."""
        events = self.events(histories)
        n = len(histories)
        out = torch.zeros(n, self.options.dim)
        for at in range(0, n, BLOCK):
            which = np.arange(at, min(at + BLOCK, n))
            out[at : at + BLOCK] = self.network.preference(*events.some(which))
        return out, np.diff(events.offsets) > 0

    @torch.no_grad()
    def states(self, histories: Histories) -> tuple[np.ndarray, np.ndarray]:
        """(float32[n, dim + 1]: what is asked of places, from the mapped preference, and 1 for their bias; bool[n]:
        whether anything is known)."""
        h, there = self.preferences(histories)
        found = np.hstack([self.network.query(h, self.network.mapped(h)).numpy(), np.ones((len(h), 1), np.float32)])
        found[~there] = 0
        return found, there

    def explain(self, histories: Histories, candidates: Candidates, k: int) -> Table:
        """See `ethogram.recommend.trainor.explaining`."""
        from ethogram.recommend.trainor.explaining import explain

        return explain(self, histories, candidates, k)

    def similar_items(self, items: Sequence[Any], k: int = 10, among: Candidates | None = None) -> Table:
        """Places of the largest cosine of P; how popular they are is no likeness."""
        return similar(self.known, cosines(self.vectors[:, :-1]), items, k, among)

    def state(self) -> State:
        own = {"home": self.home, "category": self.category, "town": self.travel.town, "place_town": self.sizes.town}
        tables = {
            "categories": pa.table({"category": self.categories.ids}),
            "towns": pa.table({"town": self.travel.towns.ids}),
            "items": pa.table({"item": self.travel.items.ids}),
        }
        if self.near is not None:
            own |= {f"near.{n}": a for n, a in self.near.arrays().items()}
        sizes = [int(n) for n in self.sizes[:4]]
        facts = {"trained": asdict(self.trained), "kind": self.travel.kind, "how": self.travel.how, "sizes": sizes,
                 "without": self.without}  # fmt: skip
        return State({**arrays(self.network), **own}, tables, facts, {"known": self.known.state()})

    @classmethod
    def restore(cls, options: Any, state: State) -> Fitted:
        held = {n: np.asarray(a) for n, a in state.arrays.items()}
        known = Known.restore(state.parts["known"])
        items, towns, categories = (
            Vocabulary(state.tables[t].column(c))
            for t, c in (("items", "item"), ("towns", "town"), ("categories", "category"))
        )
        travel = Travel(items, towns, held["town"], state.json["kind"], state.json["how"])
        near = None
        if "near.offsets" in held:
            near = Neighbours(*(held[f"near.{n}"] for n in ("offsets", "codes", "weights")))
        sizes = Sizes(*state.json["sizes"], held["place_town"])
        category = held["category"]
        there = np.flatnonzero(known.counts)
        network = TrainorNetwork(options, sizes, near, known.counts[there], category[there], 0)
        restore(network, held)
        network.eval()
        trained = Trained(**state.json["trained"])
        return cls(known, travel, held["home"], category, categories, sizes, near, network, options, trained,
                   state.json["without"])  # fmt: skip


class Lessons:
    """Trips as batches: each visited place against others of the same town."""

    def __init__(self, fitted: Fitted, trips: Trips):
        self.events, self.options = fitted.events(trips.before), fitted.options
        self.bags = Interactions.counted(
            fitted.known.rows[trips.items].astype(np.int32), trips.offsets, fitted.known.trained
        )
        town = fitted.sizes.town
        self.town, self.order = town, np.argsort(town, kind="stable")
        self.sizes = np.bincount(town)
        self.starts = np.cumsum(self.sizes) - self.sizes

    def batches(self, rng: np.random.Generator) -> Iterator[Batch]:
        """An epoch: every trip whose history can be read and that holds a place."""
        usable = np.flatnonzero((np.diff(self.events.offsets) > 0) & (self.bags.lengths > 0))
        order, size = rng.permutation(usable), self.options.batch
        for at in range(0, len(order), size):
            yield self.batch(order[at : at + size], rng)

    def batch(self, which: np.ndarray, rng: np.random.Generator) -> Batch:
        rows, offsets = ragged_rows(self.bags.offsets[which], self.bags.offsets[which + 1])
        words = self.bags.items[rows].astype(np.int64)
        owner = np.repeat(np.arange(len(which)), np.diff(offsets))
        town = self.town[words]
        drawn = rng.random((len(words), self.options.samples)) * self.sizes[town][:, None]
        others = self.order[self.starts[town][:, None] + drawn.astype(np.int64)]
        width = len(self.town)
        visited = np.isin(owner[:, None] * width + others, owner * width + words)
        fair = torch.from_numpy((~visited).astype(np.float32))
        return Batch(
            torch.from_numpy(which), *self.events.some(which), Bags.of(words, offsets), torch.from_numpy(others), fair
        )


class Judge:
    """A value to stop by: mean NDCG@10 of questions, ranked among the places of the towns that the targets lie in."""

    def __init__(self, fitted: Fitted, asked: Questions, seed: int, k: int = 10):
        known, most = fitted.known, fitted.options.questions
        codes, offsets = asked.candidates.flat(len(asked))
        rows = known.rows_in(asked.candidates.vocabulary)[codes]
        owner = np.repeat(np.arange(len(asked)), np.diff(offsets))[rows >= 0]
        rows, there = rows[rows >= 0], np.unique(owner)
        if most is not None and most < len(there):
            there = np.sort(np.random.default_rng(seed).choice(there, most, replace=False))
            rows, owner = rows[np.isin(owner, there)], owner[np.isin(owner, there)]
        self.fitted, self.k, self.targets = fitted, k, rows
        self.offsets = np.searchsorted(owner, np.append(there, len(asked)))
        self.histories = asked.histories[there]
        beyond = np.ones((len(there), int(fitted.sizes.town.max()) + 1), bool)
        beyond[np.searchsorted(there, owner), fitted.sizes.town[self.targets]] = False
        self.beyond = beyond[:, fitted.sizes.town]

    def __call__(self) -> float:
        if not len(self.histories):
            return float("nan")
        scores = self.fitted.states(self.histories)[0] @ self.fitted.judged().T
        standing = stand(scores, self.targets, self.offsets, self.beyond)
        return float(np.nanmean(per_question(standing, [self.k])[f"ndcg@{self.k}"]))


def _named(histories: Histories, column: str | None, items: Vocabulary) -> tuple[Vocabulary, np.ndarray]:
    """(categories, int64[items + 1]: row of each item's category, 0 unknown)."""
    rows, table = np.zeros(len(items) + 1, np.int64), histories.tables.get("items")
    if column is None or table is None or column not in table.column_names:
        return Vocabulary(pa.array([], pa.string())), rows
    told = table.column(column).combine_chunks().cast(pa.string())
    names = Vocabulary(pa.array(sorted(set(told.drop_null().to_pylist())), pa.string()))
    own = items.encode(table.column(0))
    rows[own[own >= 0]] = names.encode(told)[own >= 0] + 1
    return names, rows


def _near(histories: Histories, options: Any, items: Vocabulary, there: np.ndarray) -> Neighbours | None:
    """G of the places, none where nothing tells where they lie."""
    table = histories.tables.get("items")
    if not options.geography or table is None or not set(options.coordinates) <= set(table.column_names):
        return None
    own = items.encode(table.column(0))
    at = np.full((len(items), 2), np.nan)
    for side, name in enumerate(options.coordinates):
        column = table.column(name).cast(pa.float64()).to_numpy()
        at[own[own >= 0], side] = column[own >= 0]
    return kernel(at[there], scale=options.scale, nearest=options.nearest)


def _last(events: Events, most: int) -> Events:
    """The last events of each history, cut between groups of equal times (see `Histories.last`)."""
    start = cut_at_group(events.offsets[:-1].copy(), events.offsets[1:].copy(), events.begins, most)
    rows, offsets = ragged_rows(start, events.offsets[1:])
    return Events(events.items[rows], events.categories[rows], events.begins[rows], offsets, events.place[rows])
