"""The verbs that systems declare, as small protocols, and the data that goes through them.

The area of a system is where people look for it; its verbs are what a program can rely on. The CLI, the
service, the studio and the contract tests dispatch by verb.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, Self, TypeAlias, runtime_checkable

import numpy as np
import pyarrow as pa

from ethogram.log import Candidates, Histories, Log, Questions, Sequences, Vocabulary

__all__ = [
    "VERBS", "Acts", "Anticipates", "Assesses", "Assigns", "Audits", "Candidates", "Enough", "Environment",
    "Explains", "Fits", "Forecasts", "Histories", "Item", "Log", "Planted", "Questions", "Recommends", "Report",
    "Routes", "Scores", "ScoresGoals", "Seen", "Sequences", "SimilarItems", "Simulates", "State", "System",
    "Table", "Transcript", "Updates", "Vocabulary", "Watch",
]  # fmt: skip

Table: TypeAlias = pa.Table
"""Answers come back as Arrow tables in the caller's own ids (`.to_pandas()`, `polars.from_arrow`)."""

Watch = Callable[[Mapping[str, Any]], None]
"""Called with progress facts (`{"epoch", "step", "steps", "loss", "valid"}`); raise KeyboardInterrupt to stop."""


class Enough(Exception):
    """Raised by `watch` behind an epoch (its fact `step` is None): training ends there with its best weights."""


@dataclass(frozen=True)
class State:
    """Everything that a fitted system knows, as data: never a pickle.

    Saved as a folder: `arrays.safetensors`, one Parquet file per table, `state.json`, one sub-folder per part.
    """

    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    tables: Mapping[str, pa.Table] = field(default_factory=dict)
    json: Mapping[str, Any] = field(default_factory=dict)
    parts: Mapping[str, State] = field(default_factory=dict)


class System(Protocol):
    """What every system has: options as dataclass fields, and fitted state as data."""

    def state(self) -> State: ...
    def restore(self, state: State) -> Self: ...


class Fits(System, Protocol):
    """Learns from a log."""

    def fit(self, train: Log, valid: Log | None = None, *, seed: int = 0, watch: Watch | None = None) -> Self:
        """Train in place on `train`; `valid` only decides when to stop. Options never change."""
        ...


@runtime_checkable
class Scores(Protocol):
    """Judges candidates for histories."""

    def score(self, histories: Histories, candidates: Candidates, context: Table | None = None) -> np.ndarray:
        """Scores in the shape of the candidates, higher is better.

        In area `rank` a score is the probability of a positive answer, in [0, 1]. `context` has one row per
        question. Unknown users, empty histories and unseen items are answered, not refused.
        """
        ...


@runtime_checkable
class ScoresGoals(Protocol):
    """Judges candidates by several goals at once: a click, a basket, a purchase."""

    def score_goals(
        self, histories: Histories, candidates: Candidates, context: Table | None = None
    ) -> Mapping[str, np.ndarray]:
        """Goal -> scores as those of `score`, which are the first goal's. Goals are label columns of the log."""
        ...


@runtime_checkable
class Recommends(Protocol):
    """Chooses items from the whole catalogue."""

    def recommend(
        self,
        histories: Histories,
        k: int = 10,
        *,
        exclude_seen: bool | None = None,
        among: Candidates | None = None,
    ) -> Table:
        """Best k items per question.

        Columns `question` (int64), `user` (null for strangers), `item`, `score`, `rank` (from 1), then whatever the
        system adds (`status` of the user: hot, warm or cold; `met`: whether training met the item).
        `exclude_seen=None` resolves by the training log's repeat ratio (below 1% exclude).
        """
        ...


@runtime_checkable
class Updates(Protocol):
    """Learns from further events without a new fit."""

    def update(self, log: Log) -> Self: ...


@runtime_checkable
class Explains(Protocol):
    """Says which past events made a score."""

    def explain(self, histories: Histories, candidates: Candidates, k: int = 3) -> Table:
        """Columns `question`, `candidate` (item id), `item` (past item id), `time`, `share`, `rank`,
        then whatever the system adds (`component`: what of the model the event spoke through).

        Shares are of the sum of absolute weights; a negative one speaks against the candidate. Systems may say more
        in further columns.
        """
        ...


@runtime_checkable
class SimilarItems(Protocol):
    """Says which items are like an item."""

    def similar_items(self, items: Sequence[Any], k: int = 10, *, among: Candidates | None = None) -> Table:
        """Columns `query`, `item`, `similarity` (higher is more alike), `rank` (from 1); an item is not its own.

        Raises UnknownName where training never met one of the items.
        """
        ...


@dataclass(frozen=True)
class Seen:
    """What an environment shows after an action.

    `kind` names what it is where the environment has several things to show ("observation", "failure").
    """

    text: str
    reward: float = 0.0
    done: bool = False
    kind: str = "observation"
    facts: Mapping[str, Any] = field(default_factory=dict)


class Environment(Protocol):
    """A world that answers back, in text."""

    def reset(self, goal: str, seed: int = 0) -> Seen:
        """Begin again with a goal; what is seen first."""
        ...

    def actions(self) -> Mapping[str, str]:
        """Actions that can be taken now: name -> what its argument is, in words."""
        ...

    def step(self, action: str, argument: str) -> Seen:
        """Take an action. One that does not exist, or a bad argument, is answered as kind "failure", not raised."""
        ...


@runtime_checkable
class Acts(Protocol):
    """Pursues a goal in an environment."""

    def act(self, goal: str, environment: Environment, *, seed: int = 0) -> Log:
        """The steps taken, as a log: `user` (the episode), `order`, `kind` (what sort of step), `text`, `actor`."""
        ...


@runtime_checkable
class Assesses(Protocol):
    """Judges recorded behaviour, with reasons."""

    def assess(self, log: Log) -> Table:
        """One row per case (a user, or a user's session): columns `user`, then the judgement and its reasons.

        What holds of the whole log is told in the schema's metadata, `summary`: rows as JSON.
        """
        ...


@runtime_checkable
class Assigns(Protocol):
    """Finds groups of cases in a log, and places further cases among them as they come."""

    def fit(self, train: Log, valid: Log | None = None, *, seed: int = 0, watch: Watch | None = None) -> Self:
        """Find the groups; a case is a user's session, or a visit where the log has no sessions."""
        ...

    def assign(self, log: Log) -> Table:
        """One row per case: columns `user`, `session`, `cluster` (int32, -1 for none), `probability` of belonging to
        it, `risk` in [0, 1], then whatever the system adds. A case of the fit stands where the fit put it.
        """
        ...

    def cards(self) -> Table:
        """One row per group: columns `cluster`, `size`, `risk`, `flagged`, then what is known of it."""
        ...


@dataclass(frozen=True)
class Item:
    """One case of an audit. `group` is reported by itself; items of one `pair` are twins that are compared."""

    id: str
    inputs: Mapping[str, Any]
    group: str = ""
    pair: str = ""


@dataclass(frozen=True)
class Transcript:
    """What happened when an item was put to a subject: what was said, and what was measured of it."""

    item: str
    said: tuple[tuple[str, str], ...] = ()
    measured: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""


Interval: TypeAlias = tuple[float, float, float]
"""A value and the ends of its interval."""


@dataclass(frozen=True)
class Report:
    """What an audit found.

    Attributes
    ----------
    metrics : name -> value with the ends of its interval. contrasts : paired differences, likewise.
    verdict : read from the intervals, never from the values; `why` says how in one line.
    notes : what a reader must know to believe it (how answers were obtained, what could not be read).
    pictures : caption -> (a function that draws it, an Altair chart; how it is read).
    """

    key: str
    subject: str
    metrics: Mapping[str, Interval]
    verdict: Literal["pass", "fail", "inconclusive"]
    why: str
    contrasts: Mapping[str, Interval] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    rows: Table | None = None
    pictures: Mapping[str, tuple[Callable[[], Any], str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Planted:
    """A subject whose behaviour is known, which the audit must recover: `truth` is metric -> value."""

    name: str
    lm: Any
    truth: Mapping[str, float]
    tolerance: float = 0.1


@runtime_checkable
class Audits(Protocol):
    """Puts cases to a language model or an agent and reports what it does."""

    def items(self, seed: int = 0) -> Sequence[Item]:
        """The cases; ids are unique, equal seeds give equal cases."""

    async def episode(self, item: Item, lm: Any) -> Transcript:
        """Put one case to the subject."""

    def grade(self, item: Item, transcript: Transcript) -> Mapping[str, float | None]:
        """Numbers of one transcript; None where it cannot be read, never silently 0."""

    def summarise(self, rows: Table) -> Report:
        """The report of graded rows (columns `item`, `group`, `pair` and the grades)."""

    def planted(self) -> Sequence[Planted]:
        """Subjects with known behaviour."""


@runtime_checkable
class Routes(Protocol):
    """Sends each prompt to the model of a library that will do best on it, as far as its user's wishes allow."""

    def fit(self, train: Log, valid: Log | None = None, *, seed: int = 0, watch: Watch | None = None) -> Self:
        """Learn from runs of the library: an event is a prompt (`text`) put to a model (`item`), its loss (`value`).

        `user` names the prompt; not every model must have been asked. The log's items table is the library: what is
        known of each model.
        """
        ...

    def route(self, prompts: Sequence[str], *, flags: Sequence[str] = ()) -> Table:
        """The library ranked for each prompt; rank 1 is where it goes.

        Columns `question` (int64), `model`, `rank` (null where a constraint removed the model), `predicted` (loss),
        `penalty` (of the wishes), `score` (their sum, lower is better), `why`. Rows by question, then rank.
        `flags` are wishes for all prompts; those that a prompt holds itself are added and taken out of its text.
        """
        ...


@runtime_checkable
class Simulates(Protocol):
    """Runs a world of simulated people."""

    def world(self, *, seed: int = 0, minds: int | None = None, lm: Any = None) -> Any:
        """The system's world (`ethogram.world.World`) at its beginning, by the system's options.

        `minds` people are played by the language model `lm` (None: by the system's own rules); None is as many as the
        system has. Raises EthogramError where there are not so many people.
        """
        ...

    def example(self, *, seed: int = 0) -> Any:
        """A small world of the system's own, ready to run: what demonstrations and tests are given."""
        ...

    def plan(self, world: Any) -> Mapping[str, Any] | None:
        """The map that the people of a world live on, as `world.town.Town.json` tells it; None where there is none."""
        ...

    def run(self, world: Any, until: int, *, seed: int = 0) -> Log:
        """What happens in the first `until` ticks of a world, as a log; the world that was given stays as it is.

        Roles `user`, `time`, `kind`, `actor` (how it was decided) and `source`, which begins with "simulated:".
        The same world and seed give the same log, and a longer run begins with the shorter one.
        """
        ...


@runtime_checkable
class Anticipates(Protocol):
    """Knows messages together with what receivers do: the one from the other, in both directions.

    All logs here are logs of messages; see `ethogram.log.messages`.
    """

    def fit(self, train: Log, valid: Log | None = None, *, seed: int = 0, watch: Watch | None = None) -> Self:
        """Learn from messages and the behaviour that they met."""
        ...

    def anticipate(self, messages: Log, *, known: bool = False) -> Table:
        """What receivers will do.

        Columns `item`, `scene` (null for the message as a whole), `behaviour`, `predicted`, `low`, `high` (80%).
        Behaviour that the log holds is not read; with `known` it is, and only what is missing is predicted.
        """
        ...

    def recognise(self, messages: Log, options: Mapping[Any, Sequence[Any]]) -> Table:
        """Which of several contents a message had, judged by how it was received: item -> options.

        Hidden is a message's empty title, or the empty ones of its scenes; an option is a text, or one text for each
        hidden scene. Messages without options are left out. Columns `item`, `option` (place in its list), `score`
        (higher is more likely), `rank` (from 1).
        """
        ...

    def reasons(self, messages: Log) -> Table:
        """What lies behind a response that was observed.

        Columns `item`, `about` (sentiment, reason), `value`, `share` (probability), `rank` (from 1). No row where the
        system knows nothing of reasons.
        """
        ...


@runtime_checkable
class Forecasts(Protocol):
    """Knows when people's next events come, and of which kind."""

    def forecast(self, histories: Histories, k: int = 1, *, seed: int = 0) -> Table:
        """The next k events of each question.

        Columns `question` (int64), `user` (null for strangers), `step` (from 1), `time` (when it is expected; null
        where the history has no times or no event is expected at all), `low`, `high` (80% of the draws lie between),
        `kind` (null where there is nothing to tell it), `probability` of that kind. Rows by question, then step.
        Time runs from the instant at which a question is asked, else from the last event of its history. Unknown users,
        empty histories and unknown kinds are answered. `seed` is of the draws; a question's answer does not hang on
        the other questions.
        """
        ...


VERBS: dict[str, type] = {
    "anticipate": Anticipates, "score": Scores, "score_goals": ScoresGoals, "recommend": Recommends, "update": Updates,
    "explain": Explains, "forecast": Forecasts, "similar_items": SimilarItems, "act": Acts, "assess": Assesses,
    "assign": Assigns, "audit": Audits, "route": Routes, "simulate": Simulates,
}  # fmt: skip
"""Verb name as declared in `@system(verbs=...)` -> the protocol that it promises."""
