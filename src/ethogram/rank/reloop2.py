"""Corrects a deployed ranker within minutes: it remembers where the ranker was wrong lately and compensates.

    e_i  = y_i - p(x_i)                                              written once the label is known
    n(x) = sum_i u_i,  s(x) = sum_i u_i e_i                          over what is in the memory,
    u_i  = w_i 2^(-(now - t_i) / half_life) K(k(x), k(x_i))
    err  = s / (n + n0)                                              n0 = `prior` answers of error 0
    p'   = clip(p + lambda err, 1e-6, 1 - 1e-6)                      lambda = `strength`
    or, with on = "logit",   logit p' = logit p + lambda s / (v + n0 / 4),   v = sum_i u_i p_i (1 - p_i)

The slow learner is any fitted ranking system (`base`); the fast one is the memory (`ethogram.nn.error_memory`): a
sketch of `repeats` SimHash tables of 2^bits cells, K = (1 - theta / pi)^bits in expectation, with constant time per
access and fixed bytes; or the `neighbours` nearest of what is held, K = exp((cos theta - 1) / temperature). Keys k: the
last hidden layer of a network, centred on training and brought to length 1, beside a vector of the request's own
columns (`ethogram.numeric.identity`), which stands alone for a base without a network. Nothing is read with the label
of its own request: `score` never writes, and `update` reads before it writes.

`fit` lets the base learn from `train`, then walks through `valid` in the order of time, predicting each tenth before
it writes it. lambda, unless given, is the one of least log-loss among 0, .1, .2, .3, .5, .7, 1 over the answers that
were revealed so far, which are forgotten at the same half-life: it stays small while the base is right.

`slow_lr` also lets the base itself take steps on each block of answers, and then keys come from a copy of it as it was
fitted, so that the space of keys does not move under the memory.

Unconfirmed in the paper, chosen here: the normalisation (s / (n + n0) for both kinds; the paper's softmax is n0 = 0),
the shrinkage by support, forgetting by half-life, the choice of lambda, the centring.

Reference: J. Zhu, G. Cai, J. Huang, Z. Dong, R. Tang, W. Zhang: ReLoop2: Building Self-Adaptive Recommendation Models
via Responsive Error Compensation Loop. KDD 2023.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
import pyarrow as pa

from ethogram.errors import NotFitted, OptionError, StepError
from ethogram.log.condition import duration
from ethogram.numeric.calibrated import Calibrated
from ethogram.system import system
from ethogram.verbs import Candidates, Histories, Log, Scores, State, Table, Watch


@system(
    "reloop2",
    paper="ReLoop2: Building Self-Adaptive Recommendation Models via Responsive Error Compensation Loop",
    year=2023,
    area="rank",
    verbs=("score", "update"),
    needs=("torch",),
    uses=("mean_pooled",),
)
@dataclass(kw_only=True)
class ReLoop2(Calibrated):
    """An error memory around any ranker: it adapts without retraining."""

    maps_itself = True

    base: Scores = "mean_pooled"  # type: ignore[assignment]
    "The ranking system that is corrected; a system or its key."
    refit: bool = True
    "Whether `fit` fits the base, too; false takes it as it is, already fitted."
    memory: Literal["sketch", "exact", "item", "none"] = "sketch"
    "Kind of memory: hash sketch, exact neighbours, the candidate's running residual alone, or none."
    key: Literal["both", "hidden", "columns"] = "both"
    "What makes requests alike: the base's last hidden layer, the request's own columns, or both side by side."
    on: Literal["probability", "logit"] = "probability"
    "Where the correction is added."
    strength: float | None = None
    "Factor lambda of the correction; none chooses it by log-loss from the answers revealed so far."
    prior: float = 1.0
    "Answers without error that every estimate begins with (n0): corrections with little support are small."
    half_life: str | None = "5000"
    "When a remembered error counts half: after so many answers, or a time such as '2d'; none forgets nothing."
    repeats: int = 16
    "Hash tables of the sketch."
    bits: int = 16
    "Bits per signature, 1 to 16: how alike requests must be to share an error; 2^bits cells per table."
    neighbours: int = 50
    "Neighbours that the exact memory averages."
    temperature: float = 0.1
    "Of the exact memory: cosine by which a neighbour counts 1/e less."
    capacity: int = 50_000
    "Errors that the exact memory holds, the latest."
    slow_lr: float = 0.0
    "Step size at which the base itself goes on learning from each block of answers; 0 leaves it frozen."
    slow_epochs: int = 1
    "Passes over a block of answers with `slow_lr`."
    hash_seed: int = 0
    "Seed of the sketch's directions."

    def __post_init__(self) -> None:
        whole = ("repeats", "bits", "neighbours", "capacity", "slow_epochs")
        for name in whole:
            if getattr(self, name) < 1:
                raise OptionError(f"reloop2: {name} = {getattr(self, name)}; give 1 or more.")
        if self.bits > 16:
            raise OptionError(f"reloop2: bits = {self.bits}; a signature has 16 at most.")
        for name, low in (("prior", False), ("temperature", True), ("slow_lr", False)):
            value = getattr(self, name)
            if value < 0 or (low and value == 0):
                raise OptionError(f"reloop2: {name} = {value}; give a number {'above 0' if low else 'of 0 or more'}.")
        if self.strength is not None and not 0 <= self.strength <= 10:
            raise OptionError(f"reloop2: strength = {self.strength}; give 0 to 10, or none to have it chosen.")
        if self.base.info.area != "rank":  # type: ignore[attr-defined]
            key = self.base.info.key  # type: ignore[attr-defined]
            raise OptionError(f"reloop2: base '{key}' gives no probabilities; choose a system of area rank.")
        self.clock()

    def clock(self) -> tuple[str, float | None]:
        """('answers' or 'time', half-life in answers or microseconds)."""
        if self.half_life is None:
            return "answers", None
        text = self.half_life.strip()
        try:
            count = float(text)
        except ValueError:
            try:
                return "time", float(duration(text))
            except StepError:
                raise OptionError(
                    f"reloop2: half_life = '{text}' is no number of answers, such as 5000, and no time, such as 2d."
                ) from None
        if not count > 0:
            raise OptionError(f"reloop2: half_life = {text}; give a number above 0, or none.")
        return "answers", count

    def fit(self, train: Log, valid: Log | None = None, *, seed: int = 0, watch: Watch | None = None) -> Self:
        """Fit the base, then walk through `valid` as a stream: predict, reveal, write.

        Raises
        ------
        NotFitted
            `refit` is off and the base is not fitted.
        OptionError, StepError
            `slow_lr` for a base that is no network; `calibrate` without answers in `valid`; labels that are not 0 or 1.
        """
        from ethogram.nn.compensation import Loop

        if self.refit:
            self.base.fit(train, valid, seed=seed, watch=watch)  # type: ignore[attr-defined]
        elif self.base.fitted is None:  # type: ignore[attr-defined]
            raise NotFitted("reloop2: refit = false, but the base is not fitted; fit it first.")
        self.calibration = None
        self.fitted = Loop.around(self, train, seed)
        self.calibration = self.fitted.walk(valid, self.calibrate)
        return self

    def update(self, log: Log) -> Self:
        """Reveal the answered slates of `log`, which lie behind all that were revealed before.

        Raises
        ------
        StepError
            No event of the log carries a label, or answers are earlier than what was revealed before.
        """
        self.fitted.reveal(log.questions("slates"))
        return self

    def score(self, histories: Histories, candidates: Candidates, context: Table | None = None) -> np.ndarray:
        """Compensated probability of a positive answer for each candidate."""
        found = self.fitted.judge(histories, candidates, context)
        return candidates.shape(self.calibrated(found.answer), len(histories))

    def errors(self, histories: Histories, candidates: Candidates, context: Table | None = None) -> Table:
        """What the memory says of each candidate.

        Returns
        -------
        Columns `question`, `candidate` (item id), `base` (the uncorrected probability), `error` (expected y - p),
        `support` (n, in answers) and `score`.
        """
        if self.fitted is None:
            raise NotFitted("reloop2: errors before fit; call fit(log), or load a saved system.")
        found = self.fitted.judge(histories, candidates, context)
        codes, ends = candidates.flat(len(histories))
        question = np.repeat(np.arange(len(histories)), np.diff(ends))
        columns = {"base": found.base, "error": found.error, "support": found.support}
        columns["score"] = self.calibrated(found.answer)
        return pa.table({"question": question, "candidate": candidates.vocabulary.decode(codes), **columns})

    @property
    def nbytes(self) -> int:
        """Bytes of the memory."""
        if self.fitted is None:
            raise NotFitted("reloop2: nbytes before fit; call fit(log), or load a saved system.")
        return int(self.fitted.nbytes)

    def state(self) -> State:
        held: State = self.fitted.state()
        if self.calibration is None:
            return held
        return State(held.arrays, held.tables, {**held.json, "calibration": self.calibration.json()}, held.parts)

    def restore(self, state: State) -> Self:
        from ethogram.nn.compensation import Loop
        from ethogram.numeric.calibrate import Calibration

        self.fitted = Loop.restored(self, state)
        found = state.json.get("calibration")
        self.calibration = None if found is None else Calibration.from_json(found)
        return self
