"""A language model for a million: a question for each kind of person in each kind of situation, a draw for each person.

People are sorted into classes (archetype and situation together); the model is asked once for each class that has not
been met, and answers with a distribution over what can be done. Everybody draws from the distribution of their class.
So a step costs as many calls as there are new classes, however many people there are.
"""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from ethogram.errors import AnswerError, BudgetSpent, LMError, NotRecorded, WorldError
from ethogram.world.acts import NOTHING, Acts
from ethogram.world.draws import Luck
from ethogram.world.state import Frozen


class Archetypes:
    """A vector policy; see the module.

    Parameters
    ----------
    options : text of an option -> (verb, object); at least two.
    classes : (rows, seen) -> a whole number for each, int64[n]: archetype and situation as one code.
    describe : (code, seen) -> the question that the model is asked, in words.
    by : "choose" (`LM.choose`: probabilities of the options) or "shares" (`LM.answer`: a percentage for each).
    most : new classes of one step; more are an error, before anything is asked. every : ticks between decisions.
    otherwise : vector policy of those about whose class the model gave no answer (or its budget is spent); None lets
        them do nothing. A `Surrogate` of the same options is taught by what everybody else decides; what it decides is
        "surrogate", what a rule does, or nothing, "fallback".

    Attributes
    ----------
    known : code -> probabilities float64[options]. refused : BudgetSpent, where the last step met it.
    """

    def __init__(
        self, options: Mapping[str, tuple[str, int]], classes: Callable[[np.ndarray, Frozen], np.ndarray],
        describe: Callable[[int, Frozen], str], *, by: Literal["choose", "shares"] = "choose", most: int = 2_000,
        every: int = 1, otherwise: Any = None, purpose: str = "archetype",
    ):  # fmt: skip
        if len(options) < 2:
            raise WorldError("Archetypes: two or more options are needed.")
        mine = [(str(v), int(o)) for v, o in options.values()]
        if hasattr(otherwise, "taught") and otherwise.options != mine:
            raise WorldError(f"Archetypes: otherwise= has the options {otherwise.options}, and not {mine}.")
        self.options, self.classes, self.describe = dict(options), classes, describe
        self.by, self.most, self.every, self.otherwise, self.purpose = by, most, every, otherwise, purpose
        self.known: dict[int, np.ndarray] = {}
        self.refused: BudgetSpent | None = None

    async def prepare(self, rows: np.ndarray, seen: Frozen, lm: Any) -> list[str]:
        """Ask for every class that is not known; then the way out is taught, and prepares itself for the others."""
        if lm is None:
            raise WorldError("Archetypes need a language model; give World(lm=LM.connect(...)).")
        new = [int(c) for c in np.unique(self.classes(rows, seen)) if int(c) not in self.known]
        if len(new) > self.most:
            raise WorldError(f"{len(new)} new classes in one step; at most {self.most}. Sort people more coarsely.")

        self.refused = None

        async def one(code: int) -> str:
            try:
                shares = await self._asked(lm, self.describe(code, seen))
            except NotRecorded:
                raise
            except LMError as error:
                if isinstance(error, BudgetSpent):
                    self.refused = error
                return json.dumps({"class": code, "error": f"{type(error).__name__}: {error}"[:300]})
            return json.dumps({"class": code, "shares": shares.tolist()})

        # many classes are one note: an event each would be more than a tick has room for
        told = await asyncio.gather(*map(one, new))
        notes = [f"[{', '.join(told)}]"] if told else []
        self._learned(notes)
        if len(rest := self._taught(rows, seen)) and hasattr(self.otherwise, "prepare"):
            more = await self.otherwise.prepare(rest, seen, lm)
            self.refused = self.refused or getattr(self.otherwise, "refused", None)
            notes += [json.dumps({"otherwise": more})]
        return notes

    async def _asked(self, lm: Any, prompt: str) -> np.ndarray:
        names = list(self.options)
        if self.by == "choose":
            found = await lm.choose(prompt, names, purpose=self.purpose)
            return np.asarray(found.probabilities, np.float64)
        share = {"type": "integer", "minimum": 0, "maximum": 100}
        schema = {
            "type": "object", "properties": dict.fromkeys(names, share), "required": names,
            "additionalProperties": False,
        }  # fmt: skip
        asked = f"{prompt}\n\nOf 100 such people, how many do each?"
        answer = await lm.answer(asked, schema, purpose=self.purpose, max_tokens=24 * len(names))
        made = np.array([float(answer.value[n]) for n in names])
        if made.sum() <= 0:
            raise AnswerError(f"{lm.identity} gave shares that are all 0.")
        return made / made.sum()

    def recall(self, notes: Sequence[str], rows: np.ndarray, seen: Frozen) -> None:
        """Learn from notes, without asking."""
        more = [n for n in notes if n.startswith('{"otherwise"')]
        self._learned([n for n in notes if n not in more])
        rest = self._taught(rows, seen)
        if more:
            self.otherwise.recall(json.loads(more[0])["otherwise"], rest, seen)

    def _learned(self, notes: Sequence[str]) -> None:
        for note in notes:
            for told in json.loads(note):
                if "shares" in told:
                    self.known[int(told["class"])] = np.array(told["shares"])

    def _taught(self, rows: np.ndarray, seen: Frozen) -> np.ndarray:
        """Teach the way out what those decide whose classes are known; the other rows."""
        if not hasattr(self.otherwise, "prepare"):
            return rows[:0]
        option = self._option(rows, seen, seen.luck(rows))
        if hasattr(self.otherwise, "taught"):
            self.otherwise.taught(rows[option >= 0], option[option >= 0], seen)
        return rows[option < 0]

    def _option(self, rows: np.ndarray, seen: Frozen, luck: Luck) -> np.ndarray:
        """What each draws from the distribution of their class, int64[rows], -1 where none is known."""
        codes, place = np.unique(self.classes(rows, seen), return_inverse=True)
        table = np.stack([self.known.get(int(c), np.full(len(self.options), np.nan)) for c in codes])
        there = ~np.isnan(table[:, 0])[place]
        option = np.full(len(rows), -1, np.int64)
        if there.any():
            option[there] = luck[there].among("archetype", table[place[there]])
        return option

    def act(self, rows: np.ndarray, seen: Frozen, luck: Luck) -> list[Acts]:
        """Everybody draws from the distribution of their class."""
        option = self._option(rows, seen, luck)
        made: list[Acts] = []
        for i, (verb, on) in enumerate(self.options.values()):
            if verb != NOTHING and (who := rows[option == i]).size:
                made.append(Acts(verb, who, object=on, via="archetype"))
        left = option < 0
        if left.any() and self.otherwise is None:
            made.append(Acts(NOTHING, rows[left], via="fallback"))
        elif left.any():
            rest = self.otherwise.act(rows[left], seen, luck[left])
            acts: Sequence[Acts] = [rest] if isinstance(rest, Acts) else list(rest or ())
            made += [a.instead() for a in acts]
        return made

    def copy(self) -> Archetypes:
        made = copy.copy(self)
        made.known = dict(self.known)
        if hasattr(self.otherwise, "copy"):
            made.otherwise = self.otherwise.copy()
        return made

    def state(self) -> dict[str, Any]:
        told = {"known": [[code, shares.tolist()] for code, shares in self.known.items()]}
        return told | ({"otherwise": self.otherwise.state()} if hasattr(self.otherwise, "state") else {})

    def restore(self, kept: Mapping[str, Any]) -> None:
        self.known = {int(code): np.array(shares) for code, shares in kept["known"]}
        if "otherwise" in kept:
            self.otherwise.restore(kept["otherwise"])
