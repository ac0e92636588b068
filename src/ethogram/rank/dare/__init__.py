"""Finds which of thousands of past events matter for a candidate with one set of embeddings, and says what they mean
for the answer with another, so that the two do not pull one vector in two directions.

    s_j  = q . k_j / sqrt(d_A) + t_0 . t_p(j) / sqrt(d_t)    q, k: columns of candidate and event, search tables
    N    = the K events of largest s_j                       p(j): place from the question, in groups of equal time
    h(t) = sum_{j in N} softmax_N(s)_j [r_j ; m_p(j)]        r: the same columns, representation tables
    p(t) = sigmoid(Tower([r_t ; h(t) ; r_t * h(t) ; user ; context ; log(1 + L)]))

In training a second tower reads the same sum over all events (softmax over L instead of K) and its loss is added: it
gives gradients to events that the search does not find. Answers come from the first tower alone.

A history is searched in blocks with one number per event and candidate; only K events of each candidate are gathered,
so 50,000 events cost a matrix product. Fewer dimensions of the search's tables (`search_dim`, `search_side`) make the
search cheaper and leave the representation as it is.

`tables` chooses what is compared with it: `one` shares everything (the two-stage model it repairs), `projected` shares
tables and gives each role a matrix, `four` separates candidates from events as well. `search` chooses how events are
found: by s, by the candidate's category, by hashes of the search's vectors, or not at all (`all`: full attention).
`ethogram.rank.dare.interference` reports on the two roles: who pulls shared vectors harder, how often against each
other, and how well a model's attention agrees with what past events tell about the answer.

Deviations: m stands beside the sum for the product as well, since a candidate's own place is one constant vector that a
layer of the tower can hold; the matrix of the representation under `projected` acts on events, the tower's first layer
on the candidate; places are counted in groups of equal time; binary cross-entropy with one output for the softmax with
two; dropout for batch normalisation, which one candidate alone would not have; Adam on touched rows, mini-batch aware
L2. K = 20, 16 dimensions and 200 places are those of the authors' code, in which an item's column has 16 each.

Reference: N. Feng, J. Pang, J. Wu, B. Chen, X. Wang, Q. Li, X. Hu, J. Jiang, M. Long: Long-Sequence Recommendation
Models Need Decoupled Embeddings. ICLR 2025.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from ethogram.errors import OptionError
from ethogram.nn.slate_system import SlateSystem
from ethogram.options import searched
from ethogram.system import system
from ethogram.verbs import Candidates, Histories, Table


@system(
    "dare",
    paper="Long-Sequence Recommendation Models Need Decoupled Embeddings",
    year=2025,
    area="rank",
    verbs=("score", "explain"),
    needs=("torch",),
)
@dataclass(kw_only=True)
class DARE(SlateSystem):
    """Search and representation of a long history from embedding tables of their own."""

    tables: Literal["two", "one", "projected", "four"] = "two"
    "Search and representation apart, shared, shared with a matrix each, or candidates and events apart as well."
    search: Literal["dot", "all", "category", "hash"] = "dot"
    "How events are found: largest score, all of them, the candidate's category, or nearest hashes."
    keep: int = searched(20, among=(10, 20, 50))
    "Events K that the search keeps for each candidate."
    category: str | None = None
    "Item column that `search='category'` goes by."
    search_dim: int = searched(16, among=(4, 8, 16))
    "Width of the item identity's embedding in the search; with shared tables it is `dim`."
    search_side: int = 16
    "Width of the search's embeddings of all other columns; with shared tables it is `side`."
    places: int = 200
    "Places from the end that are told apart; events further back share the last."
    place: int = 8
    "Width of a place's embedding."
    auxiliary: bool = True
    "Whether a second tower learns from attention over all events."
    hashes: int = 48
    "Hash functions of `search='hash'`, a multiple of 3."
    cross: Literal["none", "product"] = "product"
    "Whether the product of candidate and found events also enters the tower."
    dim: int = 16
    side: int = 16
    "Width of the embeddings of all other columns."
    last: int | None = searched(200, among=(50, 200, 1_000))
    "Events of the history that are read, from the end; none reads all."

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("keep", "search_dim", "search_side", "places", "place"):
            if getattr(self, name) < 1:
                raise OptionError(f"dare: {name} = {getattr(self, name)}; give 1 or more.")
        if self.hashes < 3 or self.hashes % 3:
            raise OptionError(f"dare: hashes = {self.hashes} is not a multiple of 3 from 3.")
        if self.search == "category" and self.category is None:
            raise OptionError("dare: search='category' needs category=, the item column to search by.")

    def _interest(self, width: int) -> Any:
        from ethogram.nn.decoupled import Decoupled

        return Decoupled(
            width, tables=self.tables, search=self.search, keep=self.keep, dim=self.search_dim, side=self.search_side,
            place=self.place, places=self.places, several=self.auxiliary, hashes=(self.hashes, 3),
            own=(self.dim, self.side),
        )  # fmt: skip

    def explain(self, histories: Histories, candidates: Candidates, k: int = 3) -> Table:
        """The past events that the search finds for each candidate, by their share of the attention."""
        return self.fitted.explain(histories, candidates, k)
