"""Experiments: who gets which arm is a stable function of the user and the experiment, and what was shown is recorded.

u = H(experiment, user) / 2^64,     arm = the first whose cumulated share exceeds u,     propensity = its share
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ethogram.errors import OptionError


@dataclass(frozen=True)
class Experiment:
    """Arms with their shares, which sum to 1; an arm is a model's name."""

    name: str
    arms: Mapping[str, float]

    def assign(self, user: str) -> tuple[str, float]:
        """(arm, propensity) of a user; the same in every process, as long as the shares stay."""
        digest = hashlib.blake2b(f"{self.name}\0{user}".encode(), digest_size=8).digest()
        at = int.from_bytes(digest, "big") / 2**64
        total = 0.0
        for arm, share in self.arms.items():
            total += share
            if at < total:
                return arm, share
        return next(reversed(list(self.arms.items())))

    @classmethod
    def parse(cls, text: str, models: Iterable[str]) -> Experiment:
        """From ``NAME=MODEL:SHARE,MODEL:SHARE``; shares are brought to a sum of 1.

        >>> dict(Experiment.parse("home=a:1,b:3", ["a", "b"]).arms)
        {'a': 0.25, 'b': 0.75}
        """
        name, sign, rest = text.partition("=")
        models, arms = list(models), {}
        for part in filter(None, rest.split(",")):
            arm, colon, share = part.partition(":")
            try:
                arms[arm.strip()] = float(share) if colon else 1.0
            except ValueError:
                raise OptionError(f"experiment '{text}': share '{share}' is no number.") from None
        total = sum(arms.values())
        if not sign or not name.strip() or len(arms) < 2 or min(arms.values()) <= 0:
            raise OptionError(f"experiment '{text}': write NAME=MODEL:SHARE,MODEL:SHARE with shares above 0.")
        if unknown := [a for a in arms if a not in models]:
            raise OptionError(f"experiment '{text}': there is no model '{unknown[0]}'; {', '.join(models)} are served.")
        return cls(name.strip(), {a: s / total for a, s in arms.items()})
