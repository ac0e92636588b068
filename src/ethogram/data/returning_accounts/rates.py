"""What differs between kinds of accounts, and what a person who returns brings along: the truth of the generator.

value of a kind = malicious + effect * (its own - malicious)       for what is planted, else the malicious value
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ethogram.errors import OptionError, unknown

KINDS = ("evading", "malicious", "benign")
RATES: dict[str, tuple[float, float, float]] = {
    "activity": (0.28, 0.16, 0.22),
    "talk": (0.19, 0.12, 0.12),
    "revert": (0.07, 0.11, 0.03),
    "revisits": (0.42, 0.32, 0.32),
    "news": (0.50, 0.75, 0.60),
    "comment": (0.50, 0.50, 0.55),
    "swear": (0.023, 0.030, 0.014),
    "opinion": (0.050, 0.056, 0.045),
    "deletes": (0.30, 0.30, 0.30),
    "minor": (0.20, 0.20, 0.20),
    "positive": (0.030, 0.030, 0.030),
    "negative": (0.030, 0.030, 0.030),
    "words": (9.0, 9.0, 9.0),
}
"""Rate -> its mean among evading, malicious and benign accounts. activity: chance of a day on which one edits. talk,
revert, comment, deletes, minor: shares of edits. revisits: chance that an edit stays on the page. news: chance that it
goes to a page that is in the news. swear, opinion,
positive, negative: shares of the words added. words: added with an edit."""
SHARED = ("username", "pages", "style", "comments", "hours", "habits")
"""What a person brings along: how the name is built, favourite pages, favourite words, ways to comment, hours of the
day, and the personal level of `PERSONAL`."""
PERSONAL = ("talk", "revert", "comment", "swear", "opinion")
"""Rates of which every person has a level of its own."""
OWN = ("deletes", "minor", "words")
"""Rates of which every account has a level of its own, whoever is behind it."""
BRINGS: dict[str, float] = {
    "username": 0.40, "pages": 0.92, "style": 0.45, "comments": 0.30, "hours": 0.60, "habits": 0.30,
}  # fmt: skip
"""Chance that a returning account brings each along; otherwise it is drawn anew."""


@dataclass(frozen=True)
class Rates:
    """The rates of a run, after options."""

    planted: tuple[str, ...]
    effect: float

    @classmethod
    def of(cls, planted: Sequence[str], effect: float) -> Rates:
        known = (*RATES, *SHARED)
        for name in planted:
            if name not in known:
                raise OptionError(f"returning_accounts: {unknown('planted attribute', name, known)}")
        if not 0 <= effect <= 1.5:
            raise OptionError(f"returning_accounts: effect = {effect}; give a number in [0, 1.5].")
        return cls(tuple(planted), effect)

    def means(self, name: str) -> np.ndarray:
        """Mean of a rate by kind, float64[3]."""
        own = np.array(RATES[name])
        return own[1] + self.effect * (own - own[1]) if name in self.planted else np.full(3, own[1])

    def differs(self, name: str, one: str, other: str) -> bool:
        """Whether a rate differs between two kinds."""
        means = self.means(name)
        return bool(means[KINDS.index(one)] != means[KINDS.index(other)])

    def brings(self, name: str) -> float:
        """Chance that a returning account brings a thing along."""
        return min(1.0, self.effect * BRINGS[name]) if name in self.planted else 0.0
