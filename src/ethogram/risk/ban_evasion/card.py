"""Why two accounts may belong to one person: what a moderator reads before deciding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ethogram.risk.ban_evasion.accounts import Accounts
from ethogram.risk.ban_evasion.pairs import SIMILARITIES
from ethogram.risk.ban_evasion.scorers import Either
from ethogram.text.tone_words import CATEGORIES

SAID = {
    "same name": "how alike the names are (Levenshtein)", "same keys": "how alike the names are on a keyboard",
    "same grams": "letter groups that the names share", "same name words": "words that the names share",
    "same pages": "pages that both edited", "shared pages": "weight of the pages that both edited",
    "on old pages": "share of its pages that the banned account had edited",
    "same titles": "how alike the titles of their pages are",
    "same added": "how alike the words added are", "same deleted": "how alike the words deleted are",
    "same comments": "how alike the comments are", "same vocabulary": "words added by both",
    "same hours": "hours of the day at which both edit",
}  # fmt: skip
WORDS = {
    "age": "age at its ban (hours, logarithm)", "delay": "seconds until its first edit (logarithm)",
    "edits per day": "edits on a day on which it edits (logarithm)",
    "gap": "seconds between edits of a day (logarithm)", "gap spread": "spread of the time between edits of a day",
    "weekend": "share of edits on weekends", "edits": "number of edits (logarithm)",
    "active days": "number of days with edits (logarithm)", "pages": "number of pages (logarithm)",
    "revisions per page": "edits of one page (logarithm)", "talk": "share of edits on talk pages",
    "own pages": "share of edits on user pages", "project pages": "share of edits on pages of the project",
    "size": "characters that an edit adds (signed logarithm)", "change": "characters that an edit changes (logarithm)",
    "deletions": "share of edits that shorten", "minor": "share of edits marked as minor",
    "reverts": "share of edits that undo", "commented": "share of edits with a comment",
    "comment length": "length of comments (logarithm)", "subjective": "share of subjective words",
    "sentiment": "sentiment of what it added", "ease": "reading ease of what it added (Flesch, 100 is easy)",
    "words per edit": "words added by an edit (logarithm)", "name length": "letters of the name",
    "name digits": "share of digits in the name", "name capitals": "share of capitals in the name",
    "name signs": "share of signs in the name", "name words": "words of the name",
}  # fmt: skip
"""Attribute -> what it is; hours and categories of words say it themselves."""
REMINDER = "This is evidence, not a finding: the decision remains with a human."


@dataclass(frozen=True)
class Card:
    """The evidence for one pair.

    Attributes
    ----------
    score : how well the pair fits, in [0, 1]. reasons : as those of `reasons`. pages : titles that both edited, the
        rarest first. gap_days : from the ban of the one to the making of the other; it is not part of the score.
    """

    user: str
    parent: str
    score: float
    reasons: tuple[dict[str, Any], ...]
    pages: tuple[str, ...]
    gap_days: float

    def __str__(self) -> str:
        lines = [f"{self.user} after {self.parent}: {self.score:.2f}, made {self.gap_days:.1f} days after the ban"]
        lines += [f"  {r['share']:4.0%}  {r['what']}: {r['value']}" for r in self.reasons]
        lines += [f"  both edited: {', '.join(self.pages)}"] if self.pages else []
        return "\n".join([*lines, REMINDER])


def reasons(model: Either, columns: np.ndarray, k: int = 3) -> list[list[dict[str, Any]]]:
    """For each row the k columns with the largest parts in its score, largest first.

    Returns
    -------
    lists of dicts : what, in words, and "against: " before them where it speaks against; value. weight : the part, in
        the logarithm of odds, below 0 where it speaks against. share : its size among the sizes of the parts of all
        columns, in [0, 1]; what speaks for and what speaks against together are 1.
    """
    parts = model.parts(columns)
    size = np.maximum(np.abs(parts).sum(1), 1e-12)
    best = np.argsort(-np.abs(parts), 1, kind="stable")[:, :k]
    return [
        [
            {"what": ("against: " if parts[r, c] < 0 else "") + said(model.names[c]), "value": number(columns[r, c]),
             "weight": float(parts[r, c]), "share": float(abs(parts[r, c]) / size[r])}
            for c in row if parts[r, c] != 0
        ]
        for r, row in enumerate(best.tolist())
    ]  # fmt: skip


def said(column: str) -> str:
    """A column in words."""
    if column in SIMILARITIES:
        return SAID[column]
    kind, _, name = column.partition(": ")
    name = name or column
    name = f"share of {name} words" if name in CATEGORIES else WORDS.get(name, f"share of edits at {name}")
    return {"difference": f"difference in {name}", "new": f"the new account's {name}"}.get(kind, name)


def number(value: float) -> str:
    return "unknown" if np.isnan(value) else f"{value:.2f}"


def common_pages(accounts: Accounts, one: int, other: int, most: int = 5) -> tuple[str, ...]:
    """Titles that both accounts edited, those that fewest accounts edited first."""
    both = np.intersect1d(*(_pages(accounts, row) for row in (one, other)))
    both = both[both >= 0]
    rarity = [int((accounts.page == p).sum()) for p in both.tolist()]
    return tuple(accounts.titles[int(both[i])] for i in np.argsort(rarity, kind="stable")[:most])


def _pages(accounts: Accounts, row: int) -> np.ndarray:
    return np.unique(accounts.page[accounts.offsets[row] : accounts.offsets[row + 1]])


def sentence(score: float, parent: str | None, why: Sequence[dict[str, Any]]) -> str:
    """One sentence for a queue; it says how alike, never who is guilty."""
    if parent is None:
        return "No account banned before it was made has anything in common with it."
    best = [w for w in why if w["weight"] > 0]
    told = f", mostly by {best[0]['what']} ({best[0]['value']})" if best else ""
    return (
        f"Fits the banned account {parent} with {score:.2f}{told}; worth a look by a human in the order of the queue."
    )
