"""A surrogate that learns from a language model what people do, answers where it is sure, and is checked on the way.

    p(option | person) = softmax(W x + b)        x: features of the person, standardised

fitted to the answers so far. A person whose best option has at least probability `confident` draws from p; the others
are asked about, and so is a share `audit` of the sure ones, drawn at random: the agreement with their answers is told.
Who can be asked no more follows `otherwise`. As the way out of `Archetypes` it needs no teacher: it learns from what
people of known classes decide.
"""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ethogram.errors import BudgetSpent, LMError, NotRecorded, WorldError
from ethogram.world.acts import NOTHING, SOURCES, Acts
from ethogram.world.draws import Luck
from ethogram.world.state import Frozen

Teacher = Callable[[int, Frozen, Any], Awaitable[int]]
"""(row, frozen state, language model) -> place of the option that this person takes."""


_NUMBERS = ("audited", "agreed", "learned", "fitted_on")


class Surrogate:
    """A vector policy; see the module.

    Parameters
    ----------
    options : (verb, object) of each option. features : (rows, seen) -> float[n, d].
    teacher : who is asked; None asks nobody.
    confident : probability from which the surrogate is believed. audit : share of the sure that is asked all the same.
    most : questions of one step. Who is not asked, sure or not, draws from the surrogate.
    least : answers before the first fit. refit : new answers before another. held : answers, the newest, of a fit.
    otherwise : vector policy of those who are not sure and were not asked, in place of a draw, as "fallback".

    Attributes
    ----------
    audited, agreed : how many sure people were asked, and for how many the answer was the surrogate's best option.
    refused : BudgetSpent, where the last step met it.
    """

    def __init__(
        self, options: Sequence[tuple[str, int]], features: Callable[[np.ndarray, Frozen], np.ndarray],
        teacher: Teacher | None = None, *, confident: float = 0.9, audit: float = 0.01, most: int = 500,
        least: int = 100, refit: int = 100, held: int = 10_000, otherwise: Any = None, every: int = 1,
    ):  # fmt: skip
        if len(options) < 2:
            raise WorldError("Surrogate: two or more options are needed.")
        if not 0 < confident <= 1 or not 0 <= audit <= 1 or least < 2 or most < 1 or held < least:
            raise WorldError(
                "Surrogate: confident in (0, 1], audit in [0, 1], least of 2 or more, most of 1 or more, held of least."
            )
        self.options, self.features, self.teacher = [(str(v), int(o)) for v, o in options], features, teacher
        self.confident, self.audit, self.most, self.least, self.refit = confident, audit, most, least, refit
        self.every, self.held, self.otherwise = every, held, otherwise
        self.refused: BudgetSpent | None = None
        self.inputs: list[list[float]] = []
        self.answers: list[int] = []
        self.weights: np.ndarray | None = None
        self.audited = self.agreed = self.learned = self.fitted_on = 0
        self._rows, self._taken, self._via = (np.zeros(0, np.int64) for _ in range(3))

    def probabilities(self, x: np.ndarray) -> np.ndarray:
        """float64[n, options]; summed feature by feature, so that a row's value hangs on no other row."""
        assert self.weights is not None
        logits = np.repeat(self.weights[None, -1], len(x), 0)
        for j in range(x.shape[1]):
            logits = logits + x[:, j, None] * self.weights[j]
        found = np.exp(logits - logits.max(1, keepdims=True))
        return found / found.sum(1, keepdims=True)

    async def prepare(self, rows: np.ndarray, seen: Frozen, lm: Any) -> list[str]:
        """Ask about who is not clear, and about some of the others."""
        x, sure = self._sure(rows, seen)
        luck = seen.luck(rows)
        wanted = (
            np.flatnonzero(~sure | luck.chance("audit", self.audit)) if self.teacher is not None else np.zeros(0, int)
        )
        # in an order that is drawn: who stands first in the table is no sample
        chosen = wanted[np.argsort(luck.uniform("asked")[wanted, 0], kind="stable")[: self.most]]
        self.refused = None

        async def one(place: int) -> int:
            assert self.teacher is not None
            try:
                return int(await self.teacher(int(rows[place]), seen, lm))
            except NotRecorded:
                raise
            except LMError as error:
                if isinstance(error, BudgetSpent):
                    self.refused = error
                return -1

        told = await asyncio.gather(*(one(int(p)) for p in chosen))
        if wrong := [t for t in told if t >= len(self.options)]:
            raise WorldError(f"the teacher of a surrogate answers {wrong[0]}; there are {len(self.options)} options.")
        note = {"asked": seen["uid"][rows[chosen]].tolist(), "told": list(told), "weights": None}
        self._learn(chosen, note["told"], x, sure)
        if self.learned and self.learned >= max(self.least, self.fitted_on + self.refit):
            note["weights"] = self._fitted().tolist()
        elif self.weights is None and self.otherwise is None and len(chosen) < len(rows) and len(set(self.answers)) > 1:
            note["weights"] = self._fitted().tolist()  # there are people left, and nothing else to go by
        self._settle(note, chosen, rows, x, luck)
        return [json.dumps(note)] if note["asked"] or note["weights"] else []

    def recall(self, notes: Sequence[str], rows: np.ndarray, seen: Frozen) -> None:
        """Do what `prepare` did, with the answers that it had."""
        x, sure = self._sure(rows, seen)
        note = json.loads(notes[0]) if notes else {"asked": [], "told": [], "weights": None}
        uid = seen["uid"][rows]
        order = np.argsort(uid, kind="stable")
        chosen = order[np.searchsorted(uid[order], np.array(note["asked"], uid.dtype))]
        self._learn(chosen, note["told"], x, sure)
        self._settle(note, chosen, rows, x, seen.luck(rows))

    def taught(self, rows: np.ndarray, options: np.ndarray, seen: Frozen) -> None:
        """Learn what some people take, places in `options` int[n]; of more than `most`, of some that are drawn."""
        order = np.argsort(seen.luck(rows).uniform("taught")[:, 0], kind="stable")[: self.most] if len(rows) else rows
        self._keep(np.asarray(self.features(rows[order], seen), np.float64), options[order])

    def _sure(self, rows: np.ndarray, seen: Frozen) -> tuple[np.ndarray, np.ndarray]:
        """Features float64[n, d], and of whom the surrogate is sure."""
        x = np.asarray(self.features(rows, seen), np.float64)
        if self.weights is None:
            return x, np.zeros(len(rows), bool)
        return x, self.probabilities(x).max(1) >= self.confident

    def _learn(self, chosen: np.ndarray, answers: Sequence[int], x: np.ndarray, sure: np.ndarray) -> None:
        told = np.array(answers, np.int64)
        for place, one in zip(chosen[told >= 0].tolist(), told[told >= 0].tolist(), strict=True):
            if sure[place]:
                self.audited += 1
                self.agreed += int(self.probabilities(x[place : place + 1])[0].argmax() == one)
        self._keep(x[chosen[told >= 0]], told[told >= 0])

    def _keep(self, x: np.ndarray, answers: np.ndarray) -> None:
        self.inputs = [*self.inputs, *x.tolist()][-self.held :]
        self.answers = [*self.answers, *answers.tolist()][-self.held :]
        self.learned += len(answers)

    def _settle(self, note: Mapping[str, Any], chosen: np.ndarray, rows: np.ndarray, x: np.ndarray, luck: Luck) -> None:
        """What everybody takes at this tick, and by whom that was decided; -1 where it is not decided here."""
        if note["weights"] is not None:
            self.weights = np.array(note["weights"])
            self.fitted_on = self.learned
        taken, via = np.full(len(rows), -1, np.int64), np.full(len(rows), SOURCES.index("fallback"), np.int64)
        if self.weights is not None and len(rows):
            p = self.probabilities(x)
            drawn = np.ones(len(rows), bool) if self.otherwise is None else p.max(1) >= self.confident
            taken[drawn], via[drawn] = luck.among("surrogate", p)[drawn], SOURCES.index("surrogate")
        told = np.array(note["told"], np.int64)
        known = told >= 0
        taken[chosen[known]], via[chosen[known]] = told[known], SOURCES.index("model")
        self._rows, self._taken, self._via = rows, taken, via

    def _fitted(self) -> np.ndarray:
        """Weights float64[d + 1, options], rounded, so that what a library adds in the last bits decides nothing."""
        from sklearn.linear_model import LogisticRegression

        x, y = np.array(self.inputs), np.array(self.answers)
        mean, spread = x.mean(0), np.where(x.std(0) > 1e-9, x.std(0), 1.0)
        made = np.full((x.shape[1] + 1, len(self.options)), 0.0)
        made[-1] = -20.0  # an option that was never taken
        classes = np.unique(y)
        if len(classes) == 1:
            made[-1, classes[0]] = 0.0
            return made
        model = LogisticRegression(C=10.0, max_iter=200).fit((x - mean) / spread, y)
        weights, shift = model.coef_ / spread, model.intercept_
        shift = shift - weights @ mean
        if len(classes) == 2:
            weights, shift = np.vstack([np.zeros_like(weights), weights]), np.r_[0.0, shift]
        made[:-1, classes], made[-1, classes] = weights.T, shift
        return np.round(made, 6)

    def act(self, rows: np.ndarray, seen: Frozen, luck: Luck) -> list[Acts]:
        """What was settled for these people."""
        at = np.searchsorted(self._rows, rows)
        taken, via = self._taken[at], self._via[at]
        made = []
        for i, (verb, on) in enumerate(self.options):
            mine = taken == i
            if verb != NOTHING and mine.any():
                made.append(Acts(verb, rows[mine], object=on, via=via[mine]))
        if self.otherwise is not None and (left := taken < 0).any():
            rest = self.otherwise.act(rows[left], seen, luck[left])
            made += [a.instead() for a in ([rest] if isinstance(rest, Acts) else rest or ())]
        return made

    def copy(self) -> Surrogate:
        made = copy.copy(self)
        made.inputs, made.answers = list(self.inputs), list(self.answers)
        return made

    def state(self) -> dict[str, Any]:
        weights = None if self.weights is None else self.weights.tolist()
        numbers = {n: getattr(self, n) for n in _NUMBERS}
        return {"inputs": self.inputs, "answers": self.answers, "weights": weights, **numbers}

    def restore(self, kept: Mapping[str, Any]) -> None:
        self.inputs, self.answers = [list(r) for r in kept["inputs"]], [int(a) for a in kept["answers"]]
        self.weights = None if kept["weights"] is None else np.array(kept["weights"])
        self.learned = len(self.answers)  # of what was kept before it was counted
        for name in _NUMBERS:
            setattr(self, name, int(kept.get(name, getattr(self, name))))
