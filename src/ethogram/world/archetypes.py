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

from ethogram.errors import AnswerError, LMError, NotRecorded, WorldError
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
        them do nothing. Either way they count as "fallback".

    Attributes
    ----------
    known : code -> probabilities float64[options].
    """

    def __init__(
        self, options: Mapping[str, tuple[str, int]], classes: Callable[[np.ndarray, Frozen], np.ndarray],
        describe: Callable[[int, Frozen], str], *, by: Literal["choose", "shares"] = "choose", most: int = 2_000,
        every: int = 1, otherwise: Any = None, purpose: str = "archetype",
    ):  # fmt: skip
        if len(options) < 2:
            raise WorldError("Archetypes: two or more options are needed.")
        self.options, self.classes, self.describe = dict(options), classes, describe
        self.by, self.most, self.every, self.otherwise, self.purpose = by, most, every, otherwise, purpose
        self.known: dict[int, np.ndarray] = {}

    async def prepare(self, rows: np.ndarray, seen: Frozen, lm: Any) -> list[str]:
        """Ask for every class that is not known."""
        if lm is None:
            raise WorldError("Archetypes need a language model; give World(lm=LM.connect(...)).")
        new = [int(c) for c in np.unique(self.classes(rows, seen)) if int(c) not in self.known]
        if len(new) > self.most:
            raise WorldError(f"{len(new)} new classes in one step; at most {self.most}. Sort people more coarsely.")

        async def one(code: int) -> str:
            try:
                shares = await self._asked(lm, self.describe(code, seen))
            except NotRecorded:
                raise
            except LMError as error:
                return json.dumps({"class": code, "error": f"{type(error).__name__}: {error}"[:300]})
            return json.dumps({"class": code, "shares": shares.tolist()})

        # many classes are one note: an event each would be more than a tick has room for
        told = await asyncio.gather(*map(one, new))
        notes = [f"[{', '.join(told)}]"] if told else []
        self.recall(notes, rows, seen)
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
        for note in notes:
            for told in json.loads(note):
                if "shares" in told:
                    self.known[int(told["class"])] = np.array(told["shares"])

    def act(self, rows: np.ndarray, seen: Frozen, luck: Luck) -> list[Acts]:
        """Everybody draws from the distribution of their class."""
        codes, place = np.unique(self.classes(rows, seen), return_inverse=True)
        table = np.stack([self.known.get(int(c), np.full(len(self.options), np.nan)) for c in codes])
        there = ~np.isnan(table[:, 0])[place]
        made: list[Acts] = []
        if there.any():
            option = luck[there].among("archetype", table[place[there]])
            mine = rows[there]
            for i, (verb, on) in enumerate(self.options.values()):
                if verb != NOTHING and (who := mine[option == i]).size:
                    made.append(Acts(verb, who, object=on, via="archetype"))
        if not there.all() and self.otherwise is None:
            made.append(Acts(NOTHING, rows[~there], via="fallback"))
        elif not there.all():
            rest = self.otherwise.act(rows[~there], seen, luck[~there])
            acts: Sequence[Acts] = [rest] if isinstance(rest, Acts) else list(rest or ())
            made += [Acts(a.verb, a.rows, a.object, a.value, a.cause, a.text, "fallback") for a in acts]
        return made

    def copy(self) -> Archetypes:
        made = copy.copy(self)
        made.known = dict(self.known)
        return made

    def state(self) -> dict[str, Any]:
        return {"known": [[code, shares.tolist()] for code, shares in self.known.items()]}

    def restore(self, kept: Mapping[str, Any]) -> None:
        self.known = {int(code): np.array(shares) for code, shares in kept["known"]}
