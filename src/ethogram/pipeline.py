"""A recommender that finds and a ranker that orders, as one recommender: ``retriever >> ranker``.

The retriever chooses `candidates` items for each question, the ranker scores exactly these, and the best k by
the ranker's score are the answer. What the retriever did not find cannot come back, so the pipeline's recall
is at most the retriever's at `candidates`.

Examples
--------
>>> import ethogram
>>> both = ethogram.system("popularity") >> ethogram.system("item_knn")
>>> both.ranker.info.key
'item_knn'
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ethogram.errors import OptionError
from ethogram.system import system
from ethogram.verbs import Candidates, Histories, Log, Recommends, Scores, State, Table, Vocabulary, Watch

OWN = ("question", "user", "item", "score", "rank")
"""Columns of an answer that are made anew from the ranker's scores."""


@system(
    "pipeline",
    paper="",
    year=2026,
    area="recommend",
    verbs=("recommend",),
    uses=("popularity", "item_knn"),
    baseline=True,
)
@dataclass(kw_only=True)
class Pipeline:
    retriever: Recommends = "popularity"  # type: ignore[assignment]
    "The system that finds candidates; a system or its key."
    ranker: Scores = "item_knn"  # type: ignore[assignment]
    "The system that orders them; a system or its key."
    candidates: int = 200
    "How many items the retriever hands to the ranker per question."

    def __post_init__(self) -> None:
        if self.candidates < 1:
            raise OptionError(f"pipeline: option candidates = {self.candidates}; give 1 or more.")

    @property
    def fitted(self) -> Any:
        """What both parts learned; None while one of them has learned nothing."""
        retriever, ranker = self._parts()
        parts = (retriever.fitted, ranker.fitted)
        return None if any(p is None for p in parts) else parts

    def fit(self, train: Log, valid: Log | None = None, *, seed: int = 0, watch: Watch | None = None) -> Self:
        """Fit both parts on the same log (parts that are fitted already can be used as they are, without this)."""
        for part in self._parts():
            part.fit(train, valid, seed=seed, watch=watch)
        return self

    def recommend(
        self, histories: Histories, k: int = 10, *, exclude_seen: bool | None = None, among: Candidates | None = None
    ) -> Table:
        """Best k of the retriever's candidates by the ranker's score; see `ethogram.verbs.Recommends`.

        What else the retriever says of an answer (`status`) is passed on.
        """
        found: Any = self.retriever.recommend(
            histories, max(k, self.candidates), exclude_seen=exclude_seen, among=among
        )
        question = found.column("question").to_numpy()
        counts = np.bincount(question, minlength=len(histories))
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        ids = _vocabulary(found)
        codes = ids.encode(found.column("item"))
        # by item code, so that the retriever's order cannot decide between equal scores of the ranker
        order = np.lexsort((codes, question))
        found, codes = found.take(pa.array(order)), codes[order]
        scores = np.asarray(self.ranker.score(histories, Candidates(codes, ids, offsets)), np.float64)
        best = np.lexsort((-scores, question))
        rank = np.arange(len(best)) - offsets[question[best]] + 1
        kept = rank <= k
        answer = found.take(pa.array(best[kept]))
        return pa.table(
            {
                "question": answer.column("question"),
                "user": answer.column("user"),
                "item": answer.column("item"),
                "score": scores[best[kept]],
                "rank": rank[kept],
                **{n: answer.column(n) for n in found.column_names if n not in OWN},
            }
        )

    def _parts(self) -> tuple[Any, Any]:
        return self.retriever, self.ranker

    def state(self) -> State:
        """Nothing of its own: what is learned lies in the two parts, which are saved as systems."""
        return State()

    def restore(self, state: State) -> Self:
        return self


def _vocabulary(found: Any) -> Vocabulary:
    ids = found.column("item").combine_chunks().unique()
    return Vocabulary(ids.take(pc.sort_indices(ids)))
