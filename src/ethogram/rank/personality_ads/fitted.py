"""The fitted model: what is expected of a person about an advert, and how past answers correct it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from ethogram.errors import StepError
from ethogram.log import Candidates, Features, Histories, Log, Sequences
from ethogram.numeric import deviations
from ethogram.numeric.balance import balanced, sigmoid
from ethogram.numeric.deviations import Spread
from ethogram.numeric.logistic import newton
from ethogram.numeric.slates import both_answers, no_leak
from ethogram.rank.personality_ads import inference
from ethogram.rank.personality_ads.design import Design
from ethogram.rank.personality_ads.learners import Catalogue, Expects, People, expected, learned, restored
from ethogram.verbs import State

CHOSEN = ("by", "effects", "traits", "pictures", "facts", "stated")
"""Fields of the design that are saved beside its features."""
ENCODED = 2**20
"""Candidates asked at once."""


@dataclass(frozen=True, eq=False)
class Fitted:
    """Everything that was learned.

    Attributes
    ----------
    design : what is read. number, answer : what expects ratings, and logits of clicks. spread : of deviations.
    carried : w1, w2. span : lowest and highest rating. shift : of the prior (`numeric.balance`).
    valued : whether ratings are the log's values (else its labels). history : whether past answers are read.
    traits : of `inference`, if that was asked for.
    """

    design: Design
    number: Expects
    answer: Expects
    spread: Spread
    carried: tuple[float, float]
    span: tuple[float, float]
    shift: float
    valued: bool
    history: bool
    traits: inference.Ridge | None = None

    @classmethod
    def of(cls, options: Any, design: Design, train: Log, seed: int, watch: Any) -> Self:
        """Fit both tasks."""
        rows = train.sequences()
        label = _column(rows, "label")
        if np.isnan(label).all():
            raise StepError("personality_ads: no event carries a label; name the column that says what was clicked.")
        value = _column(rows, "value")
        valued = bool((~np.isnan(value)).any())
        target = value if valued else label
        weight = np.nan_to_num(_column(rows, "weight", 1.0), nan=1.0)
        everybody = Histories.at(rows, rows.users, tables=train.tables)
        batch = design.features.encode(everybody)
        person = np.repeat(np.arange(len(rows.users)), rows.lengths)
        order = np.random.default_rng(seed).permutation(len(rows.users)) if options.traits == "permuted" else None
        who = People(design.people(batch, order), design.favourites(batch))
        item = np.asarray(rows.columns["item"]) + 1
        catalogue = Catalogue.of(design, batch)

        rated, asked = np.flatnonzero(~np.isnan(target)), np.flatnonzero(~np.isnan(label))
        both_answers(label[asked], weight[asked])
        no_leak(train.questions("slates"))
        level, shift = balanced(label[asked] > 0, weight[asked])
        number = learned(options, design, catalogue.rows(who, person[rated], item[rated]), target[rated], None, seed)
        if watch is not None:
            watch({"fitted": "ratings"})
        answer = learned(options, design, catalogue.rows(who, person[asked], item[asked]), label[asked], level, seed)
        made = cls(
            design, number, answer, Spread(deviations.MOST, deviations.MOST), (0.0, 0.0),
            (float(target[rated].min()), float(target[rated].max())), shift, valued,
            options.history and options.learner not in ("global", "item", "category"),
        )  # fmt: skip
        left = target[rated] - expected(number, catalogue.rows(who, person[rated], item[rated]))
        if made.history:
            spread = deviations.spread(left, person[rated], np.maximum(catalogue.category[item[rated]], 0))
            if options.learner == "user":  # a mean of the person knows no categories
                spread = Spread(spread.person, deviations.MOST)
            made = replace(made, spread=Spread(*(max(s, 1e-3) for s in spread)))
            made = replace(made, carried=made._carry(train, who, catalogue, level))
        if options.infer:
            means = inference.means(
                left, person[rated], catalogue.category[item[rated]], len(rows.users), design.categories
            )
            made = replace(made, traits=inference.fit(design, batch, means, seed))
        return made

    def _carry(self, train: Log, who: People, catalogue: Catalogue, level: np.ndarray) -> tuple[float, float]:
        """w1 and w2 from training questions, each of which reads what came before it."""
        asked = train.questions("slates")
        batch = self.design.features.encode(asked.histories, asked.candidates)
        catalogue = Catalogue.of(self.design, batch)
        place = np.searchsorted(train.sequences().users, asked.histories.users)
        who = who.take(place)
        offsets = asked.candidates.flat(len(asked))[1]
        assert batch.candidates is not None
        item = batch.candidates.item
        d, own = self._deviations(asked.histories, who, catalogue, offsets, item)
        person = np.repeat(np.arange(len(asked)), np.diff(offsets))
        logit = expected(self.answer, catalogue.rows(who, person, item))
        label = np.asarray(asked.label) > 0
        weight, _ = balanced(label, np.asarray(asked.weight, np.float64))
        columns = np.column_stack([np.zeros(len(d)), d, own])
        columns[:, 0] = 1e-9  # no intercept: who has no past is expected as before
        found = newton(columns, label, weight, 1.0, offset=logit)
        return float(found[1]), float(found[2])

    def ask(self, histories: Histories, candidates: Candidates, rating: bool) -> np.ndarray:
        """Ratings, or probabilities of a click, flat, float64[total]."""
        n = len(histories)
        _, offsets = candidates.flat(n)
        out = np.empty(int(offsets[-1]))
        size = max(1, int(ENCODED // max(offsets[-1] / max(n, 1), 1)))
        for at in range(0, n, size):
            rows = slice(at, min(at + size, n))
            out[offsets[rows.start] : offsets[rows.stop]] = self._ask(histories[rows], candidates[rows], rating)
        return out

    def _ask(self, histories: Histories, candidates: Candidates, rating: bool) -> np.ndarray:
        design, n = self.design, len(histories)
        batch = design.features.encode(histories, candidates)
        assert batch.candidates is not None
        item, offsets = batch.candidates.item, candidates.flat(n)[1]
        who, catalogue = People(design.people(batch), design.favourites(batch)), Catalogue.of(design, batch)
        person = np.repeat(np.arange(n), np.diff(offsets))
        d, own = self._deviations(histories, who, catalogue, offsets, item)
        if rating:
            said = expected(self.number, catalogue.rows(who, person, item)) + d + own
            return np.clip(said, *self.span)
        logit = expected(self.answer, catalogue.rows(who, person, item))
        return sigmoid(logit + self.carried[0] * d + self.carried[1] * own - self.shift)

    def residuals(self, histories: Histories, who: People, catalogue: Catalogue) -> np.ndarray:
        """Past answers less what was expected of them, float64[N] of shared rows; NaN where there is none."""
        told = np.full(len(histories.starts), np.nan)
        name = "value" if self.valued else "label"
        if name not in histories.columns or not len(told):
            return told
        # who past rows belong to: of the questions that share them, the one that reads furthest
        order = np.lexsort((-histories.stop, histories.start))
        first = order[np.unique(histories.start[order], return_index=True)[1]]
        some = histories[first]
        rows, offsets = some.flat()
        person = np.repeat(first, np.diff(offsets))
        item = np.asarray(histories.item)[rows] + 1
        said = np.asarray(histories.columns[name])[rows].astype(np.float64)
        told[rows] = said - expected(self.number, catalogue.rows(who, person, item))
        return told

    def _deviations(
        self, histories: Histories, who: People, catalogue: Catalogue, offsets: np.ndarray, item: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        if not self.history:
            return np.zeros(len(item)), np.zeros(len(item))
        left = self.residuals(histories, who, catalogue)
        past = catalogue.category[np.asarray(histories.item) + 1]
        return deviations.deviations(
            left, past, histories.start, histories.stop, offsets, catalogue.category[item], self.spread,
            self.design.categories,
        )  # fmt: skip

    def state(self) -> State:
        tables, json, arrays = self.design.features.saved()
        told: dict[str, Any] = {n: getattr(self.design, n) for n in CHOSEN}
        told |= {n: getattr(self, n) for n in ("spread", "carried", "span", "shift", "valued", "history")}
        for name in ("number", "answer"):
            arrays |= getattr(self, name).arrays(name)
        if self.traits is not None:
            arrays |= self.traits.arrays()
        return State(arrays, tables, {"features": json, "told": told})

    @classmethod
    def restored(cls, state: State) -> Self:
        """From data."""
        features = Features.restored(state.tables, state.json["features"], state.arrays)
        told = dict(state.json["told"])
        parts = {n: tuple(told[n]) if isinstance(told[n], list | tuple) else told[n] for n in CHOSEN}
        models = [restored(name, state.arrays) for name in ("number", "answer")]
        return cls(
            Design(features, **parts), *models, Spread(*told["spread"]), tuple(told["carried"]), tuple(told["span"]),
            told["shift"], told["valued"], told["history"], inference.Ridge.restored(state.arrays),
        )  # fmt: skip


def _column(rows: Sequences, name: str, default: float = np.nan) -> np.ndarray:
    """A column of numbers, float64[N]."""
    if name not in rows.columns:
        return np.full(len(rows), default)
    return np.asarray(rows.columns[name], np.float64)
