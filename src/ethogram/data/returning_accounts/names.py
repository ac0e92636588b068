"""Usernames: how people build them, and how they build the next one."""

from __future__ import annotations

import numpy as np

ONSETS = ("b", "br", "d", "dr", "f", "g", "h", "j", "k", "kr", "l", "m", "n", "p", "r", "s", "st", "t", "tr", "v", "z")
VOWELS = ("a", "e", "i", "o", "u", "ai", "ou")
CODAS = ("", "n", "r", "l", "s", "m", "nd", "rk")
LEET = {"o": "0", "i": "1", "e": "3", "a": "4", "s": "5", "t": "7"}


def words(count: int, rng: np.random.Generator, syllables: int = 2) -> list[str]:
    """So many distinct made-up words."""
    made: dict[str, None] = {}
    while len(made) < count:
        parts = [
            ONSETS[rng.integers(len(ONSETS))] + VOWELS[rng.integers(len(VOWELS))] for _ in range(syllables)
        ]  # fmt: skip
        made["".join(parts) + CODAS[rng.integers(len(CODAS))]] = None
    return list(made)


class Namer:
    """Gives every account a name that nobody else has."""

    def __init__(self, rng: np.random.Generator):
        self.rng = rng
        self.stock = words(1_500, rng)
        self.taken: set[str] = set()

    def habit(self) -> tuple[int, int, int]:
        """How a person builds names: pieces, separator, digits."""
        return int(self.rng.choice(3, p=(0.45, 0.4, 0.15))) + 1, int(self.rng.integers(4)), int(self.rng.integers(4))

    def fresh(self, habit: tuple[int, int, int]) -> str:
        """A new name in a person's way."""
        pieces = [self.stock[self.rng.integers(len(self.stock))] for _ in range(habit[0])]
        return self._free(self._built(pieces, habit))

    def variant(self, old: str, habit: tuple[int, int, int]) -> str:
        """A name made from the last one: other digits, leetspeak, a piece more, or a slip of the finger."""
        stem = old.rstrip("0123456789")
        how = self.rng.integers(4)
        if how == 0 or len(stem) < 3:
            return self._free(stem + str(self.rng.integers(1, 10_000)))
        if how == 1:
            return self._free("".join(LEET.get(c, c) if self.rng.random() < 0.5 else c for c in stem))
        if how == 2:
            piece = self.stock[self.rng.integers(len(self.stock))]
            return self._free(f"{stem} {piece}" if self.rng.random() < 0.5 else piece.capitalize() + stem)
        at = int(self.rng.integers(1, len(stem)))
        return self._free(stem[:at] + stem[at - 1] + stem[at:] + self._digits(habit))

    def _built(self, pieces: list[str], habit: tuple[int, int, int]) -> str:
        if habit[1] == 0:
            text = "".join(p.capitalize() for p in pieces)
        else:
            text = ("", " ", "_")[habit[1] - 1].join(pieces)
            text = text[:1].upper() + text[1:]
        return text + self._digits(habit)

    def _digits(self, habit: tuple[int, int, int]) -> str:
        return "" if habit[2] < 2 else str(self.rng.integers(10 ** (habit[2] - 1), 10 ** habit[2]))

    def _free(self, name: str) -> str:
        while name in self.taken:
            name += str(self.rng.integers(10))
        self.taken.add(name)
        return name
