"""Recommends places in another town: what somebody likes at home, and what people travel there for.

    h_u    = read-out of a gated graph of the visits at home                    home preference (`nn.session_graph`)
    theta  = what a trip is about, phi_k = what intention k visits              `nn.topics`, K intentions t_k
    beta   = softmax over k of (W_1 t_k) . h_u,     intent_u = sum_k beta_k t_k         the traveller's intention
    o_u    is free for each traveller of training, fitted to the visits: a matrix factorisation with P
    o^_u   = tanh(M h_u + b)                                                    what h_u makes of it elsewhere
    P      = relu(G E W + b),   G_ij ~ exp(-distance / scale)                   places (`numeric.geography`)
    score  = relu(W_f [intent_u ; o_u] + b) . P_i + b_i   in training; with o^_u in the place of o_u ever after

    L = .05 BPR + .05 mean (o^_u - o_u)^2 + .9 [-sum over visited places of ln(theta phi) + KL]

BPR is over visited places against others of the same town. Theta is made from the trip itself, so it only teaches and
is never asked in a score. What is home and what a trip stands in `numeric.trips`; a trip is all that a person visited
in one other town. `among` names the places of the destination; without it all that travellers visited are judged.

A traveller of whom nothing is known at home is answered by what is popular among travellers; a place that no traveller
visited gets less than any other; a history longer than `length` is cut to its end. A person who never left town
teaches nothing; a log in which nobody did is refused.

Deviations: phi is a distribution in each town, so that intentions are not spent on telling towns apart (with one town
it is the paper's); items and places also have a vector of their `category`, so an unknown bar at home is still a bar;
places have a bias b_i that begins at what is popular (`popular`), without which a few thousand trips do not even teach
that; the topic model may learn alone first (`warm`), so that there are intentions however early validation stops the
rest; `mapped` gives a share of BPR to o^_u, which is what is asked later; KL has the log of the variance everywhere
(the paper's code mixes it with the log of the deviation).

Reference: H. Xin, X. Lu, T. Xu, H. Liu, J. Gu, D. Dou, H. Xiong: Out-of-Town Recommendation with Travel Intention
Modeling. AAAI 2021.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pyarrow as pa

from ethogram.errors import OptionError
from ethogram.numeric.factor_system import check
from ethogram.numeric.fitted_verbs import Alike, Explained, FitsLater, Scored
from ethogram.options import searched
from ethogram.system import system
from ethogram.verbs import Histories, Table

if TYPE_CHECKING:
    from ethogram.recommend.trainor.fitted import Fitted


@system(
    "trainor",
    paper="Out-of-Town Recommendation with Travel Intention Modeling",
    year=2021,
    area="recommend",
    verbs=("score", "recommend", "explain", "similar_items"),
    needs=("torch",),
)
@dataclass(kw_only=True)
class TRAINOR(FitsLater, Scored, Explained, Alike):
    """Places in another town, by the visits at home and by what people travel there for.

    `explain` names visits at home. Its column `component` says whether a visit speaks through the travel intention or
    the home preference; `intention` and `purpose` are the number and the name of the traveller's intention that the
    place serves most. `similar_items` compares places that travellers visited.
    """

    dim: int = searched(64, among=(32, 64, 128))
    "Width of all vectors."
    intentions_count: int = 15
    "Intentions K."
    intent: Literal["personal", "general", "none"] = "personal"
    "The intention is the traveller's, the same for all, or left out (what is left is a transfer like EMCDR's)."
    graph: bool = True
    "Visits at home speak to each other along the graph before they are read."
    mapping: Literal["tanh", "linear", "none"] = "tanh"
    "How the home preference becomes that elsewhere; none leaves it and the factors o_u out."
    geography: bool = True
    "Places take from places near them, where coordinates are known."
    popular: bool = True
    "Places have a bias, which begins at the logarithm of how often travellers visited them; the paper's have none."
    scale: float = searched(0.5, 0.1, 5.0, log=True)
    "Distance at which a neighbour's weight has fallen to 1 / e, kilometres."
    nearest: int = 64
    "Neighbours of a place that count, itself among them."
    trip: str = "trip"
    "Kind of the events that are of trips; where the log has none, towns tell."
    town: str = "town"
    "Column of the items' table that names their town."
    category: str | None = "category"
    "Column of the items' table whose vector joins that of the item; none leaves it out."
    coordinates: tuple[str, str] = ("lat", "lon")
    "Columns of the items' table with latitude and longitude, degrees."
    length: int = 100
    "Visits at home that are read, the latest."
    rank_weight: float = 0.05
    "Weight of BPR."
    transfer_weight: float = 0.05
    "Weight of the distance of o^_u from o_u."
    topic_weight: float = 0.9
    "Weight of the topic model's loss."
    warm: int = 60
    "Passes over the trips in which the topic model learns alone, before all learn together; the paper has none."
    mapped: float = searched(0.0, 0.0, 1.0)
    "Share of BPR that is of o^_u, the rest being of o_u."
    samples: int = 50
    "Other places drawn against each visited one, in each epoch."
    deviation: float = 0.1
    "Standard deviation of vectors at the start."
    lr: float = searched(3e-3, 3e-4, 1e-2, log=True)
    "Step size of Adam."
    l2: float = 1e-5
    "Weight decay."
    batch: int = 100
    "Trips per step."
    epochs: int = 60
    "Passes over the trips, at most."
    patience: int = 10
    "Epochs without a better validation NDCG@10, among the places of the destination, before it stops."
    questions: int | None = 4_096
    "Validation trips that decide when to stop, drawn once; none takes all."

    def _fits(self) -> type[Fitted]:
        from ethogram.recommend.trainor.fitted import Fitted

        return Fitted

    def _check(self) -> None:
        above = ("dim", "intentions_count", "scale", "nearest", "length", "samples", "lr", "batch", "epochs")
        least = ("warm", "rank_weight", "transfer_weight", "topic_weight", "deviation", "l2")
        check(self, above=above, least=least)
        if not 0 <= self.mapped <= 1:
            raise OptionError(f"trainor: mapped = {self.mapped} is not a share.")
        if self.intent == "none" and self.mapping == "none":
            raise OptionError("trainor: with neither intentions nor a mapping nothing of the traveller is left.")

    def intentions(self, k: int = 5) -> Table:
        """What each intention is about: its k most visited places in each town, and the k categories that tell most.

        Columns `intention`, `purpose` (its name), `what` (place or category), `town`, `name`, `share` (phi of a place
        in its town; a category's share of phi), `rank`.
        """
        from ethogram.recommend.trainor.explaining import intentions

        return intentions(self._with_intent(), k)

    def purposes(self, histories: Histories) -> Table:
        """What each traveller would go for: `question`, `intention`, `purpose`, `share` (beta), `rank`."""
        from ethogram.recommend.trainor.explaining import mixtures, names

        fitted = self._with_intent()
        beta = mixtures(fitted, histories)
        order = np.argsort(-beta, axis=1, kind="stable")
        n, width = beta.shape
        return pa.table(
            {
                "question": np.repeat(np.arange(n), width),
                "intention": order.reshape(-1),
                "purpose": pa.array(names(fitted)).take(pa.array(order.reshape(-1))),
                "share": np.take_along_axis(beta, order, 1).reshape(-1).astype(np.float64),
                "rank": np.tile(np.arange(1, width + 1), n),
            }
        )

    def _with_intent(self) -> Fitted:
        fitted: Fitted = self.fitted
        if self.intent == "none":
            raise OptionError("trainor: fitted with intent='none'; there are no intentions.")
        return fitted
