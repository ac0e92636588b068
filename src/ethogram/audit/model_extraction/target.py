"""What is attacked: a system with its catalogue, whose sequences leak, and on whom agreement is measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from ethogram.audit.model_extraction.service import Score
from ethogram.errors import OptionError
from ethogram.log import Candidates, Histories, Log, Vocabulary
from ethogram.verbs import Planted, Scores


@dataclass(frozen=True, eq=False)
class Target:
    """A service's system and its people.

    Attributes
    ----------
    people : int64 sequences of training, one a person, in order of their codes. prefixes, after : of people in the test
        part, what they did before it and one item that they did then.
    """

    identity: str
    score: Score
    items: Vocabulary
    people: list[np.ndarray]
    prefixes: list[np.ndarray]
    after: np.ndarray

    def __str__(self) -> str:
        return self.identity

    def few(self, share: float, seed: int) -> tuple[list[np.ndarray], np.ndarray]:
        """(sequences of so many people, numbers of the others), by seed."""
        order = np.random.default_rng([seed, 5]).permutation(len(self.people))
        n = max(1, round(share * len(self.people)))
        return [self.people[i] for i in order[:n]], np.sort(order[n:])


def target(options: Any, given: str) -> Target:
    """The subject that the options and the name describe; see `ModelExtraction.subject`."""
    from ethogram import data
    from ethogram.system import load, resolve

    log = data.load(options.data) if options.data in data.names() else Log.open(options.data)
    if given not in ("", "local"):
        if not Path(given).is_dir():
            raise OptionError(f"model_extraction: '{given}' is no folder of a saved system; give one, or local.")
        return made(Path(given).name, resolve(load(given), Scores), log)
    return made(options.victim, resolve(options.victim, Scores), log, train=True)


def made(identity: str, built: Any, log: Log, *, train: bool = False) -> Target:
    """A target of a system, which is trained first if it must be."""
    cut = log.split("leave-last-out")
    if train:
        built.fit(cut.train, cut.valid, seed=1_000)
    done, asked = cut.train.histories(), cut.test.questions("next")
    items = log.vocabulary("item")
    codes, offsets = asked.candidates.flat(len(asked))
    place = {int(u): i for i, u in enumerate(done.users)}
    before = {int(u): s for u, s in zip(asked.histories.users, _sequences(asked.histories), strict=True)}
    after = {int(u): int(codes[offsets[i]]) for i, u in enumerate(asked.histories.users)}
    people = _sequences(done)
    prefixes = [before.get(u, np.empty(0, np.int64)) for u in place]
    return Target(identity, built.score, items, people, prefixes, np.array([after.get(u, -1) for u in place]))


def planted(options: Any) -> Sequence[Planted]:
    """See `ModelExtraction.planted`."""
    from ethogram import data

    cut = data.load("drift", users=120, items=150, categories=6, events=(15, 25)).split("leave-last-out")
    log, items = cut.log, cut.log.vocabulary("item")
    fixed = np.random.default_rng(0).permutation(len(items)).astype(float)

    class Same:
        def score(self, histories: Histories, candidates: Candidates, context: Any = None) -> np.ndarray:
            return np.tile(fixed[candidates.items], (len(histories), 1))

    class AtRandom:
        rng = np.random.default_rng(1)

        def score(self, histories: Histories, candidates: Candidates, context: Any = None) -> np.ndarray:
            return self.rng.random((len(histories), len(candidates.items)))

    chance = 10 / len(items)
    return [
        Planted("the same list for everybody", made("same", Same(), log), {"full": 1.0}, tolerance=0.35),
        Planted("lists at random", made("random", AtRandom(), log), {"full": chance}, tolerance=0.15),
    ]


def _sequences(histories: Histories) -> list[np.ndarray]:
    places, spans = histories.flat()
    item = np.asarray(histories.item)[places].astype(np.int64)
    return [item[a:b][item[a:b] >= 0] for a, b in pairwise(spans)]
