"""What an account is like, from the first of its edits up to a moment: named numbers, and words and pages as vectors.

Four families of attributes, each with the axis under which it is reported:

    temporal   age at the ban, delay to the first edit, edits per active day, gaps between edits of a day, hours, week
    edit       edits, active days, pages, revisions per page, namespaces, sizes, deletions, reverts, comments
    username   length, digits, capitals, signs, words
    language   of what was added: category shares, subjectivity, sentiment, readability, length

and TF-IDF vectors of page titles, words added, words deleted and comments, rows of unit length, with document
frequencies over the accounts of the log and of the one that was learned from. Words are hashed into `WIDTH` places.
Nothing after the moment is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse

from ethogram.log.columns import hashes
from ethogram.risk.ban_evasion.accounts import Accounts
from ethogram.risk.ban_evasion.edits import FIELDS, HOURS, Edits
from ethogram.text.tone_words import CATEGORIES
from ethogram.text.usernames import TRAITS, grams, tokens, traits

WIDTH = 2**16
"""Places for words; two words that share one are taken for the same."""

CLOCK = tuple(f"hours {4 * h}-{4 * h + 4}" for h in range(HOURS))
TEMPORAL = ("age", "delay", "edits per day", "gap", "gap spread", "weekend", *CLOCK)
EDIT = (
    *("edits", "active days", "pages", "revisions per page", "talk", "own pages", "project pages", "size", "change"),
    *("deletions", "minor", "reverts", "commented", "comment length"),
)
USERNAME = tuple(f"name {t}" for t in TRAITS)
LANGUAGE = (*CATEGORIES, "subjective", "sentiment", "ease", "words per edit")
FAMILIES: Mapping[str, tuple[str, ...]] = {
    "temporal": TEMPORAL, "edit": EDIT, "username": USERNAME, "language": LANGUAGE,
}  # fmt: skip
ATTRIBUTES = tuple(n for names in FAMILIES.values() for n in names)
FAMILY = {n: f for f, names in FAMILIES.items() for n in names}
AXES = {
    **dict.fromkeys(USERNAME, "username"), **dict.fromkeys(TEMPORAL, "pages"), **dict.fromkeys(EDIT, "pages"),
    **dict.fromkeys(LANGUAGE, "psycholinguistics"),
    **dict.fromkeys(("size", "change", "deletions", "comment length", "words per edit"), "added content"),
}  # fmt: skip
"""Attribute -> one of the four axes of the report."""


@dataclass(frozen=True, eq=False)
class Idf:
    """Inverse document frequencies ``ln((1 + N) / (1 + n_w)) + 1``, an account being a document.

    Attributes
    ----------
    counts : field -> n_w, float64[WIDTH]. accounts : N.
    """

    counts: Mapping[str, np.ndarray]
    accounts: int

    @classmethod
    def learn(cls, read: Reader) -> Idf:
        rows, stops = np.arange(len(read.accounts)), read.accounts.offsets[1:]
        fields = (*FIELDS, "pages", "names")
        counted = {f: np.asarray((read.counted(f, rows, stops) > 0).sum(0)).ravel() for f in fields}
        return cls({f: c.astype(np.float64) for f, c in counted.items()}, len(rows))

    def joined(self, other: Idf) -> Idf:
        """Of the accounts of both: what is common now need not have been common before."""
        return Idf({f: c + other.counts[f] for f, c in self.counts.items()}, self.accounts + other.accounts)

    @cached_property
    def weights(self) -> dict[str, np.ndarray]:
        """Field -> float32[WIDTH]."""
        return {f: (np.log((1 + self.accounts) / (1 + c)) + 1).astype(np.float32) for f, c in self.counts.items()}


@dataclass(frozen=True, eq=False)
class Profiles:
    """Some accounts up to some moments, one row each.

    Attributes
    ----------
    rows : of the accounts. count : edits that were read. numbers : float64[n, len(ATTRIBUTES)], NaN where an account
        says nothing. vectors : field -> sparse[n, WIDTH], unit rows. pages, grams, tokens : sparse[n, WIDTH], 0 and 1.
    """

    rows: np.ndarray
    count: np.ndarray
    numbers: np.ndarray
    vectors: Mapping[str, Any]
    pages: Any
    grams: Any
    tokens: Any
    names: list[str]

    def __len__(self) -> int:
        return len(self.rows)


class Reader:
    """Makes profiles of the accounts of one log."""

    def __init__(self, accounts: Accounts):
        self.accounts, self.edits = accounts, Edits(accounts)
        self._places: dict[str, np.ndarray] = {}

    def profiles(self, rows: np.ndarray, stops: np.ndarray, idf: Idf) -> Profiles:
        """Profiles from each account's first edit to `stops` (exclusive; places in the edits)."""
        rows, stops = np.asarray(rows, np.int64), np.asarray(stops, np.int64)
        names = [self.accounts.names[i] for i in rows.tolist()]
        vectors = {f: _tfidf(self.counted(f, rows, stops), idf.weights[f]) for f in FIELDS}
        return Profiles(
            rows, stops - self.accounts.offsets[rows], self._numbers(rows, stops, names), vectors,
            self.counted("pages", rows, stops).sign(), self.counted("names", rows, stops), _sets(map(tokens, names)),
            names,
        )  # fmt: skip

    def counted(self, field: str, rows: np.ndarray, stops: np.ndarray) -> Any:
        """How often each (hashed) word, page or name gram stands in the edits, sparse float64[n, WIDTH]."""
        if field == "names":
            return _sets(grams([self.accounts.names[i] for i in rows.tolist()]))
        starts = self.accounts.offsets[rows]
        if field == "pages":
            page = self.accounts.page
            held = self._hashed("pages", self.accounts.titles)[page[page >= 0]]
            offsets = np.concatenate([[0], np.cumsum(page >= 0)])
            low, high = offsets[starts], offsets[stops]
        else:
            words = self.edits.words[field]
            held = self._hashed(field, words.vocabulary)[words.codes] if len(words.codes) else np.zeros(0, np.int64)
            low, high = words.offsets[starts], words.offsets[stops]
        sizes = high - low
        ends = np.concatenate([[0], np.cumsum(sizes)])
        at = np.repeat(low - ends[:-1], sizes) + np.arange(ends[-1])
        made = sparse.csr_matrix((np.ones(len(at)), held[at], ends), (len(rows), WIDTH))
        made.sum_duplicates()
        return made

    def _hashed(self, field: str, texts: list[str]) -> np.ndarray:
        if field not in self._places:
            self._places[field] = _places(texts)
        return self._places[field]

    def _numbers(self, rows: np.ndarray, stops: np.ndarray, names: list[str]) -> np.ndarray:
        a, total = self.accounts, self.edits.totals
        starts = a.offsets[rows]
        n = (stops - starts).astype(np.float64)
        sums = {name: t[stops] - t[starts] for name, t in total.items()}
        first = (
            np.where(n > 0, a.time[np.minimum(starts, max(len(a.time) - 1, 0))], np.nan) if len(a.time) else n * np.nan
        )
        last = np.where(n > 0, a.time[np.maximum(stops - 1, 0)], np.nan) if len(a.time) else n * np.nan
        end = np.where(np.isnan(a.blocked[rows]), last, a.blocked[rows])
        with np.errstate(invalid="ignore", divide="ignore"):
            gap = sums["gap"] / sums["gaps"]
            made = {
                "age": np.log1p(np.maximum(end - a.created[rows], 0) / 3600),
                "delay": np.log1p(np.maximum(first - a.created[rows], 0)),
                "edits per day": np.log(n / sums["days"]), "gap": gap,
                "gap spread": (sums["gap2"] - gap * sums["gap"]) / np.maximum(sums["gaps"] - 1, 0),
                "weekend": sums["weekend"] / n,
                **{f"hours {4 * h}-{4 * h + 4}": sums[f"hour{h}"] / n for h in range(HOURS)},
                "edits": np.log1p(n), "active days": np.log1p(sums["days"]), "pages": np.log1p(sums["pages"]),
                "revisions per page": np.log(n / sums["pages"]), "talk": sums["talk"] / n, "own pages": sums["own"] / n,
                "project pages": sums["project"] / n, "size": sums["size"] / n, "change": sums["change"] / n,
                "deletions": sums["shrinks"] / n, "minor": sums["minor"] / n, "reverts": sums["reverts"] / n,
                "commented": sums["commented"] / n, "comment length": sums["comment"] / sums["commented"],
                **{c: sums[f"n_{c}"] / sums["n_words"] for c in (*CATEGORIES, "subjective")},
                **{c: sums[c] / sums["written"] for c in ("sentiment", "ease")}, "words per edit": sums["words"] / n,
            }  # fmt: skip
        made |= dict(zip(USERNAME, traits(names).T, strict=True))
        table = np.column_stack([made[name] for name in ATTRIBUTES]).reshape(len(rows), len(ATTRIBUTES))
        return np.where(np.isfinite(table), table, np.nan)


def _places(texts: list[str]) -> np.ndarray:
    import pyarrow as pa

    return (hashes(pa.array(texts, pa.string())) % np.uint64(WIDTH)).astype(np.int64)


def _sets(names: Any) -> Any:
    """Sparse rows of 0 and 1 for collections of texts."""
    held = [sorted(set(pieces)) for pieces in names]
    ends = np.concatenate([[0], np.cumsum([len(h) for h in held], dtype=np.int64)])
    made = sparse.csr_matrix((np.ones(int(ends[-1])), _places([p for h in held for p in h]), ends), (len(held), WIDTH))
    made.sum_duplicates()
    return made.sign()


def _tfidf(counted: Any, weights: np.ndarray) -> Any:
    """Sublinear counts times idf, rows of unit length (a row of zeros stays)."""
    made = counted.copy()
    made.data = (1 + np.log(made.data)) * weights[made.indices]
    lengths = np.sqrt(np.asarray(made.multiply(made).sum(1)).ravel())
    return sparse.diags(1 / np.maximum(lengths, 1e-12)).dot(made).tocsr()
