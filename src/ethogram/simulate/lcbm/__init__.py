"""Knows what receivers do with a message before it is sent, which message they responded to so, and why: content and
behaviour learned as one text.

A record (who, to how many, over which channel, when, what, and what receivers did) becomes a row of tokens; numbers are
bins, one token each. One decoder learns rows of both directions (`corpus`):

    forward   p(x_B | x_C) = prod_i p(x_i | x_C, x_B<i)      content given, behaviour learned
    reverse   p(x_gap | x_C \\ gap, x_B)                     behaviour given, hidden content learned

A number is told under its grammar, its own bins and nothing else: its prediction is the mean of that distribution, its
interval from the 10% to the 90% quantile. Options for hidden content are judged by their log-probability.

A title that is predicted to do best need not be the cause of anything: accounts, hours and places that go with a way of
writing speak through it. `optimise` orders what to test; whether it works is what an experiment says.

Deviations from the paper: the decoder is trained from scratch on records alone (0.04 to 5.7 million weights, whole
words) and sees no pictures; *reading* plain rows stands for the pretrained language model, and a share of them stays
among the others (`rehearsal`); a number counts more than a word in the loss (`weight`), and bins beside the true one
count as nearly right (`blur`). The same verbs with `reader`: "heads" (frozen sentence vectors, ridge, boosted trees)
and "prompted" (a language model that is shown examples).

Khandelwal, Agrawal and others: Large Content And Behavior Models To Understand, Simulate, And Optimize Content And
Behavior. ICLR 2024.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

import numpy as np
import pyarrow as pa

from ethogram.errors import NotFitted, OptionError, unknown
from ethogram.log.messages import Messages
from ethogram.options import searched
from ethogram.simulate.lcbm.heads import Heads
from ethogram.simulate.lcbm.judging import curve, judged, paired
from ethogram.simulate.lcbm.prompted import Prompted
from ethogram.simulate.lcbm.tuned import Tuned, gaps
from ethogram.system import system
from ethogram.verbs import Log, State, Table, Watch

READERS = {"decoder": Tuned, "heads": Heads, "prompted": Prompted}


@system(
    "lcbm",
    paper="Large Content And Behavior Models To Understand, Simulate, And Optimize Content And Behavior",
    year=2023,
    area="simulate",
    verbs=("anticipate",),
    needs=("torch",),
)
@dataclass(kw_only=True)
class LCBM:
    """See the module."""

    reader: Literal["decoder", "heads", "prompted"] = "decoder"
    "decoder learns both directions; heads are regressions on sentence vectors; prompted asks a language model."
    sees: Literal["all", "content", "metadata"] = "all"
    "What of a message is read: all, its content alone, or who sent it when to how many."
    size: Literal["tiny", "small", "medium", "full"] = "full"
    "decoder: 1 layer of 32, 3 of 96, 4 of 192, or 7 of 256 (5.7 million weights)."
    reading: int = 1
    "decoder: passes over plain rows (content alone) that come first."
    epochs: int = searched(3, 1, 12)
    "decoder: passes over rows of both directions."
    tuned: bool = True
    "decoder: False stops behind `reading`: the same model before it has met behaviour."
    behaviour: bool = True
    "decoder: False hides behaviour from the reverse rows and leaves the forward ones out: the content-only twin."
    reverse: float = 0.2
    "decoder: share of reverse rows among those of both directions."
    rehearsal: float = 0.1
    "decoder: share of plain rows among all, so that reading is not forgotten."
    bins: int = searched(16, 8, 64)
    "decoder: bins of a number."
    blur: float = 0.1
    "decoder: how far bins around the true one count as nearly as good: standard deviation, as a share of all bins."
    weight: float = 4.0
    "decoder: how many words of content a number counts in the loss."
    words: int = 4000
    "decoder: words with a token of their own; others share 64."
    batch: int = 16
    "decoder: rows of a step."
    lr: float = searched(0.003, 0.0003, 0.01, log=True)
    "decoder: highest learning rate; it rises first and falls as a cosine."
    precision: Literal["fp32", "bf16"] = "fp32"
    "decoder: of the matrix products in training."
    shots: int = 0
    "decoder and prompted: training records that are shown before each question."
    head: Literal["ridge", "boosting"] = "boosting"
    "heads: which regression."
    encoder: Literal["minilm", "hash"] = "minilm"
    "heads: sentence vectors."
    lm: Any = "local"
    "prompted: the model that is asked, an LM or where to connect to one."

    def fit(self, train: Log, valid: Log | None = None, *, seed: int = 0, watch: Watch | None = None) -> Self:
        """Learn from a log of messages; see `ethogram.log.messages`. `valid` is not used.

        Raises
        ------
        OptionError
            A share outside its range, a number that is too small, or no message with a behaviour.
        RolesError, SourceError
            The log is no log of messages.
        """
        shares = (self.reverse, self.rehearsal)
        if not all(0 <= s < 1 for s in shares) or (not self.behaviour and not self.reverse and self.tuned):
            raise OptionError(
                "lcbm: reverse and rehearsal are shares in [0, 1); a content-only twin needs reverse rows."
            )
        if (
            min(self.reading, self.shots) < 0
            or min(self.epochs, self.batch, self.words) < 1
            or self.bins < 2
            or self.blur < 0
            or not self.weight > 0
        ):
            raise OptionError(
                "lcbm: epochs, batch, words: 1 or more; bins: 2 or more; reading, shots, blur: 0 or more."
            )
        if self.reader == "prompted" and not self.shots:
            raise OptionError("lcbm: reader 'prompted' needs examples; set shots to 1 or more.")
        messages = Messages.of(train)
        responses = [*messages.behaviour.values(), *messages.replays]
        if not any((~np.isnan(v)).any() for v in responses):
            raise OptionError("lcbm: no message of the log has a behaviour (label_NAME or replays) to learn from.")
        built = READERS[self.reader](self)
        built.fit(messages, seed, watch)
        self.fitted = built
        return self

    def anticipate(self, messages: Log, *, known: bool = False) -> Table:
        """What receivers will do; see `Anticipates`."""
        read = Messages.of(messages)
        found = self._made.anticipate(read, known)
        means = [t.mean for t in found]
        columns = {
            "item": _names(messages, [read.item[t.message] for t in found]),
            "scene": pa.array([t.scene for t in found], pa.int64()),
            "behaviour": pa.array([t.behaviour for t in found], pa.string()),
            "predicted": pa.array(means, pa.float64()),
            "low": pa.array([min(t.quantile(0.1), m) for t, m in zip(found, means, strict=True)], pa.float64()),
            "high": pa.array([max(t.quantile(0.9), m) for t, m in zip(found, means, strict=True)], pa.float64()),
        }  # fmt: skip
        return pa.table(columns)

    def recognise(self, messages: Log, options: Mapping[Any, Sequence[Any]]) -> Table:
        """Which content was responded to so; see `Anticipates`."""
        read, told = _asked(Messages.of(messages), options)
        _checked(read, told)
        rows: dict[str, list[Any]] = {n: [] for n in ("item", "option", "score", "rank")}
        for i, scores in enumerate(self._made.recognise(read, told)):
            for rank, k in enumerate(np.argsort(-scores, kind="stable"), 1):
                for name, value in zip(rows, (read.item[i], int(k), float(scores[k]), rank), strict=True):
                    rows[name].append(value)
        return pa.table(rows)

    def reasons(self, messages: Log) -> Table:
        """What lies behind a response; see `Anticipates`."""
        read = Messages.of(messages)
        rows: dict[str, list[Any]] = {n: [] for n in ("item", "about", "value", "share", "rank")}
        for i, found in enumerate(self._made.reasons(read)):
            for key, shares in found.items():
                for rank, k in enumerate(np.argsort(-shares, kind="stable"), 1):
                    told = (read.item[i], key, self._made.said[key][k], float(shares[k]), rank)
                    for name, value in zip(rows, told, strict=True):
                        rows[name].append(value)
        kinds = {"about": pa.string(), "value": pa.string(), "share": pa.float64(), "rank": pa.int64()}
        return pa.table({"item": _names(messages, rows["item"])} | {n: pa.array(rows[n], k) for n, k in kinds.items()})

    # -- beyond the verb ------------------------------------------------------------------------------------------

    def optimise(self, messages: Log, titles: Mapping[Any, Sequence[str]], behaviour: str) -> Table:
        """Titles of messages (item -> titles) in the order of what they should do; whether they do, experiments say.

        Columns `item`, `option` (place in the list), `title`, `predicted`, `gain` (over the mean of the message's
        options), `rank`.

        Raises
        ------
        OptionError
            A message that the log does not hold, an empty title, or a behaviour that was not met in training.
        """
        read, told = _asked(Messages.of(messages), titles)
        for item, few in zip(read.item, told, strict=True):
            if isinstance(few, str) or not len(few) or not all(isinstance(t, str) and t.strip() for t in few):
                raise OptionError(f"message {item!r} needs a list of one or more titles, none of them empty.")
        own = np.repeat(np.arange(len(read)), [len(t) for t in told])
        variants = read.take(own)
        flat = [t for few in told for t in few]
        said = self._whole(replace(variants, title=flat), behaviour)
        rows: dict[str, list[Any]] = {n: [] for n in ("item", "option", "title", "predicted", "gain", "rank")}
        for i in range(len(read)):
            at = np.flatnonzero(own == i)
            for rank, k in enumerate(np.argsort(-said[at], kind="stable"), 1):
                value = float(said[at[k]])
                told = (read.item[i], int(k), flat[at[k]], value, value - float(said[at].mean()), rank)
                for name, v in zip(rows, told, strict=True):
                    rows[name].append(v)
        return pa.table(rows)

    def write(self, messages: Log, *, most: int = 12) -> Table:
        """A title for each message that would be responded to as its log says: columns `item`, `title`.

        Set the behaviour that is wished in the log (`label_NAME`); what is missing is taken as ordinary, and a title is
        not read.

        Raises
        ------
        OptionError
            Another reader than the decoder, or `most` words below 1.
        """
        if not isinstance(self._made, Tuned) or most < 1:
            raise OptionError("lcbm: reader 'decoder' alone writes, and one word or more.")
        read = Messages.of(messages)
        titles = self._made.write(read, most)
        return pa.table({"item": _names(messages, read.item), "title": pa.array(titles, pa.string())})

    def judge(self, log: Log, *, told: Log | None = None) -> Table:
        """Predictions beside what receivers did: one row for each behaviour.

        Columns `behaviour`, `rmse`, `floor` (error of the mean of this log), `r2`, `right` (share within 5 of a replay,
        within a tenth of the standard deviation of another behaviour), `covered` (share inside the interval), `n`.

        Parameters
        ----------
        log : what happened. told : the same messages as they are told to the model, some of their behaviour missing;
            by default nothing of it is read.
        """
        said = self.anticipate(log if told is None else told, known=told is not None)
        return judged(Messages.of(log), said)

    def calibration(self, log: Log, behaviour: str, points: int = 10) -> Table:
        """`predicted` and `observed` means of groups of rising predictions, from content alone."""
        found = paired(Messages.of(log), self.anticipate(log), behaviour)
        predicted, observed = curve(found[:, 0], found[:, 1], points).T
        return pa.table({"predicted": predicted, "observed": observed})

    def adapt(self, log: Log, *, epochs: int = 10, lr: float = 0.001, seed: int = 0) -> LCBM:
        """A copy that has gone on learning from further messages (few-shot adaptation to another channel)."""
        if not isinstance(self._made, Tuned):
            raise OptionError("lcbm: reader 'decoder' alone goes on learning; fit the others anew.")
        other = type(self)(**{n: getattr(self, n) for n in self.__dataclass_fields__})
        other.fitted = copy.deepcopy(self._made)
        other.fitted.adapt(Messages.of(log), epochs, lr, seed)
        return other

    def about(self, messages: Log) -> list[dict[str, dict[str, float]]]:
        """Facts of the content (topic, form), read from it alone: for each message, key -> value -> probability."""
        if not isinstance(self._made, Tuned):
            raise OptionError("lcbm: reader 'decoder' alone reads facts of the content.")
        known = self._made.language.about
        found = self._made.about(Messages.of(messages))
        return [{k: dict(zip(known[k], map(float, v), strict=True)) for k, v in one.items()} for one in found]

    def perplexity(self, messages: Log) -> float:
        """exp of the mean nats of a token of content, given who sent it when."""
        if not isinstance(self._made, Tuned):
            raise OptionError("lcbm: reader 'decoder' alone has a perplexity.")
        nats, tokens = self._made.surprise(Messages.of(messages)).sum(0)
        return float(np.exp(nats / tokens))

    def _whole(self, messages: Messages, behaviour: str) -> np.ndarray:
        """The prediction of one behaviour of each message, float64[n]."""
        found = [t for t in self._made.anticipate(messages, False) if t.scene is None]
        said = np.full(len(messages), np.nan)
        for t in found:
            if t.behaviour == behaviour:
                said[t.message] = t.mean
        if np.isnan(said).any():
            raise OptionError(unknown("behaviour", behaviour, {t.behaviour for t in found}))
        return said

    def state(self) -> State:
        return self._made.state()

    def restore(self, state: State) -> Self:
        built = READERS[self.reader](self)
        built.restore(state)
        self.fitted = built
        return self

    @property
    def _made(self) -> Tuned | Heads | Prompted:
        made = getattr(self, "fitted", None)
        if made is None:
            raise NotFitted("lcbm: asked before fit; call fit(log), or load a saved system.")
        return made  # type: ignore[no-any-return]


def _names(log: Log, items: list[Any]) -> pa.Array:
    return pa.array(items, log.table().schema.field("item").type)


def _asked(messages: Messages, told: Mapping[Any, Sequence[Any]]) -> tuple[Messages, list[Sequence[Any]]]:
    """The messages that something is told of, and what is told of each, in the order of the log."""
    if not isinstance(told, Mapping):
        raise OptionError("give a mapping: message -> its options.")
    place = {item: i for i, item in enumerate(messages.item)}
    if strange := [item for item in told if item not in place]:
        raise OptionError(unknown("message", strange[0], messages.item[:10]) + " (the log's first ten)")
    rows = sorted(place[item] for item in told)
    return messages.take(rows), [told[messages.item[i]] for i in rows]


def _checked(messages: Messages, options: Sequence[Sequence[Any]]) -> None:
    for i, own in enumerate(options):
        gap = gaps(messages, i)
        if not own:
            raise OptionError(f"message {messages.item[i]!r} has no option.")
        for option in own:
            if not gap and not isinstance(option, str):
                raise OptionError(f"message {messages.item[i]!r} hides its title; an option is a text.")
            if gap and (isinstance(option, str) or len(option) != len(gap)):
                raise OptionError(f"message {messages.item[i]!r} hides {len(gap)} scenes; an option is as many texts.")
