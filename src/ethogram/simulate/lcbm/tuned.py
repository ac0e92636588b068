"""The decoder that learns content and behaviour in one: first the texts alone, then both directions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from ethogram.errors import MissingExtra, OptionError
from ethogram.log.messages import Messages
from ethogram.numeric.bins import Bins
from ethogram.simulate.lcbm.corpus import Coded, Language, Row
from ethogram.text.lexicon import Lexicon
from ethogram.verbs import State

SIZES = {"tiny": (1, 32, 2), "small": (3, 96, 3), "medium": (4, 192, 4), "full": (7, 256, 4)}
"""Layers, width, heads: 0.04, 0.4, 1.9 and 5.7 million weights with the 400 words of the generated messages."""
CONTEXT = 320


class Told(NamedTuple):
    """What may come of a behaviour, ascending, and how likely each is; `scene` None for the whole message."""

    message: int
    scene: int | None
    behaviour: str
    values: np.ndarray
    shares: np.ndarray

    @property
    def mean(self) -> float:
        return float(self.values @ self.shares)

    def quantile(self, q: float) -> float:
        """The first value up to which a share of at least `q` lies."""
        at = int(np.searchsorted(np.cumsum(self.shares), q - 1e-9))
        return float(self.values[min(at, len(self.values) - 1)])


class Tuned:
    """See the module; `options` are those of the system."""

    def __init__(self, options: Any):
        self.options = options

    # -- learning -------------------------------------------------------------------------------------------------

    def fit(self, messages: Messages, seed: int, watch: Any) -> None:
        o = self.options
        self.language = Language.of(messages, words=o.words, bins=o.bins, sees=o.sees)
        coded = self.language.coded(messages)
        self.model = self._decoder(seed)
        self._teach([0.0, 0.0, 1.0], coded, o.reading, seed, watch)
        if o.tuned:
            self._teach(self._shares(), coded, o.epochs, seed + 1, watch)
        rng = np.random.default_rng([seed, 5])
        kept = rng.permutation(len(coded))[: o.shots]
        self.shots = [t for i in kept for t in self.language.forward(coded[i], rng)[0]]

    def adapt(self, messages: Messages, epochs: int, lr: float, seed: int) -> None:
        """Go on learning both directions from further messages; words and bins stay as they are."""
        coded = self.language.coded(messages)
        self._teach(self._shares(), coded, epochs, seed, None, lr)

    def _shares(self) -> list[float]:
        o = self.options
        return [(1 - o.rehearsal) * (1 - o.reverse) * o.behaviour, (1 - o.rehearsal) * o.reverse, o.rehearsal]

    def _teach(
        self, shares: Sequence[float], coded: list[Coded], epochs: int, seed: int, watch: Any, lr: float | None = None
    ) -> None:
        """`shares` of forward, reverse and plain rows."""
        from ethogram.nn.decoder import Rows, teach

        o, language = self.options, self.language
        cuts = np.cumsum(shares) / np.sum(shares)

        def one(m: Coded, draw: float, rng: np.random.Generator) -> Row:
            if draw < cuts[0]:
                made = language.forward(m, rng)
                if any(made[1]):
                    return made
            elif draw < cuts[1] and (m.title or m.scenes):
                return language.reverse(m, rng, o.behaviour)
            return language.plain(m, rng)

        def rows(rng: np.random.Generator) -> Rows:
            made = [one(m, d, rng) for m, d in zip(coded, rng.random(len(coded)), strict=True)]
            made = [(t[:CONTEXT], own[:CONTEXT]) for t, own in made if any(own[:CONTEXT])]
            return Rows([t for t, _ in made], [own for _, own in made])

        if epochs:
            teach(
                self.model, rows, len(coded), epochs=epochs, batch=o.batch, lr=lr or o.lr, seed=seed,
                precision=o.precision, near=language.near(o.blur, o.weight), watch=watch,
            )  # fmt: skip

    def _decoder(self, seed: int) -> Any:
        try:
            from ethogram.nn.decoder import Decoder
        except ImportError:
            raise MissingExtra("the decoder needs the extra: pip install 'ethogram[nn]'") from None
        layers, width, heads = SIZES[self.options.size]
        return Decoder(len(self.language), layers=layers, width=width, heads=heads, context=CONTEXT, seed=seed)

    # -- asking ---------------------------------------------------------------------------------------------------

    @property
    def said(self) -> Mapping[str, tuple[str, ...]]:
        """What receivers said in training: key -> values."""
        return self.language.said

    def anticipate(self, messages: Messages, known: bool) -> list[Told]:
        """All that is asked of the messages."""
        language, asked, begins, branches = self.language, [], [], []
        for i, m in enumerate(language.coded(messages)):
            told = [known and r >= 0 for r in m.replays] if language.every(m) else []
            there = [b for b in m.behaviour if known]
            begins.append([*self.shots, *language.begin(m, replays=told), *language.did(m, there)])
            own = [(i, None, b) for b in language.behaviours if b not in there]
            own += [(i, s, "replay") for s, t in enumerate(told) if not t]
            asked.append(own)
            branches.append([[language.mark[f"did {b}" if s is None else f"scene {s}"]] for _, s, b in own])
        made = []
        for own, found in zip(asked, self._said(begins, branches, last=True), strict=True):
            for (i, s, b), scores in zip(own, found, strict=True):
                first = language.start[b]
                held = scores[first : first + len(language.bins[b])]  # the grammar: nothing but this number's bins
                share = np.exp(held - held.max())
                made.append(Told(i, s, b, language.bins[b].values, share / share.sum()))
        return made

    def recognise(self, messages: Messages, options: Sequence[Sequence[Any]]) -> list[np.ndarray]:
        """Log-probability of each option in the place of what is hidden."""
        language, begins, branches = self.language, [], []
        for i, m in enumerate(language.coded(messages)):
            gap = gaps(messages, i)
            if gap and gap[-1] >= len(m.scenes):
                most = language.scenes
                raise OptionError(f"message {messages.item[i]!r} hides scene {gap[-1]}; training met {most} at most.")
            read = self.options.behaviour
            row = language.begin(m, gap=gap, title=bool(gap), replays=language.every(m) if read else [])
            begins.append(row + (language.did(m, list(m.behaviour)) if read else []))
            own = []
            for option in options[i]:
                texts = [option] if isinstance(option, str) else list(option)
                codes = language.lexicon.codes(texts)
                filled = m._replace(title=codes[0]) if not gap else m._replace(scenes=_filled(m.scenes, gap, codes))
                own.append(language.answer(filled, gap))
            branches.append(own)
        # a branch's first token is a mark that stands in every option
        return [np.array([float(s[1:].sum()) for s in own]) for own in self._said(begins, branches)]

    def write(self, messages: Messages, most: int) -> list[str]:
        """The likeliest next word again and again, in the place of each title: at most `most` words.

        Behaviour that is not told is taken as ordinary, the middle bin: training met it with all others.
        """
        language = self.language
        ordinary = {b: len(language.bins[b]) // 2 for b in language.behaviours}
        coded = [m._replace(behaviour=ordinary | m.behaviour) for m in language.coded(messages)]
        begins = [
            [*language.begin(m, title=False), *language.did(m, list(m.behaviour)), language.mark["title"]]
            for m in coded
        ]
        names, end = language.lexicon.names, language.mark["end"]
        written: list[list[int]] = [[] for _ in begins]
        going = list(range(len(begins)))
        for _ in range(most):
            rows = [[*begins[i][:-1]] for i in going]
            said = self._said(rows, [[[begins[i][-1], *written[i]]] for i in going], last=True)
            still = []
            for i, found in zip(going, said, strict=True):
                word = int(found[0][: len(names)].argmax())
                if found[0][end] < found[0][word]:
                    written[i].append(word)
                    still.append(i)
            going = still
            if not going:
                break
        return [" ".join(names[w] for w in own) for own in written]

    def reasons(self, messages: Messages) -> list[dict[str, np.ndarray]]:
        """What receivers say of each message and its response: key -> probabilities of its values."""
        coded = self.language.coded(messages)
        begins = [self._whole(m) + self.language.did(m, list(m.behaviour)) for m in coded]
        return self._values(begins, "said", self.language.said)

    def about(self, messages: Messages) -> list[dict[str, np.ndarray]]:
        """Facts of the content, read from it alone: key -> probabilities of its values."""
        return self._values(
            [self.language.begin(m) for m in self.language.coded(messages)], "about", self.language.about
        )

    def _whole(self, m: Coded) -> list[int]:
        return [*self.shots, *self.language.begin(m, replays=self.language.every(m))]

    def _values(
        self, begins: list[list[int]], kind: str, known: Mapping[str, tuple[str, ...]]
    ) -> list[dict[str, np.ndarray]]:
        branches, ends = [], {}
        for key, values in known.items():
            ends[key] = (len(branches), len(branches) + len(values))
            branches += [[self.language.mark[f"{kind} {key}"], *codes] for codes in self.language.lexicon.codes(values)]
        made = []
        for found in self._said(begins, [branches] * len(begins)) if branches else [[]] * len(begins):
            scores = np.array([float(s[1:].sum()) for s in found])
            parts = {key: scores[a:b] for key, (a, b) in ends.items()}
            made.append({key: np.exp(v - v.max()) / np.exp(v - v.max()).sum() for key, v in parts.items()})
        return made

    def surprise(self, messages: Messages) -> np.ndarray:
        """Nats of each message's content (and the facts of it) given who and when, and its tokens: float64[n, 2]."""
        rng, begins, branches = np.random.default_rng(0), [], []
        for m in self.language.coded(messages):
            tokens, learned = self.language.plain(m._replace(about={}), rng)
            first = learned.index(True) if True in learned else len(tokens) - 1
            begins.append(tokens[:first])
            branches.append([tokens[first:]])
        return np.array([[-float(own[0].sum()), len(own[0])] for own in self._said(begins, branches)])

    def _said(self, begins: Any, branches: Any, *, last: bool = False) -> Any:
        from ethogram.nn.decoder import branched

        for begin, parts in zip(begins, branches, strict=True):
            longest = len(begin) + max(map(len, parts), default=0)
            if longest > CONTEXT:
                raise OptionError(f"a message has {longest} words and marks; the decoder reads {CONTEXT}.")
        return branched(self.model, begins, branches, last=last)

    # -- state ----------------------------------------------------------------------------------------------------

    def state(self) -> State:
        import pyarrow as pa

        from ethogram.nn import saved

        l = self.language  # noqa: E741
        arrays = saved.arrays(self.model) | {"shots": np.array(self.shots, np.int64)}
        for name, own in l.bins.items():
            arrays |= own.arrays(name)
        told = {"bins": list(l.bins), "said": l.said, "about": l.about, "scenes": l.scenes, "spare": l.lexicon.spare}
        return State(arrays, {"words": pa.table({"word": pa.array(l.lexicon.names, pa.string())})}, told)

    def restore(self, state: State) -> None:
        from ethogram.nn import saved

        told = state.json
        self.language = Language(
            Lexicon(tuple(state.tables["words"].column("word").to_pylist()), int(told["spare"])),
            {name: Bins.restored(state.arrays, name) for name in told["bins"]},
            *({k: tuple(v) for k, v in told[part].items()} for part in ("said", "about")),
            int(told["scenes"]), self.options.sees,
        )  # fmt: skip
        self.model = self._decoder(0)
        saved.restore(self.model, {k: v for k, v in state.arrays.items() if k.startswith("model.")})
        self.model.eval()
        self.shots = [int(t) for t in state.arrays["shots"]]


def gaps(messages: Messages, i: int) -> list[int]:
    """The scenes of a message whose text is hidden; without any its title is.

    Raises
    ------
    OptionError
        Nothing is hidden.
    """
    gap = [s for s, text in enumerate(messages.scenes[i]) if not text.strip()]
    if not gap and messages.title[i].strip():
        raise OptionError(f"nothing is hidden of message {messages.item[i]!r}: empty its title or some of its scenes.")
    return gap


def hidden(messages: Messages, windows: Sequence[Sequence[int]] | None = None) -> Messages:
    """The same messages without the texts of these scenes, or without their titles."""
    if windows is None:
        return replace(messages, title=[""] * len(messages))
    scenes = [
        ["" if s in set(w) else t for s, t in enumerate(own)] for own, w in zip(messages.scenes, windows, strict=True)
    ]
    return replace(messages, scenes=scenes)


def _filled(scenes: list[list[int]], gap: Sequence[int], codes: list[list[int]]) -> list[list[int]]:
    made = list(scenes)
    for s, words in zip(gap, codes, strict=True):
        made[s] = words
    return made
