"""Groups transactions whose clicks before paying look alike, and says which groups are risky, how much money the
real-time engine missed in them, and why, in rules that the engine can run.

    z        a Bi-LSTM over pages with attention to the time spent, learned without labels      (`nn.time_attention`)
    x        [ sqrt(w) z / sigma_z ; sqrt(1 - w) f / sigma_f ]       f: scaled numbers of experts         (`vectors`)
    cluster  HDBSCAN on x; a new transaction joins by the vote of its neighbours                     (`numeric.density`)
    risk     P( odds of the cluster's tag rate > c * odds of all | its tags and declines )                  (`cards`)
    rules    sequential covering on what people can read: the experts' numbers, visits, seconds, steps of the group's
             path                                                            (`mining`, `steps`, `numeric.rules`)
    note     a template, or a language model's words with the card's numbers                             (`narrative`)

A log says: `session` (the transaction; else visits, cut at silence), `item` and `kind` (page and its type), `time`, and
on any event of a session, the amount (`value`), a tag (`label`; what is not tagged so far is 0 or empty), whether the
engine `declined`, and further columns of the experts.

Deviations: token vectors begin from the matrix that skip-gram factorises; besides predicting the next event and the bag
of events, two thinned views of a session are to find each other (a step towards sessions that a detour does not move);
neighbours are searched on CPUs, exactly up to a size; seconds enter by attention and by the bag, not by the tokens.

Reference: W. Min, W. Liang, H. Yin, Z. Wang, M. Li, A. Lal: Explainable Deep Behavioral Sequence Clustering for
Transaction Fraud Detection. 2021.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import pyarrow as pa

from ethogram.errors import NotFitted, OptionError, StepError
from ethogram.log.condition import duration
from ethogram.numeric.rules import Rule
from ethogram.options import searched
from ethogram.risk.fin_deep_cluster import narrative, telling
from ethogram.risk.fin_deep_cluster.cards import Belief, Cards, cards
from ethogram.risk.fin_deep_cluster.cases import Cases, cases
from ethogram.risk.fin_deep_cluster.mining import mined
from ethogram.risk.fin_deep_cluster.narrative import Note
from ethogram.risk.fin_deep_cluster.steps import Step, counted, meanings, steps
from ethogram.risk.fin_deep_cluster.vectors import Scales, Tokens, hybrid, paired, spread
from ethogram.system import system
from ethogram.verbs import Log, State, Table, Watch

if TYPE_CHECKING:
    from ethogram.nn.time_attention import TimeAttention
    from ethogram.numeric.density import Density

SAME = 1e-4
"""A case as near as this to one of the fit is that case: the spread of all of them is 1."""


@dataclass(eq=False)
class Fitted:
    """What one run has found."""

    tokens: Tokens
    scales: Scales
    spreads: tuple[float, float]
    network: TimeAttention
    density: Density
    cards: Cards
    rules: dict[int, list[Rule]]
    shares: dict[int, list[tuple[float, ...]]]
    paths: dict[int, tuple[Step, ...]]
    notes: dict[int, Note]


@system(
    "fin_deep_cluster",
    paper="Explainable Deep Behavioral Sequence Clustering for Transaction Fraud Detection",
    year=2021,
    area="risk",
    verbs=("assess", "assign"),
    needs=("torch",),
)
@dataclass(kw_only=True)
class FinDeepCluster:
    """See the module."""

    features: tuple[str, ...] | None = None
    "Columns that experts look at; none takes all further columns of the log, and the amount."
    gap: str = "30m"
    "Silence that ends a session, where the log has no role `session`."
    declined: str = "declined"
    "Column that says whether the real-time engine declined (1 or 0)."
    dwell: str = "dwell"
    "Column of seconds on a page; where the log has none, the time until the session's next event."
    longest: int = 60
    "Events that are read of a session, the last ones."
    weight: float = searched(0.8, 0.0, 1.0)
    "Share of the mean squared distance that comes from the clicks; the rest from the experts' numbers."
    pooling: Literal["time", "plain", "even"] = "time"
    "Attention with seconds, without them, or the mean over all pages."
    timed: bool = True
    "A session is rebuilt as the time spent on each page; else as how often each was seen."
    dim: int = 32
    "Width of token vectors."
    hidden: int = 64
    "Width of each direction of the LSTM."
    out: int = 48
    "Width of z."
    beta: float = 1.0
    "Weight of rebuilding the session from z, beside predicting the next event."
    gamma: float = 1.0
    "Weight of two thinned views of a session finding each other."
    epochs: int = 4
    "Passes over the sessions."
    batch: int = 256
    "Sessions in a step."
    lr: float = searched(3e-3, 3e-4, 1e-2, log=True)
    "Learning rate."
    min_cluster_size: int = searched(10, 5, 50)
    "Fewest transactions of a cluster."
    min_samples: int = searched(5, 2, 30)
    "Neighbours, itself counted, that make a place dense."
    selection: Literal["eom", "leaf"] = "leaf"
    "Clusters of the largest excess of mass, or the finest."
    backend: Literal["auto", "exact", "faiss", "hnsw", "descent"] = "auto"
    "Who searches neighbours; see `numeric.density`."
    times: float = 3.0
    "A cluster is risky where the odds of its tag rate exceed so many times those of all."
    level: float = 0.95
    "Probability of that from which it is flagged."
    weak: float = 0.3
    "What a decline without a tag counts, in tags."
    prior: float = 10.0
    "Cases of the base rate in the prior of each cluster's."
    window: str = "1d"
    "Length of the windows between which growth is measured."
    conditions: int = 4
    "Conditions of a rule, at most."
    rules: int = 2
    "Rules of a cluster, at most."
    lm: Any = None
    "Language model that rewrites the notes, an LM or where to connect to one; none leaves the template."

    def fit(self, train: Log, valid: Log | None = None, *, seed: int = 0, watch: Watch | None = None) -> Self:
        """One run: learn from the clicks, cluster, judge, describe. `valid` is not used.

        Raises
        ------
        RolesError
            See `cases.cases`.
        OptionError
            A number that cannot be, or `weight` leaves only columns that the log does not have. StepError: the log has
            no events, neither sessions nor a clock, or too few cases for any cluster.
        """
        self._check()
        from ethogram.nn.time_attention import TimeAttention, learn, vectors

        held = self._cases(train)
        self._enough(held)
        tokens, scales = Tokens.of(held), Scales.of(held.known)
        codes = tokens.codes(held)
        network = TimeAttention(
            len(tokens), dim=self.dim, hidden=self.hidden, out=self.out, pooling=self.pooling,
            vectors=paired(codes, held.offsets, len(tokens), self.dim), seed=seed,
        )  # fmt: skip
        clicks = telling.clicks(held, codes)
        if self.weight > 0:
            learn(network, clicks, epochs=self.epochs, batch=self.batch, lr=self.lr, beta=self.beta, gamma=self.gamma,
                  timed=self.timed, seed=seed, watch=watch)  # fmt: skip
        network.eval()
        z, f = vectors(network, clicks), scales.apply(held.known, len(held))
        spreads = spread(z), spread(f)
        x = hybrid(z, f, self.weight, spreads)
        found = self._clusters(x, seed)
        labels = found.labels
        made = cards(held, labels, self._belief, duration(self.window))
        rows = telling.columns(held, tokens)
        paths = {c: steps(held, labels == c) for c in np.flatnonzero(made.flagged).tolist()}
        wide = {c: {**rows, **counted(held, {c: path})} for c, path in paths.items()}
        rules = mined(wide.__getitem__, labels, made.flagged, x, most=self.conditions, count=self.rules, seed=seed)
        shares = {c: [telling.weights(r, wide[c], labels == c) for r in own] for c, own in rules.items()}
        notes = telling.notes(held, codes, tokens.names, labels, made, rules)
        self.fitted: Fitted | Any = Fitted(tokens, scales, spreads, network, found, made, rules, shares, paths, notes)
        if self._lm is not None:
            self.narrate(self._lm)
        return self

    def assess(self, log: Log) -> Table:
        """One row per case: `user`, `session`, `risk` (that its cluster is risky), `cluster` (-1: none), `probability`
        (of belonging to it), `flagged`, `reason` (a sentence) and `reasons` (what, value, share; shares add up to 1).
        """
        held = self._cases(log)
        labels, probability = self._placed(held)
        rows = self._columns(held)
        reason, reasons = telling.reasons(labels, rows, self.fitted)
        return self._told(held, labels, probability, reason=reason, reasons=reasons)

    def assign(self, log: Log) -> Table:
        """One row per case, known or new: `user`, `session`, `cluster`, `probability`, `risk`, `flagged`."""
        held = self._cases(log)
        labels, probability = self._placed(held)
        order = ["user", "session", "cluster", "probability", "risk", "flagged"]
        return self._told(held, labels, probability).select(order)

    def cards(self) -> Table:
        """One row per cluster of the fit, the riskiest first; rules also as JsonLogic and SQL over `table`."""
        return telling.card_table(self.fitted)

    def table(self, log: Log) -> Table:
        """The columns that rules are about, one row per case: `user`, `session`, numbers and texts (null: unknown).

        What a streaming scorer computes before it applies exported rules.
        """
        held = self._cases(log)
        told = {n: pa.array(v, from_pandas=True) for n, v in self._columns(held).items()}  # NaN becomes null
        return pa.table({"user": held.user, "session": held.session, **told})

    def mined(self) -> dict[int, list[Rule]]:
        """Cluster -> its rules, best first; only flagged clusters have any."""
        return dict(self.fitted.rules)

    def narrate(self, lm: Any) -> dict[str, int]:
        """Have a language model tell the notes of flagged groups anew: how many it told, by what became of them.

        `lm` is an LM or where to connect to one. A text that states a number that is not on the card is refused: the
        template stays, and `told_by` of the card says so.
        """
        if self.fitted is None:
            raise NotFitted("fin_deep_cluster: narrate before fit; call fit(log), or load a saved system.")
        self.fitted.notes = narrative.narrated(self.fitted.notes, _connected(lm))
        return narrative.counted(self.fitted.notes)

    def columns(self) -> dict[str, str]:
        """Column of `table` -> what it says, for those that are a group's own."""
        return meanings(self.fitted.paths)

    def vectors(self, log: Log) -> np.ndarray:
        """x of every case, float32[n, d], in the order of `assess`."""
        return self._vectors(self._cases(log))

    def _cases(self, log: Log) -> Cases:
        return cases(log, gap=self.gap, features=self.features, declined=self.declined, dwell=self.dwell,
                     longest=self.longest)  # fmt: skip

    def _columns(self, held: Cases) -> dict[str, np.ndarray]:
        return {**telling.columns(held, self.fitted.tokens), **counted(held, self.fitted.paths)}

    def _vectors(self, held: Cases) -> np.ndarray:
        from ethogram.nn.time_attention import vectors

        made: Fitted = self.fitted
        z = vectors(made.network, telling.clicks(held, made.tokens.codes(held)))
        return hybrid(z, made.scales.apply(held.known, len(held)), self.weight, made.spreads)

    def _enough(self, held: Cases) -> None:
        if not len(held):
            raise StepError("fin_deep_cluster: the log has no events.")
        if len(held) < 2 * self.min_cluster_size:
            raise StepError(
                f"fin_deep_cluster: {len(held):,} transactions are too few to tell a group of "
                f"{self.min_cluster_size} (min_cluster_size) from the others; fit on {2 * self.min_cluster_size} or "
                "more, or give a smaller min_cluster_size."
            )
        if self.weight == 0 and not held.known:
            raise OptionError(
                "fin_deep_cluster: weight = 0 leaves out the clicks, and the log has no column that experts look at; "
                "give a weight above 0, or a log with such columns."
            )

    def _clusters(self, x: np.ndarray, seed: int) -> Density:
        from ethogram.numeric.density import density

        return density(x, min_cluster_size=self.min_cluster_size, min_samples=self.min_samples, backend=self.backend,
                       selection=self.selection, seed=seed)  # fmt: skip

    def _placed(self, held: Cases) -> tuple[np.ndarray, np.ndarray]:
        """Cluster and probability of each case: its own where the fit has met it, else by its neighbours."""
        from ethogram.numeric.density import assign, exact

        found: Density = self.fitted.density
        labels, probability = np.full(len(held), -1, np.int32), np.zeros(len(held), np.float32)
        if not len(held):
            return labels, probability
        x = self._vectors(held).astype(found.points.dtype)
        distance, code = exact.nearest(found.points, 1, x)
        known = distance[:, 0] <= SAME
        labels[known], probability[known] = found.labels[code[known, 0]], found.probabilities[code[known, 0]]
        if not known.all():
            labels[~known], probability[~known] = assign(found, x[~known])
        return labels, probability

    def _told(self, held: Cases, labels: np.ndarray, probability: np.ndarray, **more: Any) -> Table:
        made: Cards = self.fitted.cards
        risk = np.append(made.risk, made.noise)[labels]  # -1 reads the last
        told = {
            "user": held.user, "session": held.session, "risk": risk, "cluster": pa.array(labels, pa.int32()),
            "probability": probability.astype(np.float64), "flagged": np.append(made.flagged, False)[labels],
        }  # fmt: skip
        return pa.table({**told, **more})

    @property
    def _belief(self) -> Belief:
        return Belief(self.times, self.level, self.weak, self.prior)

    @cached_property
    def _lm(self) -> Any:
        return None if self.lm is None else _connected(self.lm)

    def _check(self) -> None:
        for wrong, text in (
            (not 0 <= self.weight <= 1, f"weight = {self.weight}; a share in [0, 1]"),
            (min(self.longest, self.epochs, self.batch, self.rules, self.conditions) < 1, "longest, epochs, batch, "
             "rules, conditions: 1 or more"),
            (self.min_cluster_size < 2 or self.min_samples < 1, "min_cluster_size from 2, min_samples from 1"),
            (self.min_samples > self.min_cluster_size, f"min_samples = {self.min_samples} is more than "
             f"min_cluster_size = {self.min_cluster_size}: no cluster could be so small"),
            (not (self.times > 0 and 0 < self.level < 1 and self.prior > 0), "times, prior above 0, level in (0, 1)"),
            (not 0 <= self.weak <= 1, f"weak = {self.weak}; a share in [0, 1]"),
            (min(self.beta, self.gamma) < 0 or not self.lr > 0, "beta and gamma from 0, lr above 0"),
            (duration(self.window) < 1, f"window = '{self.window}' has no length"),
        ):  # fmt: skip
            if wrong:
                raise OptionError(f"fin_deep_cluster: {text}.")

    def state(self) -> State:
        return telling.state(self.fitted)

    def restore(self, state: State) -> Self:
        self.fitted = telling.restored(state, self)
        return self


def _connected(lm: Any) -> Any:
    if not isinstance(lm, str):
        return lm
    from ethogram.lm import LM

    return LM.connect(lm)
