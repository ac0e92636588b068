"""What is attacked: a system with its catalogue, whose sequences leak, and on whom agreement is measured."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from ethogram.audit.model_extraction.detecting import FIRST, Detector, Frequencies
from ethogram.audit.model_extraction.service import Lists, ranking
from ethogram.errors import OptionError
from ethogram.log import Candidates, Histories, Log, Vocabulary
from ethogram.verbs import Planted, Scores

MOST = 300
"""People that calibrate a detector, and on whom its false alarms are counted, at most."""
PLANTED = 20
Trace = tuple[list[np.ndarray], np.ndarray]
"""Queries of an account in their order, and the lists that answered them."""


@dataclass(frozen=True, eq=False)
class Target:
    """A service's system and its people.

    Attributes
    ----------
    lists : what the service says, undefended. items : its catalogue.
    people : int64 sequences of training, one a person, in order of their codes. prefixes, after : of people in the test
        part, what they did before it and one item that they did then.
    """

    identity: str
    lists: Lists
    items: Vocabulary
    people: list[np.ndarray]
    prefixes: list[np.ndarray]
    after: np.ndarray
    _traces: dict[tuple[int, int], Trace] = field(default_factory=dict, repr=False)

    def __str__(self) -> str:
        return self.identity

    def few(self, share: float, seed: int) -> tuple[list[np.ndarray], np.ndarray]:
        """(sequences of so many people, numbers of the others), by seed."""
        order = np.random.default_rng([seed, 5]).permutation(len(self.people))
        n = max(1, round(share * len(self.people)))
        return [self.people[i] for i in order[:n]], np.sort(order[n:])

    def groups(self, others: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(people of the owner's log, people who calibrate, people who are judged): numbers.

        The last two are drawn once for all seeds, `MOST` of each at most, and none of them is among the few.
        """
        order = np.random.default_rng(6).permutation(len(self.people))
        third = len(order) // 3
        calibrate, judged = (np.intersect1d(order[a : a + min(third, MOST)], others) for a in (third, 2 * third))
        return np.setdiff1d(order, np.concatenate([calibrate, judged])), calibrate, judged

    def traces(self, numbers: np.ndarray, k: int) -> list[Trace]:
        """What people ask who ask before each of their first events, and what the undefended service says."""
        new = [int(i) for i in numbers if (int(i), k) not in self._traces]
        queries = [[self.people[i][:t] for t in range(1, min(len(self.people[i]), FIRST) + 1)] for i in new]
        lists = self.lists([q for one in queries for q in one], k).astype(np.int32)
        ends = np.cumsum([len(q) for q in queries], dtype=int)[:-1]
        for i, asked, answered in zip(new, queries, np.split(lists, ends) if new else [], strict=True):
            self._traces[i, k] = asked, answered
        return [self._traces[int(i), k] for i in numbers]

    def detector(self, kind: str, others: np.ndarray, k: int, alarms: float) -> Detector:
        """A detector calibrated on people of this service."""
        known, calibrate, _ = self.groups(others)
        counted = Frequencies.of([self.people[i] for i in known], len(self.items))
        return Detector.calibrated(kind, counted, self.traces(calibrate, k), alarms)


def target(options: Any, given: str) -> Target:
    """The subject that the options and the name describe; see `ModelExtraction.subject`."""
    from ethogram import data
    from ethogram.system import load, resolve

    known = data.names()
    if options.data not in known and "://" not in options.data and not Path(options.data).exists():
        raise OptionError(
            f"model_extraction: --data {options.data} is no log and no data set; data sets are {', '.join(known)}."
        )
    log = data.load(options.data) if options.data in known else Log.open(options.data)
    if given.startswith(("http://", "https://")):
        from ethogram.audit.model_extraction.remote import Remote

        items = log.vocabulary("item")
        return made(given, Remote(given, items).lists, log)
    if given not in ("", "local"):
        if not Path(given).is_dir():
            raise OptionError(
                f"model_extraction: '{given}' is no folder of a saved system; give one, the http:// address of a "
                "service (`ethogram serve`), or local."
            )
        built = resolve(load(given), Scores)
        return made(Path(given).name, ranking(built.score, log.vocabulary("item")), log)
    built = resolve(options.victim, Scores)
    logging.getLogger(__name__).warning(
        "model extraction: %s learns from %s first, as the service; --subject names one that has learned",
        options.victim, options.data,
    )  # fmt: skip
    return trained(options.victim, built, log)


def trained(identity: str, built: Any, log: Log) -> Target:
    """A target of a system that is trained on the people's training part."""
    cut = log.split("leave-last-out")
    built.fit(cut.train, cut.valid, seed=1_000)
    return made(identity, ranking(built.score, log.vocabulary("item")), log)


def made(identity: str, lists: Lists, log: Log) -> Target:
    """A target of a service's lists and the log of its people."""
    cut = log.split("leave-last-out")
    done, asked = cut.train.histories(), cut.test.questions("next")
    codes, offsets = asked.candidates.flat(len(asked))
    place = {int(u): i for i, u in enumerate(done.users)}
    before = {int(u): s for u, s in zip(asked.histories.users, _sequences(asked.histories), strict=True)}
    after = {int(u): int(codes[offsets[i]]) for i, u in enumerate(asked.histories.users)}
    people = _sequences(done)
    prefixes = [before.get(u, np.empty(0, np.int64)) for u in place]
    return Target(
        identity, lists, log.vocabulary("item"), people, prefixes, np.array([after.get(u, -1) for u in place])
    )


def planted(options: Any) -> Sequence[Planted]:
    """See `ModelExtraction.planted`; the services list `PLANTED` items, few enough to be learned in full."""
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

    def short(built: Any) -> Lists:
        return lambda sequences, k: _cut(ranking(built.score, items)(sequences, k))

    chance = 10 / len(items)
    return [
        Planted("the same list for everybody", made("same", short(Same()), log), {"full": 1.0}, tolerance=0.05),
        Planted("lists at random", made("random", short(AtRandom()), log), {"full": chance}, tolerance=0.05),
    ]


def _cut(lists: np.ndarray) -> np.ndarray:
    lists[:, PLANTED:] = -1
    return lists


def _sequences(histories: Histories) -> list[np.ndarray]:
    places, spans = histories.flat()
    item = np.asarray(histories.item)[places].astype(np.int64)
    return [item[a:b][item[a:b] >= 0] for a, b in pairwise(spans)]
