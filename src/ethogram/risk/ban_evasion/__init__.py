"""Three tools for moderators: who will come back after a ban, is a new account a returning one (from its first three
edits), and whose account is it. Every answer comes with its evidence; the decision remains with a human.

    P(y = 1 | x) = sigmoid(z(x))        one model for each task

with z the mean of boosted trees and of L2-penalised logistic regression (`scorers`; one of them by option, the paper
has the latter), and x, y

    T1    x: attributes of a banned account (`profiles`)               y: its person comes back        `returns`
    T2    x: pair (banned account, first three edits of a new one)     y: the same person              `early`
    T3a   x: the same with all edits up to the report                  y: the same person              `report`

learned from matched controls (`tasks`): banned at the same time, made at the same time. Pair features are absolute
differences, similarities of names, pages and words, and the new account's own attributes (`pairs`). For a new account
the `candidates` that are most worth a look among those banned before it was made (`shortlist`, postings) are scored:

    parent = argmax_p P(p, account)        risk = sigmoid(b + w . e(account))

with e the evidence of all its candidates (`learning.EVIDENCE`): how well the best one fits, how far it lies before the
second, how similar they are. The weights are learned out of fold by person, on accounts of the training log that return
and that do not. So `risk` fits the mix of the log it was learned from: take it to order a queue, and look at
`precision`.

Deviations: sentence vectors are left out (words hashed into 65,536 places stand for them); word categories are our own
short lists, not LIWC; gaps are counted within six hours, as the number of active days says the rest.

M. Niverthi, G. Verma, S. Kumar: Characterizing, Detecting, and Predicting Online Ban Evasion. WWW 2022.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import pyarrow as pa

from ethogram.errors import NotFitted, OptionError, StateError, UnknownName, unknown
from ethogram.numeric.scorer import Scorer
from ethogram.risk.ban_evasion.accounts import EARLY, Accounts
from ethogram.risk.ban_evasion.card import Card, common_pages, reasons, sentence
from ethogram.risk.ban_evasion.learning import account_scorer, best_parents
from ethogram.risk.ban_evasion.profiles import Idf
from ethogram.risk.ban_evasion.report import LEVEL, characterise
from ethogram.risk.ban_evasion.scorers import Either, Kind, learn, restored, saved
from ethogram.risk.ban_evasion.shortlist import FIELDS, Blocking
from ethogram.risk.ban_evasion.tasks import T1, T2, T3A, Task, Tasks
from ethogram.system import system
from ethogram.verbs import Log, State, Table, Watch

__all__ = ["T1", "T2", "T3A", "Accounts", "BanEvasion", "Card", "Task", "Tasks"]

REASON = pa.list_(
    pa.struct([("what", pa.string()), ("value", pa.string()), ("weight", pa.float64()), ("share", pa.float64())])
)


@dataclass(frozen=True, eq=False)
class Fitted:
    """What was learned: document frequencies, a scorer for each task, and for T2 and T3a what makes a banned account
    worth a look and what candidates say of an account."""

    idf: Idf
    scorers: dict[str, Either]
    blocking: dict[str, Blocking]
    risks: dict[str, Scorer]


@system(
    "ban_evasion",
    paper="Characterizing, Detecting, and Predicting Online Ban Evasion",
    year=2022,
    area="risk",
    verbs=("assess",),
)
@dataclass(kw_only=True)
class BanEvasion:
    """See the module. Logs are described in `ban_evasion.accounts`."""

    stage: Literal["early", "report"] = "early"
    "early reads the first three edits of an account; report all that it did up to its ban."
    scorer: Kind = "blend"
    "The mean of boosted trees and logistic regression, or one of them; the paper has logistic regression."
    candidates: int = 50
    "Banned accounts that are looked at for each account."
    l2: float = 30.0
    "Penalty on squared weights of the logistic scorer."
    reasons: int = 3
    "Reasons told for each account."
    seed: int = 0
    "Of the folds, and of the accounts that are drawn to learn from."

    def __post_init__(self) -> None:
        if self.candidates < 1 or self.reasons < 1 or not self.l2 > 0:
            raise OptionError(
                f"ban_evasion: candidates = {self.candidates}, reasons = {self.reasons}, l2 = {self.l2}; give 1 or "
                "more of the first two, and a penalty above 0."
            )

    def fit(self, train: Log, valid: Log | None = None, *, seed: int = 0, watch: Watch | None = None) -> Self:
        """Learn from accounts of which some are known to have come back (`parent`).

        Raises
        ------
        RolesError, StepError
            The log is not one of accounts, contradicts itself, or has too few cases with controls (20 for each task).
        """
        tasks = Tasks(Accounts.of(train))
        scorers: dict[str, Either] = {}
        blocking: dict[str, Blocking] = {}
        risks: dict[str, Scorer] = {}
        for key in (T1, T2, T3A):
            task = tasks.make(key)
            scorers[key] = learn(self.scorer, task.columns, task.label, task.names, self.l2)
            if key != T1:
                own = blocking[key] = Blocking.learn(tasks, key, seed + self.seed)
                how = (self.scorer, self.l2, self.candidates, own, seed + self.seed)
                risks[key] = account_scorer(tasks, task, *how)
            if watch is not None:
                watch({"epoch": 0, "step": None, "steps": None, "loss": float("nan"), "valid": None, "task": key})
        self.fitted = Fitted(tasks.idf, scorers, blocking, risks)
        return self

    def assess(self, log: Log) -> Table:
        """One row per account.

        Returns
        -------
        table : `user`, `time` (of the last edit that was read, null without any), `risk` (that it belongs to somebody
            who was banned before, in [0, 1]), `reason`, `reasons` (see `card.reasons`), `parent` and `parent_score`
            (the banned account that fits best, null without any), and `returns` (that the person behind a banned
            account comes back; null where it is not banned).
        """
        tasks, learned = self._tasks(log), self._learned()
        a, key = tasks.accounts, self._key
        how = (self.candidates, self.reasons, learned.blocking[key])
        found = best_parents(tasks, learned.scorers[key], key, tasks.n, *how)
        known = found.parent >= 0
        risk = np.where(known, learned.risks[key].probability(found.evidence), 0.0)
        names = [a.names[p] if p >= 0 else None for p in found.parent.tolist()]
        score = np.where(known, found.score, 0.0)
        why = found.reasons
        banned = np.isfinite(a.blocked)
        back = np.full(len(a), np.nan)
        if banned.any():
            back[banned] = learned.scorers[T1].probability(tasks.old(tasks.n[banned]).numbers)
        told = [sentence(s, p, w) for s, p, w in zip(score.tolist(), names, why, strict=True)]
        return pa.table(
            {
                "user": a.ids.ids, "time": self._read_until(a), "risk": risk, "reason": told,
                "reasons": pa.array(why, REASON), "parent": pa.array(names, pa.string()),
                "parent_score": pa.array(score, mask=~known), "returns": pa.array(back, mask=~banned),
            }
        )  # fmt: skip

    def parents(self, log: Log, k: int = 5) -> Table:
        """The k banned accounts that fit each account best: `user`, `parent`, `score`, `rank` (from 1), `reasons`.

        All that an account did up to its ban is read, as for a report. Accounts without any candidate have no row.
        """
        if k < 1:
            raise OptionError(f"ban_evasion: k = {k}; give 1 or more.")
        tasks, learned = self._tasks(log), self._learned()
        a = tasks.accounts
        how = (max(k, self.candidates), self.reasons, learned.blocking[T3A])
        found = best_parents(tasks, learned.scorers[T3A], T3A, tasks.n, *how, k)
        return pa.table(
            {
                "user": a.ids.ids.take(pa.array(found.account)), "parent": a.ids.ids.take(pa.array(found.ranked)),
                "score": found.ranked_score, "rank": found.rank, "reasons": pa.array(found.ranked_reasons, REASON),
            }
        )  # fmt: skip

    def card(self, log: Log, user: Any, parent: Any) -> Card:
        """The evidence for one pair of accounts, whether or not it is likely.

        Raises
        ------
        UnknownName
            The log has no such account.
        """
        tasks, model = self._tasks(log), self._learned().scorers[T3A]
        a = tasks.accounts
        rows = a.ids.encode(pa.array([parent, user], a.ids.ids.type))
        for name, row in zip((parent, user), rows.tolist(), strict=True):
            if row < 0:
                raise UnknownName(unknown("account", str(name), a.names[:20]))
        columns = tasks.columns(T3A, rows[:1].astype(np.int64), rows[1:].astype(np.int64))
        gap = (a.created[rows[1]] - a.blocked[rows[0]]) / 86_400
        why = tuple(reasons(model, columns, 2 * self.reasons)[0])
        pages = common_pages(a, int(rows[0]), int(rows[1]))
        return Card(str(user), str(parent), float(model.probability(columns)[0]), why, pages, float(gap))

    def report(self, log: Log) -> Table:
        """How evading accounts differ from others, and returning ones from strangers; see `report.characterise`."""
        return characterise(Tasks(Accounts.of(log)))

    def page(self, log: Log, path: str | Path, title: str = "Accounts that come back after a ban") -> Path:
        """Write `report` as one HTML page that opens offline; the path."""
        from ethogram.risk.ban_evasion.page import characterisation

        a = Accounts.of(log)
        words = f"{len(a):,} accounts, {int((a.parent >= 0).sum()):,} known returns, {len(a.time):,} edits"
        return characterisation(path, characterise(Tasks(a)), title, words, LEVEL)

    def precision(self, log: Log, k: tuple[int, ...] = (10, 50, 100)) -> Table:
        """Of the k accounts with the highest risk in a log of known returns, how many are known to return.

        Columns `k`, `found`, `precision`, and `base`, the share among all.
        """
        a = Accounts.of(log)
        order = np.argsort(-self.assess(log)["risk"].to_numpy(), kind="stable")
        hits = np.cumsum((a.parent >= 0)[order])
        at = [min(i, len(a)) for i in k]
        found = [int(hits[i - 1]) for i in at]
        base = [float((a.parent >= 0).mean())] * len(at)
        return pa.table(
            {"k": at, "found": found, "precision": [f / i for f, i in zip(found, at, strict=True)], "base": base}
        )

    def example(self, *, seed: int = 0) -> Log:
        """A small log of made-up accounts, of which 60 return."""
        from ethogram.data.returning_accounts import ReturningAccounts

        made = ReturningAccounts(pairs=60, malicious=160, benign=160, days=60, seed=seed).read()
        return Log.open(made.events, users=made.users, **made.roles)

    def state(self) -> State:
        learned = self._learned()
        return State(
            arrays={f"idf.{name}": c for name, c in learned.idf.counts.items()},
            tables={key: scorer.table() for key, scorer in learned.risks.items()},
            json={
                "accounts": learned.idf.accounts, "fields": list(FIELDS),
                "blocking": {key: [*one.weights, one.fade] for key, one in learned.blocking.items()},
            },
            parts={key: saved(scorer) for key, scorer in learned.scorers.items()},
        )  # fmt: skip

    def restore(self, state: State) -> Self:
        counts = {name.removeprefix("idf."): np.asarray(c) for name, c in state.arrays.items()}
        risks = {key: Scorer.restored(table) for key, table in state.tables.items()}
        scorers = {key: restored(part) for key, part in state.parts.items()}
        if state.json.get("fields") != list(FIELDS):
            raise StateError(f"ban_evasion: saved with the fields {state.json.get('fields')}; fit it again.")
        blocking = {key: Blocking(tuple(row[:-1]), row[-1]) for key, row in state.json["blocking"].items()}
        self.fitted = Fitted(Idf(counts, int(state.json["accounts"])), scorers, blocking, risks)
        return self

    @property
    def _key(self) -> str:
        return T2 if self.stage == "early" else T3A

    def _read_until(self, a: Accounts) -> pa.Array:
        rows = np.arange(len(a))
        early = self._key == T2
        stop = a.stops(rows, np.full(len(a), np.nan) if early else a.blocked, EARLY if early else None)
        some = stop > a.offsets[rows]
        last = np.zeros(len(a))
        last[some] = a.time[stop[some] - 1]
        micros = (last * 1e6).astype(np.int64)
        return pa.array(micros, mask=~some).cast(pa.timestamp("us", "UTC"))

    def _tasks(self, log: Log) -> Tasks:
        return Tasks(Accounts.of(log), self._learned().idf)

    def _learned(self) -> Fitted:
        if self.fitted is None:
            raise NotFitted("ban_evasion: asked before fit; call fit(log), or load a saved system.")
        return self.fitted
