"""Messages and behaviour as one text of tokens, to be learned in both directions.

A message is written as sender, audience, channel, hour, day and place, then its title, body and scenes, each behind a
mark of its own; a number is one token, its bin. From a record three kinds of row are made:

    forward   content, then behaviour         learned: the behaviour       p(x_B | x_C) = prod_i p(x_i | x_C, x_B<i)
    reverse   content with a gap, behaviour, then what was in the gap        learned: what was in the gap
    plain     content, then facts of it       learned: all but who and when

*Forward*: behaviours stand in an order drawn anew each time, so that each is also asked first, given the content alone.
Of a message with scenes the replays of some are given in their places and the others are asked: the first, the last or
any 5 to 20%, windows of 3, 5, 7 or 11, or all. What receivers said (sentiment, reason) follows the numbers.
*Reverse*: the gap is the title, or five scenes on end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from ethogram.log.messages import Messages
from ethogram.numeric.bins import Bins
from ethogram.text.lexicon import Lexicon

HOUR, DAY = 3_600_000_000, 86_400_000_000
PLACES = 12
WINDOWS = (3, 5, 7, 11)
GAP = 5
"""Scenes whose content is hidden together."""
MARKS = (
    "begin", "end", "hidden", "asked", "sender", "channel", "hour", "day", "place", "title", "body",
)  # fmt: skip
Row = tuple[list[int], list[bool]]


class Coded(NamedTuple):
    """A message as tokens; replays and behaviours are codes of bins, -1 where nobody knows."""

    meta: list[int]
    title: list[int]
    body: list[int]
    scenes: list[list[int]]
    replays: list[int]
    behaviour: dict[str, int]
    said: dict[str, list[int]]
    about: dict[str, list[int]]


@dataclass(frozen=True)
class Language:
    """What the tokens are: words, then marks, then the bins of each number.

    Attributes
    ----------
    lexicon : the words. bins : of `audience`, `replay` and each behaviour. said, about : key -> values met in training.
    scenes : most scenes of a message. sees : what of a message is written down.
    """

    lexicon: Lexicon
    bins: Mapping[str, Bins]
    said: Mapping[str, tuple[str, ...]]
    about: Mapping[str, tuple[str, ...]]
    scenes: int
    sees: str = "all"

    @cached_property
    def mark(self) -> dict[str, int]:
        """Mark -> token."""
        names = [*MARKS, *(f"scene {i}" for i in range(self.scenes))]
        names += [*(f"hour {i}" for i in range(24)), *(f"day {i}" for i in range(7))]
        names += [f"place {i}" for i in range(PLACES)] + [f"did {b}" for b in self.behaviours]
        names += [*(f"said {k}" for k in self.said), *(f"about {k}" for k in self.about)]
        return {name: len(self.lexicon) + i for i, name in enumerate(names)}

    @cached_property
    def start(self) -> dict[str, int]:
        """Number -> the token of its first bin."""
        ends = np.cumsum([len(self.lexicon) + len(self.mark), *(len(b) for b in self.bins.values())])
        return dict(zip(self.bins, ends[:-1].tolist(), strict=True))

    def __len__(self) -> int:
        return len(self.lexicon) + len(self.mark) + sum(map(len, self.bins.values()))

    @classmethod
    def of(cls, messages: Messages, *, words: int, bins: int, sees: str) -> Language:
        """The language of training messages."""
        texts = [*messages.sender, *messages.channel, *messages.title, *messages.body]
        texts += [s for scenes in messages.scenes for s in scenes]
        said: dict[str, set[str]] = {}
        about: dict[str, set[str]] = {}
        for held, part in ((said, messages.comment), (about, messages.about)):
            for one in part:
                for key, value in one.items():
                    held.setdefault(key, set()).add(value)
                    texts.append(value)
        numbers = {"audience": messages.audience, **messages.behaviour}
        if any(len(r) for r in messages.replays):
            numbers["replay"] = np.concatenate(messages.replays)
        return cls(
            Lexicon.of(texts, words),
            {name: Bins.of(v, bins) for name, v in numbers.items() if not np.isnan(v).all()},
            {k: tuple(sorted(v)) for k, v in sorted(said.items())},
            {k: tuple(sorted(v)) for k, v in sorted(about.items())},
            max((len(s) for s in messages.scenes), default=0), sees,
        )  # fmt: skip

    @property
    def behaviours(self) -> list[str]:
        return [b for b in self.bins if b not in ("audience", "replay")]

    def near(self, blur: float, weight: float) -> tuple[np.ndarray, np.ndarray]:
        """Tokens int64[V, k] and weights float32[V, k] that stand for each token: for a bin a normal curve around it,
        whose deviation is a share `blur` of all bins, that counts `weight` tokens; any other token is itself."""
        most = max((len(b) for b in self.bins.values()), default=0)
        reach = int(np.ceil(2.5 * blur * most))
        steps = np.arange(-reach, reach + 1)
        others = np.tile(np.arange(len(self))[:, None], (1, len(steps)))
        weights = np.zeros(others.shape, np.float32)
        weights[:, reach] = 1
        for name, own in self.bins.items():
            codes = np.arange(len(own))[:, None] + steps
            there = (codes >= 0) & (codes < len(own))
            curve = np.where(there, np.exp(-0.5 * (steps / max(blur * len(own), 1e-6)) ** 2), 0)
            first = self.start[name]
            others[first : first + len(own)] = first + np.clip(codes, 0, len(own) - 1)
            weights[first : first + len(own)] = weight * curve / curve.sum(1, keepdims=True)
        return others, weights

    def coded(self, messages: Messages) -> list[Coded]:
        """Messages as tokens; scenes beyond the most of training are left out."""
        mark, n = self.mark, len(messages)
        sender, channel = self.lexicon.codes(messages.sender), self.lexicon.codes(messages.channel)
        title, body = self.lexicon.codes(messages.title), self.lexicon.codes(messages.body)
        counts = [min(len(s), self.scenes) for s in messages.scenes]
        flat = self.lexicon.codes([t for s, c in zip(messages.scenes, counts, strict=True) for t in s[:c]])
        ends = np.concatenate([[0], np.cumsum(counts)])
        hour = (messages.time // HOUR) % 24
        day = (messages.time // DAY + 3) % 7  # 1970 began on a Thursday
        reach = self.number("audience", messages.audience)
        did = {b: self._codes(b, messages.behaviour.get(b, np.full(n, np.nan))) for b in self.behaviours}
        made = []
        for i in range(n):
            meta = [mark["begin"], mark["sender"], *sender[i], mark["channel"], *channel[i]]
            if reach[i] >= 0:
                meta.append(int(reach[i]))
            meta += [mark[f"hour {hour[i]}"], mark[f"day {day[i]}"]]
            if not np.isnan(messages.position[i]):
                meta.append(mark[f"place {min(max(int(messages.position[i]), 0), PLACES - 1)}"])
            replays = self._codes("replay", messages.replays[i][: counts[i]]) if counts[i] else np.zeros(0, np.int64)
            made.append(
                Coded(
                    [mark["begin"]] if self.sees == "content" else meta, title[i], body[i], flat[ends[i] : ends[i + 1]],
                    replays.tolist(), {b: int(c[i]) for b, c in did.items() if c[i] >= 0},
                    self._words(messages.comment[i], self.said), self._words(messages.about[i], self.about),
                )
            )  # fmt: skip
        return made

    def number(self, name: str, values: np.ndarray) -> np.ndarray:
        """The token of each number, -1 for NaN or where training met none of that name."""
        codes = self._codes(name, values)
        return np.where(codes < 0, -1, codes + self.start.get(name, 0))

    def _codes(self, name: str, values: np.ndarray) -> np.ndarray:
        return self.bins[name].codes(values) if name in self.bins else np.full(len(values), -1, np.int64)

    def _words(self, told: Mapping[str, str], known: Mapping[str, Any]) -> dict[str, list[int]]:
        return {k: self._value(v) for k, v in told.items() if k in known}

    def _value(self, text: str) -> list[int]:
        if text not in self._values:
            self._values[text] = self.lexicon.codes([text])[0]
        return self._values[text]

    @cached_property
    def _values(self) -> dict[str, list[int]]:
        """Few values stand in many messages."""
        return {}

    # -- what is read ---------------------------------------------------------------------------------------------

    def begin(
        self, m: Coded, *, gap: Sequence[int] | None = None, title: bool = True, replays: Sequence[bool] = (),
    ) -> list[int]:  # fmt: skip
        """Meta, title, body and scenes.

        Parameters
        ----------
        gap : places of scenes whose content is hidden. title : False hides the title.
        replays : which scenes' replays are told, of the others stands that they are asked; empty writes no replays.
        """
        mark = self.mark
        row = list(m.meta)
        if self.sees != "metadata":
            if m.title or not title:
                row += [mark["title"], *(m.title if title else [mark["hidden"]])]
            if m.body:
                row += [mark["body"], *m.body]
        hidden = set(gap or ())
        for s, words in enumerate(m.scenes):
            row.append(mark[f"scene {s}"])
            row += [mark["hidden"]] if s in hidden or self.sees == "metadata" else words
            if replays:
                told = replays[s] and m.replays[s] >= 0
                row.append(self.start["replay"] + m.replays[s] if told else mark["asked"])
        return row

    def every(self, m: Coded) -> list[bool]:
        """True for each scene; empty where training met no replays, so that none are written."""
        return [True] * len(m.scenes) if "replay" in self.bins else []

    def did(self, m: Coded, names: Sequence[str]) -> list[int]:
        """Behaviours of the message, each behind its mark."""
        return [t for b in names for t in (self.mark[f"did {b}"], self.start[b] + m.behaviour[b])]

    # -- rows that are learned ------------------------------------------------------------------------------------

    def forward(self, m: Coded, rng: np.random.Generator) -> Row:
        told = _told(len(m.scenes), rng) if self.every(m) else []
        tokens = self.begin(m, replays=told)
        learned = [False] * len(tokens)
        numbers = [("did", b) for b in m.behaviour]
        scenes = [("scene", s) for s, t in enumerate(told) if not t and m.replays[s] >= 0]
        # either may be asked first
        parts = [[numbers[i] for i in rng.permutation(len(numbers))], [scenes[i] for i in rng.permutation(len(scenes))]]
        for kind, name in [x for part in (parts if rng.random() < 0.5 else parts[::-1]) for x in part]:
            start, code = (
                (self.start[name], m.behaviour[name]) if kind == "did" else (self.start["replay"], m.replays[name])
            )
            tokens += [self.mark[f"{kind} {name}"], start + code]
            learned += [False, True]
        for key in _shuffled(m.said, rng):
            tokens += [self.mark[f"said {key}"], *m.said[key]]
            learned += [False] + [True] * len(m.said[key])
        return tokens, learned

    def reverse(self, m: Coded, rng: np.random.Generator, behaviour: bool = True) -> Row:
        """`behaviour` False leaves it out: what a model of content alone learns."""
        gap = _gap(len(m.scenes), rng)
        tokens = self.begin(
            m,
            gap=gap,
            title=bool(gap),
            replays=self.every(m) if behaviour else [],
        )
        if behaviour:
            tokens += self.did(m, _shuffled(m.behaviour, rng))
        answer = self.answer(m, gap)
        return tokens + answer, [False] * (len(tokens) + 1) + [True] * (len(answer) - 1)

    def answer(self, m: Coded, gap: Sequence[int]) -> list[int]:
        """What was hidden: scenes in their order, or the title."""
        if not gap:
            return [self.mark["title"], *m.title, self.mark["end"]]
        return [*(t for s in gap for t in (self.mark[f"scene {s}"], *m.scenes[s])), self.mark["end"]]

    def plain(self, m: Coded, rng: np.random.Generator) -> Row:
        begin = self.begin(m)
        tokens, learned = list(begin), [False] * len(m.meta) + [True] * (len(begin) - len(m.meta))
        for key in _shuffled(m.about, rng):
            tokens += [self.mark[f"about {key}"], *m.about[key]]
            learned += [False] + [True] * len(m.about[key])
        return tokens, learned


def _told(scenes: int, rng: np.random.Generator) -> list[bool]:
    """Which replays are given; the others are asked."""
    told = np.ones(scenes, bool)
    kind = rng.integers(0, 5)
    few = max(1, round(scenes * rng.uniform(0.05, 0.2)))
    if kind == 0:
        told[:few] = False
    elif kind == 1:
        told[-few:] = False
    elif kind == 2:
        told[rng.permutation(scenes)[:few]] = False
    elif kind == 3:
        width = min(int(rng.choice(WINDOWS)), scenes)
        first = int(rng.integers(0, scenes - width + 1))
        told[first : first + width] = False
    else:
        told[:] = False
    return [bool(t) for t in told]


def _gap(scenes: int, rng: np.random.Generator) -> list[int]:
    width = min(GAP, scenes // 2)
    if not width:
        return []
    first = int(rng.integers(0, scenes - width + 1))
    return list(range(first, first + width))


def _shuffled(names: Any, rng: np.random.Generator) -> list[Any]:
    listed = list(names)
    return [listed[i] for i in rng.permutation(len(listed))]
