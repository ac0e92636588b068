"""The baseline: frozen sentence vectors of the content, what is known of sender and hour, and a regression for each
behaviour (ridge, or boosted trees on top of it)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ethogram.log.messages import Messages
from ethogram.numeric.trees import Trees
from ethogram.simulate.lcbm.corpus import DAY, HOUR
from ethogram.simulate.lcbm.tuned import Told, gaps
from ethogram.verbs import State

RIDGE, DIRECTIONS, PRIOR = 3.0, 24, 10.0
"""Penalty; directions of the vectors that trees see; messages that a sender's mean is shrunk by."""
SPREAD = 9
"""Quantiles of the residuals that make a distribution."""


class Heads:
    """Predicts numbers; judges content by how near its predicted behaviour is; knows no comments."""

    def __init__(self, options: Any):
        self.options = options
        self.said: dict[str, list[str]] = {}

    def fit(self, messages: Messages, seed: int, watch: Any) -> None:
        self.columns = {"channel": sorted(set(messages.channel)), "sender": sorted(set(messages.sender))}
        self.models: dict[str, dict[str, Any]] = {}
        for name, values in messages.behaviour.items():
            self._learn(name, _units(messages, None), messages, values, seed)
        replays = np.concatenate([*messages.replays, np.zeros(0)])
        if len(replays):
            self._learn("replay", _units(messages, "scenes"), messages, replays, seed)

    def anticipate(self, messages: Messages, known: bool) -> list[Told]:
        made: list[Told] = []
        for name, model in self.models.items():
            rows = _units(messages, "scenes" if name == "replay" else None)
            values = (
                np.concatenate([*messages.replays, np.zeros(0)]) if name == "replay" else messages.behaviour.get(name)
            )
            said = self._predict(model, rows, messages)
            share = np.full(SPREAD, 1 / SPREAD)
            for k, (i, s) in enumerate(rows):
                if not known or values is None or np.isnan(values[k]):
                    made.append(Told(i, s, name, np.clip(said[k] + model["residuals"], *model["range"]), share))
        return sorted(made, key=lambda m: (m.message, m.scene is not None, m.scene or 0, m.behaviour))

    def recognise(self, messages: Messages, options: Sequence[Sequence[Any]]) -> list[np.ndarray]:
        """Minus the distance of what an option should do from what was done, in residual deviations."""
        count = [len(own) for own in options]
        rows = np.repeat(np.arange(len(messages)), count)
        filled = messages.take(rows)
        flat = [o for own in options for o in own]
        for k, i in enumerate(rows):
            gap = gaps(messages, int(i))
            if gap:
                scenes = list(filled.scenes[k])
                for s, text in zip(gap, flat[k], strict=True):
                    scenes[s] = text
                filled.scenes[k] = scenes
            else:
                filled.title[k] = flat[k]
        far = np.zeros(len(rows))
        for name, model in self.models.items():
            units = _units(filled, "scenes" if name == "replay" else None)
            true = np.concatenate([*filled.replays, np.zeros(0)]) if name == "replay" else filled.behaviour.get(name)
            if true is not None and units:
                gone = ((true - self._predict(model, units, filled)) / model["sd"]) ** 2
                far += np.bincount([i for i, _ in units], np.nan_to_num(gone), len(rows))
        return np.split(-far, np.cumsum(count)[:-1])

    def reasons(self, messages: Messages) -> list[dict[str, np.ndarray]]:
        return [{} for _ in range(len(messages))]

    # -- one regression -------------------------------------------------------------------------------------------

    def _learn(self, name: str, rows: Any, messages: Messages, values: np.ndarray, seed: int) -> None:
        there = np.flatnonzero(~np.isnan(values))
        if not len(there):
            return
        rows, y = [rows[k] for k in there], values[there]
        sender = np.array([self.columns["sender"].index(messages.sender[i]) for i, _ in rows])
        size = len(self.columns["sender"])
        sums, counts = np.bincount(sender, y - y.mean(), size), np.bincount(sender, minlength=size)
        model: dict[str, Any] = {
            "mean": float(y.mean()), "sender": sums / (counts + PRIOR), "range": (float(y.min()), float(y.max()))
        }  # fmt: skip
        vectors, facts = self._features(model, rows, messages)
        x = np.concatenate([vectors, facts], 1)
        centre, scale = x.mean(0), np.maximum(x.std(0), 1e-9)
        scale[: vectors.shape[1]] = 1 / np.sqrt(max(vectors.shape[1], 1))  # vectors have length 1 already
        z = (x - centre) / scale
        model |= {"centre": centre, "scale": scale}
        model["weights"] = np.linalg.solve(z.T @ z + RIDGE * np.eye(z.shape[1]), z.T @ (y - y.mean()))
        said = model["mean"] + z @ model["weights"]
        if self.options.head == "boosting":
            from sklearn.ensemble import HistGradientBoostingRegressor

            directions = np.linalg.svd(vectors[:2000] - vectors.mean(0), full_matrices=False)[2][:DIRECTIONS].T
            model["directions"] = directions
            grown = HistGradientBoostingRegressor(
                max_iter=200, learning_rate=0.08, max_leaf_nodes=15, min_samples_leaf=10, early_stopping=False,
                random_state=seed,
            ).fit(_rounded(vectors @ directions, facts, said), y)  # fmt: skip
            model["trees"] = Trees.of(grown)
            said = model["trees"].raw(_rounded(vectors @ directions, facts, said))
        model["sd"] = float(max((y - said).std(), 1e-9))
        model["residuals"] = np.quantile(y - said, (np.arange(SPREAD) + 0.5) / SPREAD)
        model["residuals"] -= model["residuals"].mean()
        self.models[name] = model

    def _predict(self, model: dict[str, Any], rows: Any, messages: Messages) -> np.ndarray:
        if not rows:
            return np.zeros(0)
        vectors, facts = self._features(model, rows, messages)
        z = (np.concatenate([vectors, facts], 1) - model["centre"]) / model["scale"]
        said = model["mean"] + z @ model["weights"]
        if "trees" in model:
            said = model["trees"].raw(_rounded(vectors @ model["directions"], facts, said))
        return np.clip(said, *model["range"])

    def _features(self, model: dict[str, Any], rows: Any, messages: Messages) -> tuple[np.ndarray, np.ndarray]:
        from ethogram.lm.embed import embed

        at = np.array([i for i, _ in rows])
        sees, n = self.options.sees, len(rows)
        texts = [f"{messages.title[i]}. {messages.body[i]}" if s is None else messages.scenes[i][s] for i, s in rows]
        vectors = np.zeros((n, 0)) if sees == "metadata" else embed(texts, self.options.encoder).astype(np.float64)
        place = np.array([0.0 if s is None else float(s) for _, s in rows])
        if sees == "content":
            return vectors, place[:, None]
        hour, day = (messages.time[at] // HOUR) % 24, (messages.time[at] // DAY + 3) % 7
        known = {name: i for i, name in enumerate(self.columns["sender"])}
        sender = np.array([known.get(messages.sender[i], -1) for i in at])
        facts = [
            place, np.log1p(np.nan_to_num(messages.audience[at])), np.nan_to_num(messages.position[at]), day,
            np.cos(2 * np.pi * hour / 24), np.sin(2 * np.pi * hour / 24),
            np.where(sender >= 0, model["sender"][sender], 0.0), sender,
            *(np.array([messages.channel[i] == c for i in at], float) for c in self.columns["channel"]),
        ]  # fmt: skip
        return vectors, np.column_stack(facts).astype(np.float64)

    # -- state ----------------------------------------------------------------------------------------------------

    def state(self) -> State:
        parts = {}
        for name, model in self.models.items():
            arrays = {k: np.atleast_1d(np.asarray(v)) for k, v in model.items() if k != "trees"}
            parts[name] = State(arrays | (model["trees"].arrays() if "trees" in model else {}))
        return State(json={"columns": self.columns}, parts=parts)

    def restore(self, state: State) -> None:
        self.columns = {k: list(v) for k, v in state.json["columns"].items()}
        self.models = {}
        for name, part in state.parts.items():
            model: dict[str, Any] = {k: v for k, v in part.arrays.items() if not k.startswith("trees.")}
            model |= {k: float(model[k][0]) for k in ("mean", "sd")} | {"range": tuple(map(float, model["range"]))}
            if "trees.roots" in part.arrays:
                model["trees"] = Trees.restored(part.arrays)
            self.models[name] = model


def _units(messages: Messages, kind: str | None) -> list[tuple[int, int | None]]:
    """The messages, or all their scenes."""
    if kind is None:
        return [(i, None) for i in range(len(messages))]
    return [(i, s) for i, own in enumerate(messages.scenes) for s in range(len(own))]


def _rounded(*columns: np.ndarray) -> np.ndarray:
    """What trees see: products differ in their last digits with the size of a batch, and a split may lie between."""
    return np.round(np.column_stack(columns), 5)
