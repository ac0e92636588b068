"""Does an account ask like a person? What its queries look like, by groups of ten, against those of known people.

Each query has a few values; the values of a group of `GROUP` queries of one account in a row are averaged into x, and

    score = sqrt((x - m)' S^-1 (x - m))        m, S: mean and covariance of groups of people

``prefixes`` looks at how queries hang together, the trace of sequences that an attacker lets the service write:
whether a query is an earlier one of the account with one item more; whether that item stood in the list that the
earlier query was answered with, and how early; whether it was asked before. ``anomaly`` looks at what is asked: how
frequent the last item is in the owner's log, how much more often it follows the one before than it occurs at all

    log P(b) and log P(b | a) - log P(b),   P(b | a) = (n(a, b) + mu P(b)) / (n(a) + mu)

and whether the account asked about the same last item before. An account is refused after its first group that scores
above what all but `alarms` of the calibrating people stay below: the quantile of their worst scores, each by a law of
other people (five folds), interpolated so that one more person is above it with probability `alarms`. Those who give
frequencies, those who calibrate, and those on whom false alarms are measured are three groups of people.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

GROUP = 10
MU = 10.0
FOLDS = 5
FIRST = 40
"""Queries of a person that are looked at, from the first on: as short as an attacker's."""
KINDS = ("prefixes", "anomaly")


@dataclass
class Account:
    """What is remembered of an account: the answers to its queries (`told`), and its last items."""

    told: dict[bytes, np.ndarray] = field(default_factory=dict)
    ends: set[int] = field(default_factory=set)
    values: list[tuple[float, ...]] = field(default_factory=list)
    refused: bool = False


@dataclass(frozen=True, eq=False)
class Frequencies:
    """How often items occur and follow each other in the owner's log."""

    item: np.ndarray
    pairs: Any
    out: np.ndarray

    @classmethod
    def of(cls, sequences: list[np.ndarray], size: int) -> Frequencies:
        """Counted over sequences of item codes below `size`; every item counts once more than it occurs."""
        from scipy.sparse import csr_matrix

        flat = np.concatenate([np.empty(0, np.int64), *sequences])
        before = np.concatenate([np.empty(0, np.int64), *(s[:-1] for s in sequences)])
        after = np.concatenate([np.empty(0, np.int64), *(s[1:] for s in sequences)])
        counts = np.bincount(flat, minlength=size) + 1.0
        pairs = csr_matrix((np.ones(len(before)), (before, after)), shape=(size, size))
        return cls(counts / counts.sum(), pairs, np.bincount(before, minlength=size).astype(float))

    def values(self, sequence: np.ndarray) -> tuple[float, float]:
        """(log P(b), log P(b | a) - log P(b)) of a sequence that ends in a, b; (0, 0) for an empty one."""
        if not len(sequence):
            return 0.0, 0.0
        p = self.item[sequence[-1]]
        if len(sequence) == 1:
            return float(np.log(p)), 0.0
        a, b = sequence[-2:]
        return float(np.log(p)), float(np.log((self.pairs[a, b] + MU * p) / (self.out[a] + MU)) - np.log(p))


@dataclass(frozen=True, eq=False)
class Detector:
    """One of `KINDS`, calibrated; a group is suspect above `threshold`."""

    kind: str
    frequencies: Frequencies
    centre: np.ndarray
    inverse: np.ndarray
    threshold: float

    @classmethod
    def calibrated(
        cls, kind: str, frequencies: Frequencies, people: Iterable[tuple[list[np.ndarray], np.ndarray]], alarms: float
    ) -> Detector:
        """From people's (queries, answered lists), of whom `alarms` may be refused."""
        traces = [groups(kind, frequencies, queries, lists) for queries, lists in people]
        every = np.concatenate([np.empty((0, 4 if kind == "prefixes" else 3)), *traces])
        if len(every) < 2:  # nobody asked ten times: nothing can be suspect
            return cls(kind, frequencies, every.sum(0), np.eye(every.shape[1]), np.inf)
        centre, inverse = _law(every)
        worst, fold = np.zeros(len(traces)), np.arange(len(traces)) % FOLDS
        for f in range(FOLDS):  # who is judged must not have made the law that judges: it would fit them too well
            rest = [t for t, other in zip(traces, fold, strict=True) if other != f]
            away = cls(kind, frequencies, *_law(np.concatenate([every[:0], *rest])), np.inf)
            for i in np.flatnonzero(fold == f):
                worst[i] = away.scores(traces[i]).max(initial=0.0)
        # with k of n people above it, one more person is above with probability k / (n + 1), between them in proportion
        return cls(kind, frequencies, centre, inverse, float(np.quantile(worst, 1 - alarms, method="weibull")))

    def scores(self, means: np.ndarray) -> np.ndarray:
        """float64[n] of groups [n, F]."""
        away = means - self.centre
        return np.sqrt(np.einsum("nf,fg,ng->n", away, self.inverse, away))


def _law(every: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(mean, inverse covariance) of groups [n, F]; of fewer than two, distances in the values' own units."""
    if len(every) < 2:
        return every.sum(0), np.eye(every.shape[1])
    spread = np.cov(every.T) + 1e-4 * np.eye(every.shape[1])  # some values hardly vary among people
    return every.mean(0), np.linalg.inv(spread)


def _look(kind: str, frequencies: Frequencies, account: Account, query: np.ndarray, answered: np.ndarray) -> None:
    """Note the values of a query and what it was answered."""
    query = np.ascontiguousarray(query, np.int64)
    key = query.tobytes()
    if kind == "prefixes":
        earlier = account.told.get(key[:-8]) if len(query) > 1 else None
        place = np.flatnonzero(earlier == query[-1]) if earlier is not None else np.empty(0)
        early = 1 / np.log2(place[0] + 2) if len(place) else 0.0
        values: tuple[float, ...] = (
            float(earlier is not None),
            float(len(place) > 0),
            early,
            float(key in account.told),
        )
        account.told[key] = answered
    else:
        end = int(query[-1]) if len(query) else -1
        values = (*frequencies.values(query), float(end in account.ends))
        account.ends.add(end)
    account.values.append(values)


def groups(kind: str, frequencies: Frequencies, queries: list[np.ndarray], lists: np.ndarray) -> np.ndarray:
    """Mean values of each full group of one account's queries, float64[n // GROUP, F]."""
    account = Account()
    for query, answered in zip(queries, lists, strict=True):
        _look(kind, frequencies, account, query, answered)
    full = len(queries) // GROUP * GROUP
    values = np.array(account.values[:full], float).reshape(-1, GROUP, 4 if kind == "prefixes" else 3)
    return np.asarray(values.mean(1))


class Watched:
    """The accounts of a service under a detector."""

    def __init__(self, detector: Detector) -> None:
        self.detector = detector
        self.accounts: dict[int, Account] = {}

    def refuses(self, queries: Any, lists: np.ndarray, accounts: np.ndarray) -> np.ndarray:
        """bool[n]: whether each query is refused, by what its account asked before; `lists` are what the others get."""
        out = np.zeros(len(accounts), bool)
        for i, (query, answered, name) in enumerate(zip(queries, lists, accounts.tolist(), strict=True)):
            account = self.accounts.setdefault(name, Account())
            if account.refused:
                out[i] = True
                continue
            _look(self.detector.kind, self.detector.frequencies, account, query, answered)
            if len(account.values) == GROUP:
                found = self.detector.scores(np.mean(account.values, 0)[None])[0]
                account.refused, account.values = bool(found > self.detector.threshold), []
        return out
