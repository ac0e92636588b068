"""The loop around a ranker: predict with the memory, and write the errors once the answers are known."""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

import numpy as np

from ethogram.errors import OptionError, StepError
from ethogram.log import Candidates, Features, Histories, Log, Questions
from ethogram.nn import saved, slates
from ethogram.nn.error_memory import ByItem, Keys, Memory, Nearest, Sketched
from ethogram.nn.incremental import Incremental
from ethogram.numeric import identity
from ethogram.numeric.balance import sigmoid
from ethogram.numeric.calibrated import learn
from ethogram.numeric.slates import both_answers
from ethogram.verbs import State, Table

STRENGTHS = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)
"""Factors lambda that are tried on what was revealed."""
UNKNOWN = 0.5
"""lambda before any answer."""
EDGE = 1e-6
WIDTH = 32
"""Of the part of a key that comes from the request's columns."""
SAMPLE = 4_096
"""Questions that the centre of the hidden layer is taken from."""
BLOCKS = 10
"""Steps in which a validation part is walked through."""


class Judged(NamedTuple):
    """Flat over the candidates: probability of the base, expected error, support, compensated probability."""

    base: np.ndarray
    error: np.ndarray
    support: np.ndarray
    answer: np.ndarray


class Loop:
    """The fitted state of `ethogram.rank.reloop2`, whose options it reads."""

    def __init__(self, options: Any, features: Features, frozen: Any, dim: int, seed: int) -> None:
        self.options, self.features, self.frozen, self.seed = options, features, frozen, seed
        self.unit, self.half_life = options.clock()
        self.memory = self._memory(dim)
        self.dim = dim
        self.revealed = 0
        self.latest: int | None = None
        self.losses = np.zeros(len(STRENGTHS))
        self.center = np.zeros(_hidden(getattr(options.base.fitted, "network", None)), np.float32)
        self._slow: Incremental | None = None

    @classmethod
    def around(cls, options: Any, train: Log, seed: int) -> Loop:
        """An empty memory around the fitted base; the centre of its hidden layer comes from a sample of `train`."""
        network = getattr(options.base.fitted, "network", None)
        if options.slow_lr and not isinstance(network, slates.SlateNetwork):
            key = options.base.info.key
            raise OptionError(f"reloop2: slow_lr = {options.slow_lr}, but base '{key}' is no network that takes steps.")
        hidden = _hidden(network)
        if options.key == "hidden" and not hidden:
            raise OptionError(f"reloop2: base '{options.base.info.key}' has no hidden layer; give key = 'columns'.")
        frozen = copy.deepcopy(network) if options.slow_lr and hidden else None
        dim = (hidden if options.key != "columns" else 0) + (WIDTH if options.key != "hidden" else 0)
        made = cls(options, train.features(), frozen, dim, seed)
        if hidden and made.keyed and options.key != "columns":
            asked = train.questions("slates")
            some = (
                asked
                if len(asked) <= SAMPLE
                else _ordered(asked, np.sort(np.random.default_rng(seed).choice(len(asked), SAMPLE, replace=False)))
            )
            found = options.base.fitted.judged(some.histories, some.candidates, some.context or None)[1]
            made.center = found.mean(axis=0)
        return made

    @property
    def keyed(self) -> bool:
        """Whether the memory reads keys (not only the item)."""
        return self.options.memory in ("sketch", "exact")

    def _memory(self, dim: int) -> Memory | None:
        o = self.options
        if o.memory == "sketch":
            return Sketched(dim, o.repeats, o.bits, self.half_life, o.hash_seed)
        if o.memory == "exact":
            return Nearest(dim, o.neighbours, o.temperature, self.half_life, o.capacity)
        return ByItem(self.half_life) if o.memory == "item" else None

    @property
    def nbytes(self) -> int:
        """Bytes of the memory."""
        return 0 if self.memory is None else self.memory.nbytes

    @property
    def strength(self) -> float:
        """lambda as it is now."""
        if self.options.strength is not None:
            return float(self.options.strength)
        return UNKNOWN if not self.revealed else STRENGTHS[int(np.argmin(self.losses))]

    # -- predicting -----------------------------------------------------------------------------------------------

    def judge(self, histories: Histories, candidates: Candidates, context: Table | None) -> Judged:
        """Base and compensated probabilities of all candidates."""
        base, keys = self._asked(histories, candidates, context)
        owner = np.repeat(np.arange(len(histories)), candidates.counts(len(histories)))
        error, support = self._read(keys, self._now(np.asarray(histories.time)[owner]))
        return Judged(base, error, support, compensated(base, error, self.strength, self.options.on))

    def _asked(self, histories: Histories, candidates: Candidates, context: Any) -> tuple[np.ndarray, Keys]:
        """(probabilities of the base, keys), both flat."""
        o = self.options
        base = np.asarray(o.base.score(histories, candidates, context), np.float64).reshape(-1)
        item = identity.items(candidates, len(histories))
        if not self.keyed:
            return base, Keys(np.zeros((len(base), 0), np.float32), item)
        parts = []
        if o.key != "columns" and _hidden(getattr(o.base.fitted, "network", None)):
            hidden = o.base.fitted.judged(histories, candidates, context, self.frozen)[1]
            parts.append(identity.unit(hidden - self.center))
        if o.key != "hidden":
            parts.append(identity.vectors(self.features, histories, candidates, context, WIDTH))
        return base, Keys(identity.unit(np.concatenate(parts, axis=1)), item)

    def _read(self, keys: Keys, now: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(expected error, or the step of the log odds; support)."""
        if self.memory is None:
            return np.zeros(len(now)), np.zeros(len(now))
        n, s, v = self.memory.read(keys, now).T
        over = n + self.options.prior if self.options.on == "probability" else v + self.options.prior / 4
        return s / np.maximum(over, 1e-9), n

    def _now(self, time: np.ndarray) -> np.ndarray:
        """The clock at which questions are asked: answers so far, or their time; nobody asks before the last answer."""
        if self.unit == "answers" or self.latest is None:
            return np.full(len(time), float(self.revealed))
        # a question without a time of its own is asked now
        asked = np.where(time == np.iinfo(np.int64).max, self.latest, time)
        return np.maximum(asked, self.latest).astype(np.float64)

    # -- learning -------------------------------------------------------------------------------------------------

    def walk(self, valid: Log | None, calibrate: str) -> Any:
        """Reveal a validation part block by block; the map learned from what was predicted, where one is asked for."""
        try:
            asked = None if valid is None else valid.questions("slates")
        except StepError:
            asked = None
        if calibrate != "none" and asked is None:
            raise OptionError(
                f"reloop2: calibrate = {calibrate} is learned on a validation part and there is no answer in one; give "
                "fit a valid log (on the command line: --protocol temporal, or a share for validation)."
            )
        if asked is None:
            return None
        order = np.argsort(np.asarray(asked.histories.time), kind="stable")
        asked, said = _ordered(asked, order), []
        time = np.asarray(asked.histories.time)
        cuts = np.searchsorted(time, np.unique(time[np.linspace(0, len(time), BLOCKS, endpoint=False, dtype=int)]))
        for first, last in zip(cuts, [*cuts[1:], len(asked)], strict=True):
            said.append(self.reveal(asked[slice(int(first), int(last))]))
        if calibrate == "none":
            return None
        both_answers(asked.label, asked.weight)
        return learn(calibrate, asked.label, np.concatenate(said), asked.weight)

    def reveal(self, asked: Questions) -> np.ndarray:
        """Take in answers; returns what was predicted for them before."""
        label, weight = np.asarray(asked.label, np.float64), np.asarray(asked.weight, np.float64)
        if ((label != 0) & (label != 1)).any():
            wrong = label[(label != 0) & (label != 1)][0]
            raise StepError(f"reloop2: a label is {wrong:g}; it learns from answers that are 0 or 1.")
        histories, candidates = asked.histories, asked.candidates
        time = np.repeat(np.asarray(histories.time), candidates.counts(len(asked)))
        timed = "time" in histories.columns
        if timed and self.latest is not None and len(time) and time.min() < self.latest:
            raise StepError("reloop2: answers are earlier than some that were revealed before; reveal them in order.")
        base, keys = self._asked(histories, candidates, asked.context or None)
        error, _ = self._read(keys, self._now(time))
        said = compensated(base, error, self.strength, self.options.on)
        self._weigh(base, error, label, weight)
        if self.memory is not None and len(label):
            values = np.stack([weight, weight * (label - base), weight * base * (1 - base)], axis=1)
            order = np.argsort(time, kind="stable")
            self.memory.write(keys[order], values[order], self._clock(time[order]))
        self.revealed += len(label)
        self.latest = int(time.max()) if timed and len(time) else self.latest
        if self.options.slow_lr and len(label):
            self._step(asked)
        return said

    def _clock(self, time: np.ndarray) -> np.ndarray:
        """When each answer is written, rows in the order of time; equal times are one moment."""
        if self.unit == "time":
            return time.astype(np.float64)
        return self.revealed + np.searchsorted(time, time, side="right").astype(np.float64)

    def _weigh(self, base: np.ndarray, error: np.ndarray, label: np.ndarray, weight: np.ndarray) -> None:
        """Count what each lambda would have lost."""
        if self.unit == "answers" and self.half_life is not None:
            self.losses *= 2.0 ** (-len(label) / self.half_life)
        for place, strength in enumerate(STRENGTHS):
            p = compensated(base, error, strength, self.options.on)
            self.losses[place] -= float((weight * np.where(label > 0.5, np.log(p), np.log1p(-p))).sum())

    def _step(self, asked: Questions) -> None:
        ranker = self.options.base.fitted
        if self._slow is None:
            decay = getattr(self.options.base, "decay", 0.0)
            self._slow = Incremental(ranker.network, ranker.features, lr=self.options.slow_lr, decay=decay)
        self._slow.learn(asked, epochs=self.options.slow_epochs, seed=self.seed)

    # -- keeping --------------------------------------------------------------------------------------------------

    def state(self) -> State:
        tables, json, counts = self.features.saved()
        parts = {"features": State(counts, tables, {"features": json})}
        if self.memory is not None:
            parts["memory"] = State(self.memory.arrays())
        if self.frozen is not None:
            parts["frozen"] = State(saved.arrays(self.frozen))
        facts = {"dim": self.dim, "revealed": self.revealed, "latest": self.latest, "seed": self.seed}
        return State({"losses": self.losses, "center": self.center}, {}, facts, parts)

    @classmethod
    def restored(cls, options: Any, state: State) -> Loop:
        """The inverse of `state`; the base is restored already."""
        kept, frozen = state.parts["features"], None
        features = Features.restored(kept.tables, kept.json["features"], kept.arrays)
        if "frozen" in state.parts:
            frozen = copy.deepcopy(options.base.fitted.network)
            saved.restore(frozen, state.parts["frozen"].arrays)
        made = cls(options, features, frozen, state.json["dim"], state.json["seed"])
        if made.memory is not None:
            made.memory.restore(state.parts["memory"].arrays)
        made.losses, made.center = np.array(state.arrays["losses"]), np.array(state.arrays["center"])
        made.revealed, made.latest = state.json["revealed"], state.json["latest"]
        return made


def compensated(base: np.ndarray, error: np.ndarray, strength: float, on: str) -> np.ndarray:
    """p' of the module `ethogram.rank.reloop2`; where lambda is 0 the base's own answers, kept off 0 and 1."""
    p = np.clip(base, EDGE, 1 - EDGE)
    if on == "logit":
        p = sigmoid(np.log(p) - np.log1p(-p) + strength * error)
    else:
        p = p + strength * error
    return np.clip(p, EDGE, 1 - EDGE)


def _hidden(network: Any) -> int:
    """Width of the last hidden layer, 0 where there is none."""
    tower = getattr(network, "tower", None)
    layers = getattr(tower, "layers", ())
    return int(layers[-1].in_features) if len(layers) > 1 else 0


def _ordered(asked: Questions, order: np.ndarray) -> Questions:
    """The questions in another order."""
    codes, ends = asked.candidates.flat(len(asked))
    counts = np.diff(ends)[order]
    spans = np.concatenate([[0], np.cumsum(counts)])
    rows = np.repeat(ends[:-1][order] - spans[:-1], counts) + np.arange(spans[-1])
    candidates = Candidates(codes[rows], asked.candidates.vocabulary, spans)
    context = {name: values[rows] for name, values in asked.context.items()}
    return Questions(asked.histories[order], candidates, asked.label[rows], asked.weight[rows], context)
