"""Every edit in numbers, once; a profile of any first part of an account's edits is then a difference of two sums."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ethogram.risk.ban_evasion.accounts import Accounts
from ethogram.text.tone import TONES, counts, tones
from ethogram.text.tone_words import CATEGORIES
from ethogram.text.words import Words, split

DAY = 86_400.0
SITTING = 6 * 3_600.0
"""Gaps up to here lie within one day's activity; longer ones say how often somebody comes (`days`)."""
HOURS = 6
"""Parts of the day."""
FIELDS = ("titles", "added", "deleted", "comments")


@dataclass(frozen=True, eq=False)
class Edits:
    """What is counted of every edit of `accounts`."""

    accounts: Accounts

    @cached_property
    def account(self) -> np.ndarray:
        """Row of each edit's account."""
        return np.repeat(np.arange(len(self.accounts)), np.diff(self.accounts.offsets))

    @cached_property
    def words(self) -> dict[str, Words]:
        """Words of each edit, by field."""
        a = self.accounts
        titles = split(a.titles)
        where = np.where(a.page >= 0, a.page, 0)
        sizes = titles.lengths[where] * (a.page >= 0) if len(a.titles) else np.zeros(len(a.page), np.int64)
        offsets = np.concatenate([[0], np.cumsum(sizes)])
        at = np.arange(offsets[-1]) - np.repeat(offsets[:-1], sizes)
        of = np.repeat(titles.offsets[:-1][where], sizes) if len(a.titles) else at
        made = {"titles": Words(offsets, titles.codes[of + at], titles.vocabulary)}
        for field, texts in (("added", a.added), ("deleted", a.deleted), ("comments", a.comment)):
            made[field] = split(texts.to_pylist())
        return made

    @cached_property
    def totals(self) -> dict[str, np.ndarray]:
        """Running sums over all edits, float64[N + 1]: those of an account's first edits are a difference."""
        return {name: np.concatenate([[0.0], np.cumsum(v)]) for name, v in self._numbers().items()}

    def _numbers(self) -> dict[str, np.ndarray]:
        a, n = self.accounts, len(self.accounts.time)
        begins = np.zeros(n, bool)
        begins[a.offsets[:-1][np.diff(a.offsets) > 0]] = True
        day = np.floor(a.time / DAY)
        gap = np.where(begins, np.inf, np.diff(a.time, prepend=0.0))
        near = gap <= SITTING
        log_gap = np.where(near, np.log(np.maximum(np.where(near, gap, 1.0), 1.0)), 0.0)
        comment_size = pc.utf8_length(a.comment).to_numpy(zero_copy_only=False)
        undone = pc.match_substring_regex(a.comment, r"(?i)^\s*(undid|undo|revert|rv\b|rvv)")
        undone = undone.to_numpy(zero_copy_only=False)
        said = (comment_size > 0) & ~undone  # the software writes the comment of a revert
        made = {
            "pages": _first_time(self.account, a.page) & (a.page >= 0),
            "days": begins | (np.diff(day, prepend=-1.0) != 0),
            "gaps": near, "gap": log_gap, "gap2": log_gap**2,
            "weekend": (day + 3) % 7 >= 5,  # 1970 began on a Thursday
            "talk": a.ns % 2 == 1, "own": (a.ns == 2) | (a.ns == 3), "project": a.ns >= 4,
            "size": np.sign(a.sizediff) * np.log1p(np.abs(a.sizediff)), "change": np.log1p(np.abs(a.sizediff)),
            "shrinks": a.sizediff < 0, "minor": a.minor > 0, "reverts": undone,
            "commented": said, "comment": np.where(said, np.log1p(comment_size), 0.0),
            "words": np.log1p(self.words["added"].lengths), "written": self.words["added"].lengths > 0,
        }  # fmt: skip
        hour = np.floor(a.time % DAY / DAY * HOURS).astype(np.int64)
        made |= {f"hour{h}": hour == h for h in range(HOURS)}
        made |= self._tones()
        return {name: np.asarray(v, np.float64) for name, v in made.items()}

    def _tones(self) -> dict[str, np.ndarray]:
        words = self.words["added"]
        counted = counts(words)
        made = {f"n_{name}": counted[:, i] for i, name in enumerate(CATEGORIES)}
        told = np.nan_to_num(tones(self.accounts.added.to_pylist(), words))
        made |= {name: told[:, TONES.index(name)] for name in ("sentiment", "ease")}
        made["n_subjective"] = np.rint(told[:, TONES.index("subjective")] * words.lengths)
        return made | {"n_words": words.lengths}


def _first_time(account: np.ndarray, page: np.ndarray) -> np.ndarray:
    """bool[N]: the account had not been on this page before."""
    order = np.lexsort([np.arange(len(page)), page, account])
    fresh = np.ones(len(page), bool)
    a, p = account[order], page[order]
    fresh[1:] = (a[1:] != a[:-1]) | (p[1:] != p[:-1])
    made = np.empty(len(page), bool)
    made[order] = fresh
    return made


def as_texts(column: pa.Array, start: int, stop: int) -> str:
    """What was written in some edits, one after the other."""
    return " ".join(t for t in column.slice(start, stop - start).to_pylist() if t)
