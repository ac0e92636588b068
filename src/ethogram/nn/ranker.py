"""A fitted slate network with its features: scoring, explaining, saving. What ranking systems keep as fitted state."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from torch import nn

from ethogram.errors import OptionError, nearest
from ethogram.log import Batch, Candidates, Features, Histories, Log
from ethogram.nn import saved, slates
from ethogram.nn.prior import Prior
from ethogram.nn.train import Trained
from ethogram.verbs import State

NETWORK = ("dim", "side", "hidden", "dropout")
"""Options of a system that shape its network; `activation` is passed as `act`."""
OWN = ("drop_ids", "frequent")
"""Options of that kind which some systems have."""
LEARNING = ("epochs", "patience", "lr", "decay", "questions", "precision")


@dataclass(frozen=True)
class SlateRanker:
    """Features, network, and how its training went."""

    features: Features
    network: slates.SlateNetwork
    trained: Trained

    @classmethod
    def fit(
        cls, options: Any, interest: Callable[[int], nn.Module], train: Log, valid: Log | None, *, seed: int,
        watch: Any, features: Features | None = None,
        before: Callable[[slates.SlateNetwork], Sequence[Any]] | None = None,
    ) -> SlateRanker:  # fmt: skip
        """Fit a network whose shape and learning are the options of a system.

        `before`: from the new network to what acts on the gradients of each step before the optimisers do.
        """
        chosen = (features or train.features()).limit(options.last)
        network = cls._network(options, interest, chosen, seed)
        told = {n: getattr(options, n) for n in (*LEARNING, "penalty") if hasattr(options, n)}
        how = slates.Learning(pairs=options.batch, **told)
        asked = train.questions("slates")
        held = valid.questions("slates") if valid is not None else None
        popular = Prior(chosen, train)
        also = getattr(network, "also", None)
        first = () if before is None else before(network)
        went = slates.fit(
            network, chosen, asked, how, valid=held, popular=popular, also=also, seed=seed, watch=watch, before=first
        )
        return cls(chosen, network, went)

    @staticmethod
    def _network(options: Any, interest: Any, features: Features, seed: int) -> slates.SlateNetwork:
        shape = {n: getattr(options, n) for n in NETWORK} | {n: getattr(options, n) for n in OWN if hasattr(options, n)}
        tag = getattr(options, "category", None)
        if tag is not None and tag not in (c.name for c in features.of("item") if c.type == "categorical"):
            names = [c.name for c in features.of("item") if c.type == "categorical"]
            raise OptionError(f"category: no categorical item column '{tag}'.{nearest(tag, names)} Columns: {names}.")
        cross = getattr(options, "cross", "product")
        made: slates.SlateNetwork = getattr(options, "_network", slates.SlateNetwork)(
            features, interest, act=options.activation, tag=tag, seed=seed, cross=cross, **shape
        )
        return made

    def score(self, histories: Histories, candidates: Candidates, context: pa.Table | None = None) -> np.ndarray:
        """Probabilities in the shape of the candidates."""
        batch = self.features.encode(histories, candidates, context)
        return candidates.shape(slates.score(self.network, batch), len(histories))

    def judged(
        self, histories: Histories, candidates: Candidates, context: pa.Table | None = None, network: Any = None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """(probabilities, last hidden layer or None), flat; of another `network` over the same features if given."""
        batch = self.features.encode(histories, candidates, context)
        return judged(network or self.network, batch)

    def explain(self, histories: Histories, candidates: Candidates, k: int) -> pa.Table:
        """The k events of most weight per candidate; `share` is the weight over the sum of absolute weights."""
        batch = self.features.encode(histories, candidates)
        found, rows = slates.weights(self.network, batch)
        spans = found.offsets.numpy()
        weight = found.values.cpu().numpy().astype(np.float64)
        codes, ends = candidates.flat(len(histories))
        owner = np.repeat(np.arange(len(histories)), np.diff(ends))
        kept = histories if self.features.last is None else histories.last(self.features.last)
        first = np.concatenate([[0], np.cumsum(kept.lengths)])[owner]
        total = np.bincount(np.repeat(np.arange(len(spans) - 1), np.diff(spans)), np.abs(weight), len(spans) - 1)
        place = np.flatnonzero(weight)  # what weighs nothing is no reason
        query = np.searchsorted(spans, place, side="right") - 1
        order = np.lexsort((-np.abs(weight[place]), query))
        place, query = place[order], query[order]
        rank = np.arange(len(place)) - np.searchsorted(query, query)
        place, query, rank = (x[rank < k] for x in (place, query, rank))
        events = rows[first[query] + place - spans[query]] if len(place) else np.zeros(0, np.int64)
        share = weight[place] / np.maximum(total[query], 1e-12)
        time = histories.columns.get("time")
        return pa.table(
            {
                "question": owner[query],
                "candidate": candidates.vocabulary.decode(codes[query]),
                "item": histories.vocabularies["item"].decode(np.asarray(histories.item)[events]),
                "time": pa.array(np.asarray(time)[events], pa.timestamp("us", "UTC"))
                if time is not None
                else pa.nulls(len(place), pa.timestamp("us", "UTC")),
                "share": share,
                "rank": rank + 1,
            }
        )

    def state(self) -> State:
        tables, json, counts = self.features.saved()
        trained = {"epoch": self.trained.epoch, "best_epoch": self.trained.best_epoch, "best": self.trained.best}
        trained |= {"stopped": self.trained.stopped, "curve": self.trained.curve}
        return State({**counts, **saved.arrays(self.network)}, tables, {"features": json, "trained": trained})

    @classmethod
    def restore(cls, options: Any, interest: Callable[[int], nn.Module], state: State) -> SlateRanker:
        """The inverse of `state`."""
        features = Features.restored(state.tables, state.json["features"], state.arrays)
        network = cls._network(options, interest, features, 0)
        saved.restore(network, state.arrays)
        network.eval()
        return cls(features, network, Trained(**state.json["trained"]))


def judged(network: slates.SlateNetwork, batch: Batch, tokens: int = 262_144) -> tuple[np.ndarray, np.ndarray | None]:
    """(probabilities, values of the tower's last hidden layer float32[total, width] or None without a tower)."""
    if network.tower is None:
        return slates.score(network, batch, tokens), None
    held: list[np.ndarray] = []
    last = network.tower.layers[-1]
    hook = last.register_forward_pre_hook(lambda _, given: held.append(given[0].float().cpu().numpy()))
    try:
        found = slates.score(network, batch, tokens)
    finally:
        hook.remove()
    return found, np.concatenate(held) if held else np.zeros((0, last.in_features), np.float32)  # type: ignore[arg-type]
