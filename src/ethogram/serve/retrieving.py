"""How a served recommender finds items: its own exact search, or, in large catalogues, a graph that finds a few among
which the system's own scores decide.

The graph (faiss HNSW over inner products of the system's vectors) only says *among* which items to choose, so its
errors are items that it did not find, never a wrong score. Systems without vectors choose by themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from ethogram.log import Candidates, Histories, Vocabulary
from ethogram.serve.questions import Items, Question
from ethogram.serve.scoring import Plain, alike

LARGE = 200_000
"""Items beyond which a product with all of them costs more than the graph."""
MORE, LINKS = 4, 32
How = Literal["auto", "exact", "graph"]


class Finder:
    """Chooses from the catalogue for several questions at once.

    Parameters
    ----------
    how : `exact` scores every item, `graph` those that the graph finds, `auto` by the size of the catalogue.
    """

    def __init__(self, system: Any, how: How = "auto"):
        self.system, self.plain = system, Plain(system)
        self._graph: Any = None
        model = getattr(system.fitted, "model", system.fitted)
        self._model = model if all(hasattr(model, a) for a in ("vectors", "states", "known")) else None
        if how != "exact" and self._model is not None:
            self._make(model, how)

    @property
    def items(self) -> Items:
        return self.plain.items

    @property
    def last(self) -> int | None:
        return self.plain.last

    @property
    def approximate(self) -> bool:
        return self._graph is not None

    def _make(self, model: Any, how: How) -> None:
        vectors = np.ascontiguousarray(model.vectors, np.float32)
        if how == "auto" and len(vectors) < LARGE:
            return
        import faiss

        graph = faiss.IndexHNSWFlat(vectors.shape[1], LINKS, faiss.METRIC_INNER_PRODUCT)
        graph.hnsw.efConstruction = 100
        graph.add(vectors)
        self._graph = graph
        # row of the vectors -> code of the item
        self._codes = np.flatnonzero(np.asarray(model.known.rows)[: len(model.known.items)] >= 0).astype(np.int32)

    def find(
        self, questions: Sequence[Question], k: int, *, exclude_seen: bool | None = None, among: Sequence[str] = ()
    ) -> list[list[tuple[str, float]]]:
        """Best k (item, score) of each question."""
        found: list[list[tuple[str, float]]] = [[] for _ in questions]
        for rows in alike(questions):
            histories, _ = self.plain.asked([questions[i] for i in rows])
            chosen = self._among(among) if among else self._near(histories, k)
            table = self.system.recommend(histories, k, exclude_seen=exclude_seen, among=chosen)
            cells = (table.column(c).to_pylist() for c in ("question", "item", "score"))
            for question, item, score in zip(*cells, strict=True):
                found[rows[question]].append((str(item), float(score)))
        return found

    def _among(self, among: Sequence[str]) -> Candidates:
        ids = list(dict.fromkeys(among))
        vocabulary, (codes,) = self.items.code(ids)
        return Candidates(codes, vocabulary, shared=True)

    def _near(self, histories: Histories, k: int) -> Candidates | None:
        """What the graph finds; None lets the system score everything."""
        if self._graph is None or self._model is None:
            return None
        states, known = self._model.states(histories)
        if not known.all():
            return None
        wanted = k * MORE + 200 + int(histories.lengths.max(initial=0))
        self._graph.hnsw.efSearch = max(wanted, 256)
        _, rows = self._graph.search(np.ascontiguousarray(states, np.float32), min(wanted, self._graph.ntotal))
        offsets = np.concatenate([[0], np.cumsum((rows >= 0).sum(1))])
        vocabulary: Vocabulary = self._model.known.items
        return Candidates(self._codes[rows[rows >= 0]], vocabulary, offsets)
