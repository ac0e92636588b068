"""Listeners who come back to songs as ACT-R's memory has it: a generator with known truth.

Somebody listens in sessions of `songs` distinct songs at one time. A session has a topic: that of the one before, or
the next in the person's own round of topics. Each song is, with probability `repeats`, one that the person knows,

    P(song i) proportional to (`warmth` if i is of the session's topic, else 1) * sum_j (t - t_ij)^-d

over their plays j, in hours; else one that they never played, of the session's topic, the popular before the rare.
Pauses between sessions are log-normal about a day. People take turns among the exponents `decays`.

Reference: J. R. Anderson, L. J. Schooler: Reflections of the Environment in Memory. Psychological Science 2, 1991.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
from numba import njit

from ethogram.data.registry import Reading, data_set
from ethogram.errors import OptionError

START = int(np.datetime64("2024-01-01", "us").astype(np.int64))
HOUR = 3_600_000_000
ROUND = 5
"""Topics of a person."""
TRIES = 8
"""Songs drawn at most before the next unplayed one of the topic is taken."""


@data_set(
    "listeners",
    what="generated: listening sessions of people who repeat songs by the power law of forgetting",
    licence="none needed: generated here",
    origin="a generator; seeded, truth known",
    get="nothing to get",
    version=1,
)
@dataclass(frozen=True, kw_only=True)
class Listeners:
    """Songs of one session have one time. Items: topic."""

    users: int = 400
    "People."
    items: int = 2_000
    "Songs, spread evenly over the topics."
    topics: int = 20
    "Topics, 5 or more: a person has 5 of them."
    sessions: tuple[int, int] = (50, 80)
    "Fewest and most sessions of a person."
    songs: int = 10
    "Songs of a session."
    repeats: float = 0.6
    "Probability that a song is one that the person knows, where they know enough."
    decays: tuple[float, ...] = (0.5,)
    "Exponents of forgetting, of the people in turn."
    stay: float = 0.5
    "Probability that a session keeps the topic of the one before."
    warmth: float = 4.0
    "How much more readily a known song of the session's topic comes to mind."
    seed: int = 0
    "Of everything that is drawn."

    def __post_init__(self) -> None:
        few, most = self.sessions
        for wrong, text in (
            (min(self.users, self.songs) < 1, "users, songs: 1 or more"),
            (self.topics < ROUND, f"topics = {self.topics}; a person has {ROUND}"),
            (self.items < 2 * self.songs * self.topics, f"{self.items} items; give 2 * songs * topics or more"),
            (not 1 <= few <= most, f"sessions = {self.sessions} is not (fewest, most)"),
            (not (0 <= self.repeats <= 1 and 0 <= self.stay <= 1), "repeats, stay: in [0, 1]"),
            (not self.decays or min(self.decays) < 0, f"decays = {self.decays}; give one or more, 0 or above"),
            (self.warmth <= 0, f"warmth = {self.warmth} is not above 0"),
        ):
            if wrong:
                raise OptionError(f"listeners: {text}.")

    def files(self) -> tuple[Path, ...]:
        return ()

    @cached_property
    def decay(self) -> np.ndarray:
        """Exponent of each person, float64[users]."""
        return np.resize(np.asarray(self.decays, float), self.users)

    @cached_property
    def topic(self) -> np.ndarray:
        """Topic of each song, int64[items]."""
        return np.arange(self.items) % self.topics

    @cached_property
    def played(self) -> dict[str, np.ndarray]:
        """Every play: user, item, time (microseconds), topic (of the session), again (the person knew the song)."""
        rng = np.random.default_rng([self.seed, 0])
        counts = rng.integers(self.sessions[0], self.sessions[1] + 1, self.users)
        owner = np.repeat(np.arange(self.users), counts)
        pause = np.maximum(np.exp(rng.normal(np.log(24), 0.8, len(owner))), 1.0)
        hour = np.cumsum(pause)
        hour -= np.repeat(hour[np.cumsum(counts) - counts], counts) - np.repeat(rng.random(self.users) * 500, counts)
        rounds = np.stack([rng.permutation(self.topics)[:ROUND] for _ in range(self.users)])
        turns = np.cumsum(rng.random(len(owner)) >= self.stay)
        topic = rounds[owner, turns % ROUND]
        size = -(-self.items // self.topics)
        ladder = np.cumsum(np.arange(1, size + 1) ** -0.8)
        drawn = rng.random((len(owner), self.songs, 1 + TRIES))
        item, again = np.empty((len(owner), self.songs), np.int64), np.empty((len(owner), self.songs), bool)
        _play(
            np.cumsum(counts) - counts, counts, hour, topic, self.decay, drawn, ladder, self.items, self.topics,
            self.repeats, self.warmth, item, again,
        )  # fmt: skip
        each = np.repeat(np.arange(len(owner)), self.songs)
        time = START + (hour * HOUR).astype(np.int64)
        return {"user": owner[each], "item": item.ravel(), "time": time[each], "topic": topic[each],
                "again": again.ravel()}  # fmt: skip

    def read(self) -> Reading:
        made = self.played
        events = pa.table(
            {"user": made["user"], "item": made["item"], "time": pa.array(made["time"], pa.timestamp("us", "UTC"))}
        )
        items = pa.table({"item": np.arange(self.items), "topic": self.topic})
        return Reading(events, {name: name for name in events.column_names}, items)

    def truth(self) -> dict[str, pa.Table]:
        """What only the generator knows.

        Returns
        -------
        dict of tables
            ``people``: user, decay. ``plays``: user, item, time, topic (of the session), again.
        """
        plays = {**self.played, "time": pa.array(self.played["time"], pa.timestamp("us", "UTC"))}
        return {"people": pa.table({"user": np.arange(self.users), "decay": self.decay}), "plays": pa.table(plays)}


@njit(cache=True, nogil=True)
def _play(starts, counts, hour, topic, decay, drawn, ladder, items, topics, repeats, warmth, item, again):  # type: ignore[no-untyped-def]
    songs = item.shape[1]
    for u in range(len(starts)):
        strength, known = np.zeros(items), np.zeros(items, np.bool_)
        met, used = np.empty(items, np.int64), np.zeros(items, np.bool_)
        n = 0
        for s in range(starts[u], starts[u] + counts[u]):
            for m in range(n):
                strength[met[m]] = 0.0
            for p in range(starts[u], s):
                gone = (hour[s] - hour[p]) ** -decay[u]
                for k in range(songs):
                    strength[item[p, k]] += gone
            total = 0.0
            for m in range(n):
                if met[m] % topics == topic[s]:
                    strength[met[m]] *= warmth
                total += strength[met[m]]
            for k in range(songs):
                i, old = -1, drawn[s, k, 0] < repeats and n >= 2 * songs
                if old:
                    left = drawn[s, k, 1] * total
                    for m in range(n):
                        if used[met[m]] or not known[met[m]]:
                            continue
                        i = met[m]
                        left -= strength[i]
                        if left <= 0:
                            break
                    total -= strength[i]
                else:
                    place = 0
                    for t in range(drawn.shape[2] - 1):
                        place = np.searchsorted(ladder, drawn[s, k, 1 + t] * ladder[-1])
                        i = (topic[s] + topics * place) % items
                        if not known[i]:
                            break
                    while known[i]:  # of the topic, in turn; beyond it, of any
                        i = (i + topics) % items if not _all_known(known, topic[s], topics) else (i + 1) % items
                    known[i] = True
                    met[n] = i
                    n += 1
                item[s, k], again[s, k], used[i] = i, old, True
            for k in range(songs):
                used[item[s, k]] = False


@njit(cache=True, nogil=True)
def _all_known(known, topic, topics):  # type: ignore[no-untyped-def]
    left = 0
    for i in range(topic, len(known), topics):
        left += not known[i]
    return left == 0
