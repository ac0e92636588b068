"""A fitted network of several goals with its features: scoring, saving, and what was known of each goal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from ethogram.errors import OptionError, nearest
from ethogram.log import Candidates, Features, Histories, Log
from ethogram.log.goals import checked, goals
from ethogram.log.questions import behaviour
from ethogram.nn import goals as several
from ethogram.nn import saved, slates
from ethogram.nn.prior import Prior
from ethogram.nn.train import Trained
from ethogram.verbs import State

ALL = "all"
"""The kind that stands for all behaviour."""
Make = Callable[[Features, Sequence[str], int], several.GoalNetwork]
"""From features, goals and a seed to a network."""


@dataclass(frozen=True)
class GoalRanker:
    """Features, network, how its training went, and a row per goal: answered, missing, positive_rate, valid_logloss."""

    features: Features
    network: several.GoalNetwork
    trained: Trained
    told: pa.Table

    @classmethod
    def fit(
        cls, options: Any, make: Make, train: Log, valid: Log | None, *, wanted: Sequence[str] | None,
        kinds: Sequence[str] | None, weights: Sequence[float], how: slates.Learning, seed: int, watch: Any,
    ) -> GoalRanker:  # fmt: skip
        """Fit a network to the goals `wanted` (None: all that the log answers), reading `kinds` of behaviour."""
        columns = train.sequences().columns
        names = [checked(g, columns) for g in wanted] if wanted is not None else goals(columns)
        if len(set(names)) < len(names):
            raise OptionError(f"goals: {', '.join(names)}: one is named twice.")
        if weights and len(weights) != len(names):
            raise OptionError(
                f"weights: {len(weights)} for {len(names)} goals ({', '.join(names)}); give one for each."
            )
        features = replace(train.features().limit(options.last), sequences=sequences(train, kinds), _kept={})
        asked = train.questions("goals")
        network = make(features, names or ("label",), seed)
        held = valid.questions("goals") if valid is not None else None
        popular = Prior(features, train)
        went = several.fit(
            network, features, asked, how, valid=held, popular=popular, weights=weights, seed=seed, watch=watch
        )
        lost: Mapping[str, float] = {}
        if held is not None and len(held):
            lost = several.losses(network, features.encode(held), held)
        return cls(features, network, went, _told(names, asked, lost))

    def score(
        self, histories: Histories, candidates: Candidates, context: Any = None
    ) -> dict[str, np.ndarray]:  # fmt: skip
        """Goal -> probabilities in the shape of the candidates."""
        found = several.score(self.network, self.features.encode(histories, candidates, context))
        return {g: candidates.shape(found[:, k], len(histories)) for k, g in enumerate(self.network.goals)}

    def state(self) -> State:
        tables, json, counts = self.features.saved()
        trained = {"epoch": self.trained.epoch, "best_epoch": self.trained.best_epoch, "best": self.trained.best}
        trained |= {"stopped": self.trained.stopped, "curve": self.trained.curve}
        facts = {"features": json, "trained": trained, "goals": list(self.network.goals)}
        return State({**counts, **saved.arrays(self.network)}, {**tables, "goals": self.told}, facts)

    @classmethod
    def restore(cls, make: Make, state: State) -> GoalRanker:
        """The inverse of `state`."""
        tables = {name: table for name, table in state.tables.items() if name != "goals"}
        features = Features.restored(tables, state.json["features"], state.arrays)
        network = make(features, state.json["goals"], 0)
        saved.restore(network, state.arrays)
        network.eval()
        return cls(features, network, Trained(**state.json["trained"]), state.tables["goals"])


def sequences(train: Log, kinds: Sequence[str] | None) -> dict[str, str | None]:
    """Name -> kind of each sequence that is read, "history" (everything) first.

    Raises
    ------
    OptionError
        The log has no such kind of behaviour.
    """
    done = behaviour(train.sequences())
    having: list[str] = []
    if "kind" in done.columns:
        code = np.asarray(done.columns["kind"])
        ids = done.vocabularies["kind"].ids.to_pylist()
        having = [str(ids[c]) for c in np.unique(code[code >= 0])]
    if kinds is None:
        kinds = having if len(having) > 1 else [ALL]
    for kind in kinds:
        if kind != ALL and kind not in having:
            known = [*having, ALL]
            raise OptionError(f"kinds: no behaviour of kind '{kind}'.{nearest(kind, known)} Kinds: {', '.join(known)}.")
    if not kinds or len(set(kinds)) < len(kinds):
        raise OptionError(f"kinds: {list(kinds)}; name each kind once, one at least.")
    return {"history": None, **{f"kind {kind}": None if kind == ALL else kind for kind in kinds}}


def _told(names: Sequence[str], asked: Any, lost: Mapping[str, float]) -> pa.Table:
    rows = []
    for goal in names:
        label = asked.labels[goal]
        known = ~np.isnan(label)
        rate = float(np.average(label[known], weights=asked.weight[known]))
        rows.append(
            {"goal": goal, "answered": int(known.sum()), "missing": int((~known).sum()), "positive_rate": rate,
             "valid_logloss": lost.get(goal)}
        )  # fmt: skip
    schema = pa.schema([("goal", pa.string()), ("answered", pa.int64()), ("missing", pa.int64()),
                        ("positive_rate", pa.float64()), ("valid_logloss", pa.float64())])  # fmt: skip
    return pa.Table.from_pylist(rows, schema)
