"""Says how likely somebody is to default, from months of payments read merchant by merchant, and which merchant's story
speaks for it.

A long sequence of payments is folded: each merchant's payments, oldest first, are a sequence of their own, so that a
rent that comes later every month or repayments that grow are seen, and all of them run side by side.

    fold         merchants m = 1 ... M of a person (the first `merchants` by count, amount or recency; the others pooled
                 by category), of each the last N payments (`payments`); ragged, nothing is padded
    payment      x_mn = gelu(sum_f g_f v_f), gates g_f = 2 sigmoid(G [v_1; ...; v_F] + c)      (`nn.fields`)
                 v of: merchant and category (embeddings); description (hashed words and pieces); time (hour, weekday,
                 day of the month as sin and cos; log days since the last payment here, against the usual; log days to
                 the decision); amount (log(1 + |a|), sign, ratio to the person's own median and to the usual here,
                 embedding of its quantile); further columns (direction, channel)
    merchant     h_m1 ... h_mN = GRU(x_m1 ... x_mN) (or a causal transformer; equal times are one step)
                 z_m = norm( sum_n a_mn h_mn + mean_n x_mn + W s_m + e_m )
                 a_mn = softmax_n( w . tanh(A [h_mn; tau_mn]) )
                 v_m = norm( z_m + P gelu(Q z_m) )
                 tau: log days to the decision; s: log count, log sum, slope of monthly sums, days since last and first,
                 log mean amount, of all payments there; e: embeddings of merchant and category
    person       u = set transformer over v_1 ... v_M, read at a [USER] token; no positions     (`nn.sets`)
    risk         c(MLP [u; max_m v_m; profile]), max by component; c monotone, learned on the validation part

Trained by cross-entropy or focal loss, both outcomes weighing the same, and beside it by telling each payment's
successor at its merchant from its state (log days between, amount against the usual there; smooth absolute error),
which everybody's payments teach. The name of a share `hide` of the merchants is hidden in each step: Adam moves the
vector of a rare merchant as far as that of a frequent one, so that the few defaulters were known by the shops they went
to before their pattern was found (one fit in three then learned nothing that held for others).
Training stops by the log-loss of the calibrated probabilities on the validation part. The share of a merchant in an
answer is |z - z without the merchant|, of the sum over merchants; what changed there is read off its payments. With
``why="attention"`` it is the [USER] token's attention in the last layer (mean of its heads, of all merchants'), which
the paper looks at: where the model looked, not what would have changed its mind. Of 34 people of a validation part in
whose payments trouble was planted at one merchant and who defaulted, the first way named it for all, the second for
one; whether attention finds it changes from fit to fit, as the maximum over merchants can do without it.

Deviations and readings (unconfirmed in the paper): merchants of fewer than `least` people are known by their category;
the ratio of amount and gap to what is usual at the merchant, the mean of the payments around the recurrence and the
maximum over merchants beside the token are ours (without the maximum a single bad merchant among thirty was found late
or never). The next payment is told all along, not in a training of its own before; a bias of merchants that occur
together is not built. Options fold by other columns, by chunks of time, by chance, or not at all, which are the paper's
baselines (``fold="all"`` reads the last `payments` payments as one sequence).

Chosen by that log-loss on validation parts, of a population that no claim uses (seed 100, two seeds of the weights):
telling the next payment with weight 0.5 (0.105 and 0.105; 1.5: 0.114 and 0.106; 0: 0.137 for the first); and of the one
on which a fit had learned nothing (seed 0): hiding names (0.129, AUC 0.90; not hidden 0.204, that of the bad rate
alone, AUC 0.53), at this learning rate (0.133 at 2e-3).

Measured: `claims/risk/lbsf.py`; the results page says where boosting on aggregates (`payment_aggregates`) wins.

Y. Qiao et al.: Financial Risk Assessment via Long-term Payment Behavior Sequence Folding. ICDM 2024.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, Self

import numpy as np
import pyarrow as pa

from ethogram.errors import OptionError
from ethogram.numeric.deciding import Deciding
from ethogram.options import searched
from ethogram.system import system
from ethogram.verbs import Log, State, Table, Watch

if TYPE_CHECKING:
    from ethogram.numeric.calibrate import Calibration
    from ethogram.risk.lbsf.encoding import Books
    from ethogram.risk.lbsf.network import FoldedNetwork

__all__ = ["FIELDS", "LBSF"]

FIELDS = ("merchant", "text", "time", "amount", "category", "columns")
"""What of a payment can be read."""


class Fitted(NamedTuple):
    books: Books
    network: FoldedNetwork
    calibration: Calibration
    text: bool
    facts: dict[str, float]


@system(
    "lbsf",
    paper="Financial Risk Assessment via Long-term Payment Behavior Sequence Folding",
    year=2024,
    area="risk",
    verbs=("assess",),
    needs=("torch",),
)
@dataclass(kw_only=True)
class LBSF(Deciding):
    """See the module."""

    fold: str = "item"
    "What payments are folded by: a column of the events or items; time (chunks), random, or all (not at all)."
    chunk: float = 30.0
    "Days of a chunk, for fold=time."
    merchants: int = 24
    "Groups of their own per person (M); the others are pooled by category."
    rank: Literal["count", "amount", "recency"] = "amount"
    "Which groups are the first."
    payments: int = 16
    "Payments read per group (N), the last ones."
    days: float | None = None
    "Days before the decision that are read; all without."
    category: str = "category"
    "Column that pools the other groups and that a payment's category is read from."
    text: str = "description"
    "Column of descriptions: a column of names, or the log's texts."
    columns: tuple[str, ...] = ("direction", "channel")
    "Further columns of names of a payment; those that the log lacks are passed over."
    fields: tuple[str, ...] = FIELDS
    "What is read of a payment."
    least: int = 20
    "People that a merchant must have in training to be known by its name."
    hide: float = 0.7
    "Share of the merchants whose name is hidden in training, drawn anew each time; none where `category` is the item."
    bins: int = 10
    "Quantiles of amounts that have an embedding."
    dim: int = searched(32, among=(16, 32, 64))
    "Width of payments, merchants and people."
    encoder: Literal["gru", "transformer", "mean"] = "gru"
    "What reads a merchant's payments; mean ignores their order."
    layers: int = 1
    "Layers of a transformer that reads payments."
    relation: Literal["transformer", "mean"] = "transformer"
    "What relates merchants to each other; mean does not."
    relations: int = 2
    "Layers of attention between merchants, the token's included."
    peak: bool = True
    "Whether the head reads, beside the token, each number's largest value over the merchants."
    heads: int = 2
    "Heads of each attention."
    dropout: float = searched(0.3, 0.0, 0.5)
    "Share of values dropped in training."
    focal: float = 0.0
    "Exponent of the focal loss; 0 is cross-entropy."
    balance: bool = True
    "Whether both outcomes weigh the same in training; calibration brings the probabilities back."
    probabilities: Literal["sigmoid", "isotonic", "raw"] = "sigmoid"
    "How scores become probabilities on the validation part."
    why: Literal["without", "attention"] = "without"
    "What a merchant's share is: how far the answer would move without it (three times the work), or attention."
    reasons: int = 3
    "Merchants that are named for each person."
    waves: int = 0
    "Learned waves sin(w t + b) of the days to the decision beside the other numbers of time (Time2Vec)."
    next: float = 0.5
    "Weight of telling each payment's successor at the same merchant, in training; nothing with encoder=mean."
    epochs: int = 10
    "Passes over the training people at most."
    patience: int = 4
    "Epochs without a better validation loss before it stops."
    batch: int = 32
    "People per step."
    learning_rate: float = searched(5e-3, 5e-4, 1e-2, log=True)
    "Of Adam."
    decay: float = searched(1e-2, 1e-6, 1e-1, log=True)
    "Decoupled weight decay."

    def __post_init__(self) -> None:
        wrong = [f for f in self.fields if f not in FIELDS]
        if wrong or not set(self.fields) & {"merchant", "time"}:
            raise OptionError(f"lbsf: fields = {self.fields}; give some of {', '.join(FIELDS)}, merchant or time too.")
        if self.dim < 2 or self.dim % self.heads or min(self.reasons, self.epochs, self.batch, self.bins) < 1:
            raise OptionError(
                f"lbsf: dim = {self.dim}, heads = {self.heads}, reasons = {self.reasons}, epochs = {self.epochs}, "
                f"batch = {self.batch}, bins = {self.bins}; heads divide dim, the others are 1 or more."
            )
        if self.waves < 0 or self.next < 0 or not 0 <= self.hide <= 1:
            raise OptionError(
                f"lbsf: waves = {self.waves}, next = {self.next}, hide = {self.hide}; give 0 or more, hide at most 1."
            )
        self.check_profile("lbsf")

    def fit(self, train: Log, valid: Log | None = None, *, seed: int = 0, watch: Watch | None = None) -> Self:
        """Learn from people whose outcome is known; without a validation part the latest 15% decided are held out.

        Raises
        ------
        LeakError
            Payments lie at or behind a decision. RolesError: a column is missing. OptionError: no outcome of each kind.
        """
        from ethogram.risk.lbsf.fitted import fit

        self.fitted = fit(self, self.cases(train, needed=True), valid and self.cases(valid), seed, watch)
        return self

    def assess(self, log: Log) -> Table:
        """One row per user that has events.

        Columns `user`, `time` (the decision), `risk` (calibrated probability, float64), `reason` (a sentence),
        `reasons` (list of structs: `what`, a merchant; `value`, what changed there; `share`, see `why`, float64).
        The schema's metadata, `summary`, says what was learned from and what was left out.
        """
        from ethogram.risk.lbsf.fitted import judge, missed
        from ethogram.risk.lbsf.reasons import reasons

        found = self.cases(log)
        encoded, logit, share = judge(self, self.fitted, found)
        share, moved = (share, None) if self.why == "attention" else missed(self, self.fitted, encoded)
        said, listed = reasons(encoded, share, moved, self.reasons, self.category, self.fold)
        risk = np.clip(self.fitted.calibration(logit), 0.0, 1.0)
        told = {**self.fitted.facts, "payments behind decisions, cut": found.cut, "payments twice": encoded.repeats}
        made = {
            "user": found.ids, "time": pa.array(found.decided, pa.timestamp("us", "UTC")), "risk": risk,
            "reason": said, "reasons": listed,
        }  # fmt: skip
        return pa.table(made).replace_schema_metadata({"summary": json.dumps([told])})

    def state(self) -> State:
        from ethogram.nn import saved

        f: Fitted = self.fitted
        told = {"books": f.books.json(), "calibration": f.calibration.json(), "text": f.text, "facts": f.facts}
        return State(saved.arrays(f.network), json=told)

    def restore(self, state: State) -> Self:
        from ethogram.risk.lbsf.fitted import restored

        self.fitted = restored(self, state)
        return self
