"""The interference report: do search and representation disturb each other, and does the search find what matters?

    gradients          a shared model, its two roles kept in mirrored tables (`ethogram.nn.apart.Mirror`): per table the
                       mean norm of the gradient from the search and from the representation (domination), and the
                       share of touched rows in which the two point apart (conflict)
    attention          per cell (candidate's category c, event's category c', range of places): mean attention, and the
                       mutual information of "an event of c' stands in this range" with the answer to c; the report
                       holds their rank correlation over cells
    retrieval          of the K events with most weight, the share among the K of most mutual information
    discriminability   k-means of r_t * h(t): mutual information of the cluster with the answer, by number of clusters

The last three read any fitted ranker whose network weighs events (din, sdim, dare), the same questions each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from ethogram.errors import OptionError, nearest
from ethogram.log import Log, Questions
from ethogram.numeric.information import mutual_information, rank_correlation
from ethogram.rank.dare import DARE

RANGES = (1, 11, 51)
"""First place of each range of places."""
LEAST = 30
"""Candidates with, and as many without, that a cell needs."""


@dataclass(frozen=True, eq=False)
class Interference:
    """Attributes: see the module. `attention` and `retrieval` are the two figures, the tables what they come from."""

    gradients: pa.Table
    attention: float
    retrieval: float
    cells: pa.Table
    discriminability: pa.Table

    def __str__(self) -> str:
        rows = [
            f"{r['table']}: representation pulls {r['ratio']:.2f} times as hard as search, against it in "
            f"{r['conflict']:.0%} of {r['pulls']:,} pulls"
            for r in self.gradients.to_pylist()
        ]
        rows.append(
            f"attention with mutual information, rank correlation over {len(self.cells)} cells: {self.attention:.3f}"
        )
        rows.append(f"events found among those of most mutual information: {self.retrieval:.1%}")
        told = ", ".join(f"{r['clusters']}: {r['information']:.4f}" for r in self.discriminability.to_pylist())
        return "\n".join([*rows, f"information of clusters of candidate times interest (nats): {told}"])


def report(
    model: DARE, train: Log, asked: Questions, column: str, *, least: int = LEAST, seed: int = 0
) -> Interference:  # fmt: skip
    """The whole report on a fitted model; `gradients` fits a shared model of its options on `train`.

    Parameters
    ----------
    asked : labelled questions that the model has not learned from. column : the item column that cells go by.
    least : candidates with, and as many without, that a cell needs to count.
    """
    seen = Seen.of(model, asked, column)
    cells = seen.cells(least)
    return Interference(
        gradients(model, train, seed=seed), seen.attention(cells), seen.retrieval(cells, model.keep), cells,
        discriminability(model, asked, seed=seed),
    )  # fmt: skip


def gradients(options: DARE, train: Log, *, seed: int = 0, watch: Any = None) -> pa.Table:
    """Domination and conflict in a shared model of these options, over its training.

    Returns
    -------
    table, pulls (rows x steps that both roles touched), search, representation (mean norms), ratio (of the second to
    the first), conflict (share of pulls with a negative cosine), rows, rows_apart (share of rows that conflict in more
    than half of their pulls)
    """
    from ethogram.nn.ranker import SlateRanker

    twin = replace(options, tables="two", search_dim=options.dim, search_side=options.side)
    held: list[Any] = []

    def before(network: Any) -> list[Any]:
        held.append(mirror(network))
        return held

    SlateRanker.fit(twin, twin._interest, train, None, seed=seed, watch=watch, before=before)
    found = []
    for name, rows in held[0].rows.items():
        times, told, search, apart = rows.T
        if total := times.sum():
            touched = times > 0
            found.append(
                {
                    "table": name, "pulls": int(total), "search": search.sum() / total,
                    "representation": told.sum() / total, "ratio": told.sum() / max(search.sum(), 1e-300),
                    "conflict": apart.sum() / total, "rows": int(touched.sum()),
                    "rows_apart": float((apart[touched] > times[touched] / 2).mean()),
                }
            )  # fmt: skip
    return pa.Table.from_pylist(found)


def mirror(network: Any) -> Any:
    """Tables of search and representation made alike and kept alike: the shared model, its roles told apart."""
    from ethogram.nn.apart import Mirror, alike

    own, other = network.tables, network.interest.look
    pairs = {n: (own[n].weight, other.tables[n].weight) for n in other.tables.names}
    if other.event is not None:
        pairs["event"] = network.event.weight, other.event.weight
    pairs["place"] = network.interest.means, network.interest.finds
    alike([a for a, _ in pairs.values()], [b for _, b in pairs.values()])
    return Mirror(pairs)


@dataclass(frozen=True, eq=False)
class Seen:
    """Every pair of an event and a candidate, flat, with what the model makes of it.

    Attributes
    ----------
    query : int64, candidate of the pair. target, event : category rows. place : range of places.
    weight : attention over the whole history. found : weight after the search. label : bool per candidate.
    category : row per candidate.
    """

    query: np.ndarray
    target: np.ndarray
    event: np.ndarray
    place: np.ndarray
    weight: np.ndarray
    found: np.ndarray
    label: np.ndarray
    category: np.ndarray

    @classmethod
    def of(cls, model: Any, asked: Questions, column: str, *, ranges: Sequence[int] = RANGES) -> Seen:
        """Ask a fitted model for its weights, a thousand questions at a time.

        Raises
        ------
        OptionError
            No such categorical item column.
        """
        import torch

        from ethogram.nn.decoupled import Decoupled, places

        ranker = model.fitted
        names = [c.name for c in ranker.features.of("item") if c.type == "categorical"]
        if column not in names:
            raise OptionError(
                f"interference: no categorical item column '{column}'.{nearest(column, names)} Columns: {names}."
            )
        ranker.network.eval()
        whole, parts, before = ranker.features.encode(asked), [], 0
        for at in range(0, len(whole), 1_000):
            batch = whole[slice(at, min(at + 1_000, len(whole)))]
            with torch.no_grad():
                keys, spans, queries, ends, tags = ranker.network.vectors(batch)
                weigh = ranker.network.interest.weights
                found = weigh(keys, spans, queries, ends, **tags)
                every = found
                if isinstance(ranker.network.interest, Decoupled):
                    every = weigh(keys, spans, queries, ends, whole=True, **tags)
            history, judged = batch.sequences["history"], batch.candidates
            past, (shown, _) = history.flat()[0], judged.flat()
            rows = batch.items[column].values
            query = np.repeat(np.arange(len(shown)), found.offsets.diff().numpy())
            owner = np.repeat(np.arange(len(batch)), np.diff(ends.numpy()))[query]
            place = np.arange(len(query)) - found.offsets.numpy()[query] + spans.numpy()[owner]
            far = places(tags["key_starts"], spans, int(np.iinfo(np.int32).max)).numpy()[place]
            category = rows[judged.item[shown]]
            parts.append(
                (query + before, category[query], rows[history.item[past[place]]],
                 np.searchsorted(np.asarray(ranges), far, side="right") - 1,
                 every.values.numpy(), found.values.numpy(), category)
            )  # fmt: skip
            before += len(shown)
        *flat, category = (np.concatenate(p) for p in zip(*parts, strict=True))
        return cls(*flat, np.asarray(asked.label) > 0.5, category)

    def cells(self, least: int = LEAST) -> pa.Table:
        """target, event, place (range), candidates, information (nats), attention (1: as much as an average event)."""
        size = int(max(self.target.max(initial=0), self.event.max(initial=0))) + 1
        wide = int(self.place.max(initial=0)) + 1
        cell = (self.target.astype(np.int64) * size + self.event) * wide + self.place
        count = size * size * wide
        # a range that holds a category five times tells what it tells once
        once = np.unique(self.query * count + cell)
        query, where = once // count, once % count
        there = np.bincount(where, minlength=count)
        yes = np.bincount(where, self.label[query], count)
        target = np.arange(count) // (size * wide)
        total = np.bincount(self.category, minlength=size)[target]
        positive = np.bincount(self.category, self.label, size)[target]
        table = np.stack([yes, there - yes, positive - yes, total - there - positive + yes], 1).reshape(-1, 2, 2)
        length = np.bincount(self.query, minlength=len(self.label))
        relative = np.abs(self.weight) * length[self.query]
        pairs = np.bincount(cell, minlength=count)
        kept = np.flatnonzero((there >= least) & (total - there >= least))
        attention = np.bincount(cell, relative, count)[kept] / pairs[kept]
        return pa.table(
            {
                "target": target[kept], "event": kept // wide % size, "place": kept % wide, "candidates": total[kept],
                "information": mutual_information(table[kept]), "attention": attention,
            }
        )  # fmt: skip

    def attention(self, cells: pa.Table) -> float:
        """Rank correlation of attention with mutual information over cells."""
        return rank_correlation(cells["attention"].to_numpy(), cells["information"].to_numpy())

    def retrieval(self, cells: pa.Table, keep: int) -> float:
        """Mean share of the `keep` places that hold events of the most mutual information, of longer histories.

        Of equal information any event counts. Events of cells that are too small to know count as 0 nats.
        """
        known = {name: cells[name].to_numpy() for name in ("target", "event", "place")}
        size = 1 + int(max(self.target.max(initial=0), self.event.max(initial=0)))
        wide = 1 + int(self.place.max(initial=0))
        told = np.zeros(size * size * wide)
        told[(known["target"] * size + known["event"]) * wide + known["place"]] = cells["information"].to_numpy()
        value = told[(self.target.astype(np.int64) * size + self.event) * wide + self.place]
        length = np.bincount(self.query, minlength=len(self.label))
        first = np.cumsum(length) - length
        rank = np.arange(len(value)) - first[self.query]
        best = value[np.lexsort((-value, self.query))]
        long = length > keep
        bound = np.zeros(len(length))
        bound[long] = best[first[long] + keep - 1]
        by_weight = np.lexsort((-np.abs(self.found), self.query))
        chosen = by_weight[(rank < keep) & long[self.query]]
        hit = (value[chosen] >= bound[self.query[chosen]]) & (self.found[chosen] != 0)
        return float(hit.sum() / (keep * long.sum())) if long.any() else float("nan")


def discriminability(
    model: Any, asked: Questions, clusters: Sequence[int] = (2, 10, 50, 200, 1_000), *, seed: int = 0
) -> pa.Table:  # fmt: skip
    """Mutual information (nats) of the answer with the cluster of r_t * h(t), by number of clusters."""
    import torch
    from sklearn.cluster import MiniBatchKMeans

    ranker = model.fitted
    batch = ranker.features.encode(asked)
    ranker.network.eval()
    parts = []
    with torch.no_grad():
        for at in range(0, len(batch), 1_000):
            keys, spans, queries, ends, tags = ranker.network.vectors(batch[slice(at, min(at + 1_000, len(batch)))])
            found = ranker.network.interest(keys, spans, queries, ends, **tags)
            parts.append((queries * found[:, : queries.shape[1]]).numpy())
    product, label = np.concatenate(parts), (np.asarray(asked.label) > 0.5).astype(int)
    rows = []
    for n in clusters:
        if n < len(product):
            place = MiniBatchKMeans(n, random_state=seed, n_init=1, batch_size=4_096, max_iter=20).fit_predict(product)
            counts = np.bincount(place * 2 + label, minlength=2 * n).reshape(n, 2)
            rows.append({"clusters": n, "information": float(mutual_information(counts))})
    return pa.Table.from_pylist(rows)
